import azure.durable_functions as df


async def main(instanceId: str, client: str) -> None:
    reason = "Orchestrator failed and needs to be revived."
    await df.DurableOrchestrationClient(client).rewind(instanceId, reason)
