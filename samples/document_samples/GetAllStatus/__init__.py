import json

import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, client: str) -> func.HttpResponse:
    instances = await df.DurableOrchestrationClient(client).get_status_all()
    return func.HttpResponse(
        json.dumps([instance.to_json() for instance in instances]), mimetype="application/json"
    )
