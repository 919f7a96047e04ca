import azure.durable_functions as df


async def main(instanceId: str, client: str) -> None:
    reason = "It was time to be done."
    await df.DurableOrchestrationClient(client).terminate(instanceId, reason)
