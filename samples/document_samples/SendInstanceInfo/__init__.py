import azure.durable_functions as df


def main(instanceId: str, client: str) -> dict:
    payload = df.DurableOrchestrationClient(client).create_http_management_payload(instanceId)
    # Send the payload to whoever watches this instance; here it goes back to the orchestrator.
    return {"Payload": payload, "id": instanceId}
