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


@app.orchestration_trigger(context_name="context")
def provision_all(context: df.DurableOrchestrationContext):
    devices = context.get_input() or ["door", "lamp", "heater"]
    children = [context.call_sub_orchestrator("provision", device) for device in devices]
    return (yield context.task_all(children))


@app.orchestration_trigger(context_name="context")
def provision(context: df.DurableOrchestrationContext):
    device = context.get_input()
    key = yield context.call_activity("create_key", device)
    firmware = yield context.call_activity("install_firmware", device)
    return {"device": device, "key": key, "firmware": firmware}


@app.activity_trigger(input_name="device")
def create_key(device: str) -> str:
    return f"key-of-{device}"


@app.activity_trigger(input_name="device")
def install_firmware(device: str) -> str:
    return "1.0" if device == "heater" else "2.0"
