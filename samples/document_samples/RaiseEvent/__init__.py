import azure.durable_functions as df


async def main(instanceId: str, client: str) -> None:
    await df.DurableOrchestrationClient(client).raise_event(instanceId, "MyEvent", [1, 2, 3])
