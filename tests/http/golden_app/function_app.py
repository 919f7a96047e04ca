# ruff: noqa: N802 - the names are those of the recorded app
"""The functions that the HTTP recordings were made with, in Python."""

import asyncio
import json
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
JSON = "application/json; charset=utf-8"
calls: list[str] = []
"""What BoomUntilFixed has been called with; it is fixed from its second call for an input on."""
release = asyncio.Event()
"""Ends the slow activity."""


@app.route(route="binding", methods=["GET"])
@app.generic_input_binding("client", "durableClient")
async def binding(req: func.HttpRequest, client: str) -> func.HttpResponse:
    return func.HttpResponse(client, headers={"Content-Type": JSON})


@app.route(route="bindinghub", methods=["GET"])
@app.generic_input_binding("client", "durableClient", taskHub="OtherHub")
async def bindinghub(req: func.HttpRequest, client: str) -> func.HttpResponse:
    return func.HttpResponse(client, headers={"Content-Type": JSON})


@app.route(route="bindingconn", methods=["GET"])
@app.generic_input_binding(
    "client", "durableClient", taskHub="OtherHub", connectionName="OtherConn"
)
async def bindingconn(req: func.HttpRequest, client: str) -> func.HttpResponse:
    return func.HttpResponse(client, headers={"Content-Type": JSON})


# --- activities ---------------------------------------------------------------------------------------------------


@app.activity_trigger(input_name="name")
def SayHello(name):
    return f"Hello {name}!"


@app.activity_trigger(input_name="n")
def Square(n):
    return n * n


@app.activity_trigger(input_name="x")
def Boom(x):
    raise RuntimeError("Kaboom: x")


@app.activity_trigger(input_name="x")
def BoomUntilFixed(x):
    calls.append(x)
    if calls.count(x) % 2:
        raise RuntimeError(f"Not fixed: {x}")
    return f"fixed {x}"


@app.activity_trigger(input_name="n")
async def Slow(n):
    await release.wait()
    return n


@app.activity_trigger(input_name="n")
def Large(n):
    return "x" * n


# --- inputs -------------------------------------------------------------------------------------------------------


def host_input(context):
    """The input as the host gives it; get_input() takes only what the SDK's own client has encoded twice.

    The SDK turns objects into text, which only the history tells from text that was text before.
    """
    started = next(event for event in context.histories if event.event_type == 0)
    is_object = (started.Input or "").lstrip().startswith("{")
    return json.loads(context._input) if is_object else context._input


def decoded(context):
    """The input of an orchestrator that both HTTP callers and the SDK start."""
    try:
        return json.loads(context._input)
    except (TypeError, ValueError):
        return context._input


# --- orchestrators ------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def HelloSequence(context):
    outputs = []
    for city in ("Tokyo", "Seattle", "London"):
        outputs.append((yield context.call_activity("SayHello", city)))
    return outputs


@app.orchestration_trigger(context_name="context")
def FanOut(context):
    squares = yield context.task_all([context.call_activity("Square", n) for n in (1, 2, 3, 4)])
    return sum(squares)


@app.orchestration_trigger(context_name="context")
def Fails(context):
    yield context.call_activity("Boom", "x")


@app.orchestration_trigger(context_name="context")
def FailsDirect(context):
    raise RuntimeError("direct failure")


@app.orchestration_trigger(context_name="context")
def FailsUntilFixed(context):
    first = yield context.call_activity("SayHello", "first")
    second = yield context.call_activity("BoomUntilFixed", "y")
    return f"{first}|{second}"


@app.orchestration_trigger(context_name="context")
def RetryFails(context):
    yield context.call_activity_with_retry("Boom", df.RetryOptions(100, 3), "x")


@app.orchestration_trigger(context_name="context")
def Echo(context):
    return host_input(context)
    yield  # a generator: its code runs when the history is there


@app.orchestration_trigger(context_name="context")
def WaitForEvent(context):
    return (yield context.wait_for_external_event("Go"))


@app.orchestration_trigger(context_name="context")
def CustomStatus(context):
    context.set_custom_status({"step": 1, "note": "wait", "list": [1, 2]})
    yield context.wait_for_external_event("Go")
    context.set_custom_status("text status")
    return "done"


@app.orchestration_trigger(context_name="context")
def ShortTimer(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
    return "fired"


@app.orchestration_trigger(context_name="context")
def LongTimer(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    return "fired"


@app.orchestration_trigger(context_name="context")
def Child(context):
    return (yield context.call_activity("SayHello", decoded(context)))


@app.orchestration_trigger(context_name="context")
def Parent(context):
    child = yield context.call_sub_orchestrator("Child", "in", f"{context.instance_id}-child")
    return f"parent got: {child}"


@app.orchestration_trigger(context_name="context")
def ParentFails(context):
    yield context.call_sub_orchestrator("Fails", "x", f"{context.instance_id}-child")


@app.orchestration_trigger(context_name="context")
def ParentWaits(context):
    return (
        yield context.call_sub_orchestrator("WaitForEvent", None, f"{context.instance_id}-child")
    )


@app.orchestration_trigger(context_name="context")
def SlowActivity(context):
    return (yield context.call_activity("Slow", 1))


@app.orchestration_trigger(context_name="context")
def CounterCAN(context):
    count = decoded(context) or 0
    yield context.call_activity("Square", count)
    if count < 3:
        context.continue_as_new(count + 1)
        return None
    return count


@app.orchestration_trigger(context_name="context")
def LargeOutput(context):
    return (yield context.call_activity("Large", 70000))


@app.orchestration_trigger(context_name="context")
def DateOut(context):
    return {
        "date": "2024-01-02T03:04:05Z",
        "text": "2024-01-02T03:04:05.678+02:00",
        "num": 1.0,
        "big": 12345678901234567890.0,
        "uni": "é<>&'\u2028",
    }


@app.orchestration_trigger(context_name="context")
def Unhandled(context):
    yield context.call_activity("NoSuchActivity", "x")


@app.orchestration_trigger(context_name="context")
def CallsEntity(context):
    entity = df.EntityId("Counter", context.instance_id)
    context.signal_entity(entity, "add", 2)
    yield context.call_entity(entity, "add", 3)
    return (yield context.call_entity(entity, "get"))


@app.orchestration_trigger(context_name="context")
def EntityFails(context):
    yield context.call_entity(df.EntityId("Counter", "failing"), "fail")


@app.orchestration_trigger(context_name="context")
def LockHolder(context):
    """Only its name is used: the Python SDK has no critical sections."""


# --- entities -----------------------------------------------------------------------------------------------------


def signal_input(context):
    """What a signal carries; get_input() takes only what the SDK's own client has encoded twice."""
    return json.loads(context._input)


@app.entity_trigger(context_name="context")
def Counter(context):
    value = context.get_state(lambda: 0)
    operation = context.operation_name.lower()
    if operation == "add":
        context.set_state(value + int(signal_input(context)))
    elif operation == "get":
        context.set_state(value)
        context.set_result(value)
    elif operation == "delete":
        context.destruct_on_exit()
    elif operation == "fail":
        raise RuntimeError("entity failure")
    else:
        context.set_state(-1)


@app.entity_trigger(context_name="context")
def Store(context):
    if context.operation_name.lower() == "set":
        context.set_state(signal_input(context))
    elif context.operation_name.lower() == "delete":
        context.destruct_on_exit()
