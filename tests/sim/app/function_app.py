"""The orchestrations of the simulation. Their outputs do not depend on how often things were retried."""

from datetime import timedelta

import azure.durable_functions as df

from tests.sim import effects

app = df.DFApp()
LARGE = "x" * 70_000


@app.orchestration_trigger(context_name="context")
def chain(context):
    outputs = []
    for step in range(3):
        context.set_custom_status(step)
        outputs.append((yield context.call_activity("work", f"{context.instance_id}/{step}")))
    return outputs


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    count = context.get_input() or 5
    names = [f"{context.instance_id}/{n}" for n in range(count)]
    results = yield context.task_all([context.call_activity("work", name) for name in names])
    return len(results)


@app.orchestration_trigger(context_name="context")
def timer(context):
    before = context.current_utc_datetime
    due = before + timedelta(seconds=7.5)
    yield context.create_timer(due)
    if context.current_utc_datetime < due:
        return "early"
    return (yield context.call_activity("work", f"{context.instance_id}/after"))


@app.orchestration_trigger(context_name="context")
def events(context):
    seen = []
    while len(seen) < 3:
        seen.append((yield context.wait_for_external_event("go")))
    return sorted(seen)


@app.orchestration_trigger(context_name="context")
def approval(context):
    """The event comes long before the time is up."""
    due = context.current_utc_datetime + timedelta(hours=20)
    alarm = context.create_timer(due)
    answer = context.wait_for_external_event("go")
    winner = yield context.task_any([alarm, answer])
    if winner == answer:
        alarm.cancel()
        return answer.result
    return "late"


@app.orchestration_trigger(context_name="context")
def parent(context):
    one = context.call_sub_orchestrator("chain")
    two = context.call_sub_orchestrator("fan_out", 2, instance_id=f"{context.instance_id}-child")
    results = yield context.task_all([one, two])
    return len(results[0]) + results[1]


@app.orchestration_trigger(context_name="context")
def eternal(context):
    """Goes on at once: events that come while an execution still works are lost with it, on Azure too."""
    state = context.get_input() or {"count": 0, "sum": 0}
    if state["count"] == 4:
        return state["sum"]
    value = yield context.wait_for_external_event("go")
    context.set_custom_status(state["count"])
    context.continue_as_new({"count": state["count"] + 1, "sum": state["sum"] + int(value)})
    return None


@app.orchestration_trigger(context_name="context")
def eternal_wide(context):
    """Its second execution begins with more rows than one transaction of a test takes."""
    if context.get_input() is None:
        yield context.wait_for_external_event("go")
        context.continue_as_new(1)
        return None
    names = [f"{context.instance_id}/{n}" for n in range(7)]
    results = yield context.task_all([context.call_activity("work", name) for name in names])
    return len(results)


@app.orchestration_trigger(context_name="context")
def countdown(context):
    left = context.get_input()
    left = 3 if left is None else left
    if left:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
        context.continue_as_new(left - 1)
        return None
    return "zero"


@app.orchestration_trigger(context_name="context")
def retry(context):
    options = df.RetryOptions(2_000, 6)
    return (yield context.call_activity_with_retry("flaky", options, context.instance_id))


@app.orchestration_trigger(context_name="context")
def retry_child(context):
    options = df.RetryOptions(2_000, 2)
    try:
        yield context.call_sub_orchestrator_with_retry("failing", options)
    except Exception:
        return "caught"
    return "not caught"


@app.orchestration_trigger(context_name="context")
def failing(context):
    yield context.call_activity("broken", context.instance_id)


@app.orchestration_trigger(context_name="context")
def steered(context):
    """Suspended, given an event, resumed."""
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def endless(context):
    """Terminated."""
    yield context.wait_for_external_event("never")


@app.orchestration_trigger(context_name="context")
def mended(context):
    """Fails until the world is put right, and is rewound then."""
    first = yield context.call_activity("work", f"{context.instance_id}/first")
    second = yield context.call_activity("breakable", context.instance_id)
    return [first, second]


@app.orchestration_trigger(context_name="context")
def mended_parent(context):
    return (
        yield context.call_sub_orchestrator("mended", instance_id=f"{context.instance_id}-child")
    )


@app.orchestration_trigger(context_name="context")
def large(context):
    text = context.get_input()["text"]
    first = yield context.call_activity("grow", text)
    event = yield context.wait_for_external_event("go")
    child = yield context.call_sub_orchestrator("echo", {"text": first})
    return [len(text), len(event), child]


@app.orchestration_trigger(context_name="context")
def large_eternal(context):
    """Each execution replaces large payloads of the one before."""
    state = context.get_input()
    if state["count"] == 3:
        return state["text"]
    yield context.call_activity("grow", state["text"])
    context.continue_as_new({"text": state["text"] + "y", "count": state["count"] + 1})
    return None


@app.orchestration_trigger(context_name="context")
def echo(context):
    yield context.call_activity("work", f"{context.instance_id}/echo")
    return context.get_input()["text"]


@app.entity_trigger(context_name="context", entity_name="Ledger")
def ledger(context):
    """Keeps what was added, in order: what comes twice, or too late, can be seen."""
    entries = context.get_state(list)
    if context.operation_name == "add":
        entries = [*entries, context.get_input()]
    context.set_state(entries)
    context.set_result(entries)


@app.orchestration_trigger(context_name="context")
def entries(context):
    entity = df.EntityId("Ledger", context.instance_id)
    context.signal_entity(entity, "add", 1)
    context.signal_entity(entity, "add", 2)
    yield context.call_entity(entity, "add", 3)
    yield context.call_activity("work", f"{context.instance_id}/between")
    context.signal_entity(entity, "add", 4)
    return (yield context.call_entity(entity, "get"))


@app.orchestration_trigger(context_name="context")
def listener(context):
    return (yield context.wait_for_external_event("go"))


@app.activity_trigger(input_name="name")
def work(name: str) -> str:
    effects.current().done(name)
    return name


@app.activity_trigger(input_name="text")
def grow(text: str) -> str:
    return text + LARGE


@app.activity_trigger(input_name="name")
def flaky(name: str) -> str:
    if effects.current().done(name) < 3:
        raise ValueError("not yet")
    return "at last"


@app.activity_trigger(input_name="name")
def broken(name: str) -> str:
    effects.current().done(name)
    raise ValueError("broken")


@app.activity_trigger(input_name="name")
def breakable(name: str) -> str:
    effects.current().done(name)
    if not any(name.startswith(instance) for instance in effects.current().put_right):
        raise ValueError("broken for now")
    return "mended"
