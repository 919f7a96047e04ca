import json

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    data = json.loads(req.get_body() or "null")
    instance_id = await client.start_new(req.route_params["functionName"], client_input=data)
    return client.create_check_status_response(req, instance_id)


@app.route(route="parcels/{instanceId}/{event}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def report(req: func.HttpRequest, client):
    # What the SDK's client sends arrives as JSON text.
    params = req.route_params
    await client.raise_event(params["instanceId"], params["event"], req.get_json())
    return func.HttpResponse(status_code=202)


@app.orchestration_trigger(context_name="context")
def ship(context: df.DurableOrchestrationContext):
    context.set_custom_status("waiting for payment and stock")
    payment = context.wait_for_external_event("Paid")
    stock = context.wait_for_external_event("Packed")
    amount, shelf = map(json.loads, (yield context.task_all([payment, stock])))
    context.set_custom_status("waiting for the carrier")
    carrier = json.loads((yield context.wait_for_external_event("PickedUp")))
    return f"Parcel from shelf {shelf}, paid with {amount}, left with {carrier}"
