import json
import logging

import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.DurableOrchestrationClient(starter)
    data = json.loads(req.get_body() or "null")
    instance_id = await client.start_new(req.route_params["functionName"], client_input=data)
    logging.info("Started orchestration with ID = '%s'.", instance_id)
    return await client.wait_for_completion_or_create_check_status_response(
        req,
        instance_id,
        timeout_in_milliseconds=milliseconds(req, "timeout", 30),
        retry_interval_in_milliseconds=milliseconds(req, "retryInterval", 1),
    )


def milliseconds(req: func.HttpRequest, name: str, default_seconds: float) -> int:
    return int(float(req.params.get(name, default_seconds)) * 1000)
