import json

import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.DurableOrchestrationClient(starter)
    data = json.loads(req.get_body() or "null")
    instance_id = await client.start_new(req.route_params["functionName"], client_input=data)
    return client.create_check_status_response(req, instance_id)
