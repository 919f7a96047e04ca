import logging

import azure.durable_functions as df


async def main(input: str, starter: str) -> None:
    client = df.DurableOrchestrationClient(starter)
    instance_id = await client.start_new("HelloWorld", client_input=input)
    logging.info("Started orchestration with ID = '%s'.", instance_id)
