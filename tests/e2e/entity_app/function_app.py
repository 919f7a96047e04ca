"""Entities as apps write them, and orchestrations that speak to them."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
attempts: dict[str, int] = {}


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context):
    total = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            total += context.get_input()
            context.set_state(total)
            context.set_result(total)
        case "get":
            context.set_result(total)
        case "fail":
            context.set_state(total + 1000)
            raise ValueError(f"no {context.entity_key}")
        case "delete":
            context.destruct_on_exit()


@app.entity_trigger(context_name="context")
def journal(context):
    lines = context.get_state(list)
    if context.operation_name == "append":
        lines.append(context.get_input())
        context.set_state(lines)
    context.set_result(lines)


@app.entity_trigger(context_name="context", entity_name="Fragile")
def fragile(context):
    """Leaves a state that is no JSON, so that the whole batch fails: for ever, or twice."""
    if context.operation_name == "write":
        context.set_state(context.get_input())
        return
    failed = attempts.get(context.entity_key, 0)
    attempts[context.entity_key] = failed + 1
    lasts = context.operation_name == "break"
    context.set_state(object() if lasts or failed < 2 else failed)


def counter_of(context):
    return df.EntityId("Counter", context.get_input() or context.instance_id)


@app.orchestration_trigger(context_name="context")
def call(context):
    entity = counter_of(context)
    first = yield context.call_entity(entity, "add", 5)
    second = yield context.call_entity(entity, "add", 2)
    return [first, second, (yield context.call_entity(entity, "get"))]


@app.orchestration_trigger(context_name="context")
def signal_in_order(context):
    entity = df.EntityId("journal", context.instance_id)
    for number in range(100):
        context.signal_entity(entity, "append", number)
    return (yield context.call_entity(entity, "read"))


@app.orchestration_trigger(context_name="context")
def catch(context):
    entity = counter_of(context)
    try:
        yield context.call_entity(entity, "fail")
    except Exception as error:
        return [str(error), (yield context.call_entity(entity, "get"))]


@app.orchestration_trigger(context_name="context")
def do_not_catch(context):
    yield context.call_entity(counter_of(context), "fail")


@app.orchestration_trigger(context_name="context")
def call_unknown(context):
    yield context.call_entity(df.EntityId("Contour", "k"), "get")


@app.orchestration_trigger(context_name="context")
def signal_unknown(context):
    context.signal_entity(df.EntityId("Nobody", "k"), "add", 1)
    yield context.call_entity(df.EntityId("Counter", "k"), "get")


@app.orchestration_trigger(context_name="context")
def call_many(context):
    calls = [
        context.call_entity(df.EntityId("Counter", f"{context.instance_id}-{n % 5}"), "add", 1)
        for n in range(20)
    ]
    return sorted((yield context.task_all(calls)))


@app.orchestration_trigger(context_name="context")
def generations(context):
    left = context.get_input()
    entity = df.EntityId("journal", context.instance_id)
    context.signal_entity(entity, "append", left)
    if left:
        context.continue_as_new(left - 1)
        return None
    return (yield context.call_entity(entity, "read"))


@app.orchestration_trigger(context_name="context")
def call_fragile(context):
    try:
        yield context.call_entity(df.EntityId("Fragile", context.instance_id), context.get_input())
    except Exception as error:
        return str(error)
