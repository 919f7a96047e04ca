"""Orders come in by queue, are worked on by an orchestration, and leave as blobs and rows."""

import json
import typing

import azure.durable_functions as df
import azure.functions as func

STORE = "AzureWebJobsStorage"

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="order/{id}", methods=["POST"], binding_arg_name="answer")
@app.queue_output(arg_name="$return", queue_name="%ORDERS%", connection=STORE)
def take_order(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> str:
    answer.set(func.HttpResponse("got it", status_code=202))
    return json.dumps({"id": req.route_params["id"], "item": req.get_json()["item"]})


@app.queue_trigger(arg_name="message", queue_name="%ORDERS%", connection=STORE)
@app.durable_client_input(client_name="client")
async def order_came(message: func.QueueMessage, client: df.DurableOrchestrationClient) -> None:
    order = message.get_json()
    if order["item"] == "nothing":
        raise ValueError(f"tried {message.dequeue_count} times")
    await client.start_new("work", order["id"], order)


@app.orchestration_trigger(context_name="context")
def work(context: df.DurableOrchestrationContext):
    order = context.get_input()
    packed = yield context.call_activity("pack", order)
    return packed


@app.activity_trigger(input_name="order")
@app.blob_output(arg_name="parcel", path="%PARCELS%/{data.id}.txt", connection=STORE)
@app.table_output(
    arg_name="entry", table_name="%JOURNAL%", partition_key="orders", connection=STORE
)
def pack(order: dict, parcel: func.Out[str], entry: func.Out[str]) -> str:
    parcel.set(f"a {order['item']}")
    entry.set(json.dumps({"RowKey": order["id"], "Item": order["item"], "Weight": 7}))
    return f"packed {order['item']}"


@app.blob_trigger(arg_name="parcel", path="%PARCELS%/{name}.txt", connection=STORE)
@app.queue_output(arg_name="sent", queue_name="%SENT%", connection=STORE)
def parcel_came(
    parcel: func.InputStream,
    sent: func.Out[typing.List[str]],  # noqa: UP006 - the worker takes no other form
) -> None:
    sent.set([f"{parcel.name}: {parcel.read().decode()}", "done"])


@app.route(route="journal/{id}", methods=["GET"])
@app.table_input(
    arg_name="entry",
    table_name="%JOURNAL%",
    partition_key="orders",
    row_key="{id}",
    connection=STORE,
)
@app.blob_input(arg_name="parcel", path="%PARCELS%/{id}.txt", connection=STORE)
def show(req: func.HttpRequest, entry: str, parcel: str) -> func.HttpResponse:
    body = {"entry": json.loads(entry) if entry else None, "parcel": parcel}
    return func.HttpResponse(json.dumps(body), mimetype="application/json")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@app.queue_output(arg_name="$return", queue_name="%TICKS%", connection=STORE)
def new_year(timer: func.TimerRequest) -> str:
    return "past due" if timer.past_due else "tick"


@app.generic_trigger(arg_name="text", type="manualTrigger")
@app.queue_output(arg_name="$return", queue_name="%BY_HAND%", connection=STORE)
def by_hand(text: str) -> str:
    return text


attempts: list[int] = []


@app.route(route="flaky")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00.01")
def flaky(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    attempts.append(context.retry_context.retry_count)
    if context.retry_context.retry_count < context.retry_context.max_retry_count:
        raise RuntimeError("not yet")
    return func.HttpResponse(json.dumps(attempts))
