from datetime import timedelta

import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def greeting(context: df.DurableOrchestrationContext):
    result = yield context.call_activity("say", context.get_input() or "nobody")
    return result


@app.activity_trigger(input_name="name")
def say(name: str):
    return f"Hello {name}!"


@app.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    context.set_custom_status("asking")
    first = yield context.wait_for_external_event("first")
    second = yield context.wait_for_external_event("second")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def sleeper(context: df.DurableOrchestrationContext):
    yield context.create_timer(context.current_utc_datetime + timedelta(days=1))


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    result = yield context.call_sub_orchestrator("approval", None, "the-child")
    return result


@app.orchestration_trigger(context_name="context")
def broken(context: df.DurableOrchestrationContext):
    yield context.call_activity("fail", None)


@app.activity_trigger(input_name="nothing")
def fail(nothing: str):
    raise ValueError("it is broken")


@app.orchestration_trigger(context_name="context")
def napper(context: df.DurableOrchestrationContext):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
    return "awake"


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    context.set_state(context.get_state(lambda: 0) + 1)
