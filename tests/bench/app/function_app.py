"""The workloads' orchestrators."""

import time

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.activity_trigger(input_name="name")
def hello(name: str) -> str:
    return f"Hello {name}!"


@app.activity_trigger(input_name="text")
def length(text: str) -> int:
    return len(text)


@app.orchestration_trigger(context_name="context")
def measure_text(context):
    return (yield context.call_activity("length", context.get_input()["text"]))


@app.orchestration_trigger(context_name="context")
def chain(context):
    results = []
    for _ in range(int(context.get_input()["n"])):
        results.append((yield context.call_activity("hello", "Tokyo")))
    return results


@app.orchestration_trigger(context_name="context")
def hello_sequence(context):
    results = []
    for city in ("Tokyo", "Seattle", "London"):
        results.append((yield context.call_activity("hello", city)))
    return results


@app.orchestration_trigger(context_name="context")
def fan(context):
    count = int(context.get_input()["n"])
    results = yield context.task_all([context.call_activity("hello", str(n)) for n in range(count)])
    return len(results)


@app.activity_trigger(input_name="milliseconds")
def work(milliseconds: int) -> int:
    """Takes CPU, not time: what another thread does meanwhile does not count."""
    end = time.thread_time() + int(milliseconds) / 1000
    rounds = 0
    while time.thread_time() < end:
        rounds += 1
    return rounds


@app.orchestration_trigger(context_name="context")
def works(context):
    count = int(context.get_input()["n"])
    results = yield context.task_all([context.call_activity("work", 50) for _ in range(count)])
    return len(results)


@app.orchestration_trigger(context_name="context")
def children(context):
    count = int(context.get_input()["n"])
    results = yield context.task_all(
        [context.call_sub_orchestrator("chain", {"n": 1}) for _ in range(count)]
    )
    return len(results)


@app.orchestration_trigger(context_name="context")
def waits(context):
    for _ in range(int(context.get_input()["n"])):
        yield context.wait_for_external_event("go")
    return "done"


@app.entity_trigger(context_name="context")
def counter(context):
    state = context.get_state(lambda: 0)
    if context.operation_name == "add":
        state += 1
    context.set_state(state)
    context.set_result(state)
