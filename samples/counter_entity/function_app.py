import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    instance_id = await client.start_new(req.route_params["functionName"])
    return client.create_check_status_response(req, instance_id)


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: df.DurableEntityContext):
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
    elif context.operation_name == "reset":
        total = 0
    context.set_state(total)
    context.set_result(total)


@app.orchestration_trigger(context_name="context")
def count(context: df.DurableOrchestrationContext):
    entity = df.EntityId("Counter", context.instance_id)
    for amount in (1, 2, 3):
        context.signal_entity(entity, "add", amount)
    signalled = yield context.call_entity(entity, "get")
    called = yield context.call_entity(entity, "add", 10)
    return {"signalled": signalled, "called": called}


@app.route(route="counters/{key}/add/{amount:int}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def add(req: func.HttpRequest, client: df.DurableOrchestrationClient):
    entity = df.EntityId("Counter", req.route_params["key"])
    await client.signal_entity(entity, "add", int(req.route_params["amount"]))
    return func.HttpResponse(status_code=202)


@app.route(route="counters/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient):
    state = await client.read_entity_state(df.EntityId("Counter", req.route_params["key"]))
    return func.HttpResponse(str(state.entity_state if state.entity_exists else 0))
