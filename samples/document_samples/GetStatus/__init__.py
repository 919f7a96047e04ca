import logging

import azure.durable_functions as df


async def main(instanceId: str, client: str) -> None:
    status = await df.DurableOrchestrationClient(client).get_status(
        instanceId, show_history=True, show_history_output=True, show_input=True
    )
    if status:
        logging.info("%s is %s: %s", instanceId, status.runtime_status.name, status.to_json())
    else:
        logging.info("%s is null", instanceId)
