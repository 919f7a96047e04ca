"""Orchestrators of every kind, for the scenarios of the behaviour suite. Times are seconds, given by the input."""

import asyncio
import json
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
ONCE: dict[str, int] = {}


def after(context, seconds):
    return context.current_utc_datetime + timedelta(seconds=seconds)


# --- activities ---------------------------------------------------------------------------------------------------


@app.activity_trigger(input_name="value")
def echo(value):
    return value


@app.activity_trigger(input_name="name")
def hello(name: str) -> str:
    return f"Hello {name}!"


@app.activity_trigger(input_name="name")
async def hello_async(name: str) -> str:
    await asyncio.sleep(0)
    return f"Hello {name}!"


@app.activity_trigger(input_name="seconds")
async def slow(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@app.activity_trigger(input_name="text")
def bad(text: str):
    raise ValueError(text)


def flaky_once(arguments: list) -> str:
    """Fails as often as it is told to, for one key."""
    key, failures = arguments
    ONCE[key] = ONCE.get(key, 0) + 1
    if ONCE[key] <= failures:
        raise RuntimeError(f"attempt {ONCE[key]}")
    return f"attempt {ONCE[key]}"


@app.activity_trigger(input_name="arguments")
def flaky(arguments: list) -> str:
    return flaky_once(arguments)


@app.activity_trigger(input_name="arguments")
async def flaky_later(arguments: list) -> str:
    """Is flaky after all that began with it has long ended."""
    await asyncio.sleep(1)
    return flaky_once(arguments)


@app.activity_trigger(input_name="nothing")
def returns_bytes(nothing):
    return b"raw"


@app.activity_trigger(input_name="size")
def letters(size: int) -> str:
    return "x" * size


@app.function_name("renamed_function")
@app.activity_trigger(input_name="value", activity="renamed_activity")
def has_another_name(value):
    return ["renamed", value]


# --- chains and results -------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def returns(context):
    return context.get_input()
    yield


@app.orchestration_trigger(context_name="context")
def returns_plainly(context):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def chain(context):
    results = []
    for city in context.get_input():
        results.append((yield context.call_activity("hello", city)))
    return results


@app.orchestration_trigger(context_name="context")
def chain_by_function(context):
    first = yield context.call_activity(echo, 1)
    second = yield context.call_activity(hello_async, "again")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def calls(context):
    """One call of an activity by name, with an input."""
    name, value = context.get_input()
    return (yield context.call_activity(name, value))


@app.orchestration_trigger(context_name="context")
def catches(context):
    name, value = context.get_input()
    try:
        yield context.call_activity(name, value)
    except Exception as error:
        return str(error).split("\n")[0].strip()
    return "no error"


@app.orchestration_trigger(context_name="context")
def compensates(context):
    try:
        yield context.call_activity("bad", "first")
    except Exception:
        return (yield context.call_activity("echo", "compensated"))


@app.orchestration_trigger(context_name="context")
def raises(context):
    """Before the first yield, or behind it."""
    if context.get_input() == "later":
        yield context.call_activity("echo", 1)
    raise ValueError(f"raised {context.get_input()}")


@app.orchestration_trigger(context_name="context")
def raises_plainly(context):
    raise TypeError("plain")


@app.orchestration_trigger(context_name="context")
def returns_what_is_no_json(context):
    yield context.call_activity("echo", 1)
    return object()


@app.orchestration_trigger(context_name="context")
def yields_nonsense(context):
    yield 5


@app.orchestration_trigger(context_name="context")
def raises_empty(context):
    yield context.call_activity("echo", 1)
    raise KeyError


# --- fan-out, any, all --------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    return (
        yield context.task_all(
            [context.call_activity("echo", n) for n in range(context.get_input())]
        )
    )


@app.orchestration_trigger(context_name="context")
def fan_out_slow(context):
    return (yield context.task_all([context.call_activity("slow", s) for s in context.get_input()]))


@app.orchestration_trigger(context_name="context")
def any_of_slow(context):
    tasks = [context.call_activity("slow", s) for s in context.get_input()]
    winner = yield context.task_any(tasks)
    return tasks.index(winner)


@app.orchestration_trigger(context_name="context")
def all_with_a_failure(context):
    """The failure is seen at once, the slow sibling goes on."""
    tasks = [
        context.call_activity("bad", "one"),
        context.call_activity("slow", context.get_input()),
    ]
    try:
        yield context.task_all(tasks)
    except Exception:
        yield context.call_activity("echo", "undone")
        return "undone"


@app.orchestration_trigger(context_name="context")
def any_then_all(context):
    tasks = [context.call_activity("slow", s) for s in (1, 3, 2)]
    first = yield context.task_any(tasks)
    rest = [task for task in tasks if task is not first]
    return [first.result, (yield context.task_all(rest))]


@app.orchestration_trigger(context_name="context")
def all_of_any(context):
    pairs = [
        context.task_any([context.call_activity("slow", a), context.call_activity("slow", b)])
        for a, b in ((1, 2), (4, 3))
    ]
    winners = yield context.task_all(pairs)
    return [winner.result for winner in winners]


@app.orchestration_trigger(context_name="context")
def any_of_all(context):
    left = context.task_all([context.call_activity("slow", s) for s in (1, 2)])
    right = context.task_all([context.call_activity("slow", s) for s in (1, 4)])
    winner = yield context.task_any([left, right])
    return "left" if winner is left else "right"


@app.orchestration_trigger(context_name="context")
def all_of_nothing(context):
    yield context.task_all([])
    return "went on"


@app.orchestration_trigger(context_name="context")
def any_of_nothing(context):
    yield context.task_any([])
    return "went on"


@app.orchestration_trigger(context_name="context")
def all_twice(context):
    """Tasks that were scheduled are awaited again."""
    tasks = [context.call_activity("echo", n) for n in range(3)]
    first = yield context.task_all(tasks)
    second = yield context.task_all(tasks)
    return [first, second]


@app.orchestration_trigger(context_name="context")
def out_of_order(context):
    """Tasks get their ids as they are awaited."""
    a = context.call_activity("echo", "a")
    b = context.call_activity("echo", "b")
    second = yield b
    first = yield a
    return [first, second]


@app.orchestration_trigger(context_name="context")
def never_awaited(context):
    context.call_activity("echo", "lost")
    return (yield context.call_activity("echo", "kept"))


# --- retries ------------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def retries(context):
    failures, attempts, interval_ms = context.get_input()
    options = df.RetryOptions(interval_ms, attempts)
    return (
        yield context.call_activity_with_retry("flaky", options, [context.instance_id, failures])
    )


@app.orchestration_trigger(context_name="context")
def retries_caught(context):
    failures, attempts, interval_ms = context.get_input()
    options = df.RetryOptions(interval_ms, attempts)
    try:
        yield context.call_activity_with_retry("flaky", options, [context.instance_id, failures])
    except Exception as error:
        return str(error).split("\n")[0].strip()


@app.orchestration_trigger(context_name="context")
def retries_in_parallel(context):
    options = df.RetryOptions(2000, 3)
    key = context.instance_id
    calls = [
        context.call_activity_with_retry("flaky", options, [f"{key}{n}", failures])
        for n, failures in enumerate((0, 1, 1))
    ]
    return (yield context.task_all(calls))


@app.orchestration_trigger(context_name="context")
def retries_a_child(context):
    failures, attempts = context.get_input()
    options = df.RetryOptions(1000, attempts)
    return (
        yield context.call_sub_orchestrator_with_retry(
            "flaky_child", options, [context.instance_id, failures]
        )
    )


@app.orchestration_trigger(context_name="context")
def flaky_child(context):
    return (yield context.call_activity("flaky", context.get_input()))


# --- timers -------------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def sleeps(context):
    yield context.create_timer(after(context, context.get_input()))
    return "slept"


@app.orchestration_trigger(context_name="context")
def sleeps_often(context):
    for _ in range(3):
        yield context.create_timer(after(context, context.get_input()))
    return "slept"


@app.orchestration_trigger(context_name="context")
def two_timers(context):
    short, long = (context.create_timer(after(context, s)) for s in context.get_input())
    winner = yield context.task_any([short, long])
    if winner is short:
        long.cancel()
    return "short" if winner is short else "long"


@app.orchestration_trigger(context_name="context")
def timer_against_event(context):
    """A deadline, cancelled when the event comes in time."""
    timer = context.create_timer(after(context, context.get_input()))
    event = context.wait_for_external_event("approval")
    winner = yield context.task_any([event, timer])
    if winner is event:
        timer.cancel()
        return ["approved", event.result]
    return ["too late"]


@app.orchestration_trigger(context_name="context")
def timer_left_running(context):
    """Without the cancellation the instance cannot end before the timer."""
    timer = context.create_timer(after(context, context.get_input()))
    event = context.wait_for_external_event("approval")
    yield context.task_any([event, timer])
    return "went on"


@app.orchestration_trigger(context_name="context")
def timer_against_activity(context):
    deadline, work = context.get_input()
    timer = context.create_timer(after(context, deadline))
    activity = context.call_activity("slow", work)
    winner = yield context.task_any([timer, activity])
    if winner is activity:
        timer.cancel()
        return "done"
    return "too slow"


@app.orchestration_trigger(context_name="context")
def keeps_time(context):
    first = context.current_utc_datetime
    yield context.create_timer(after(context, 10))
    return (context.current_utc_datetime - first).total_seconds() >= 10


# --- events -------------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event(context.get_input()))


@app.orchestration_trigger(context_name="context")
def waits_for_all(context):
    return (
        yield context.task_all([context.wait_for_external_event(n) for n in context.get_input()])
    )


@app.orchestration_trigger(context_name="context")
def waits_for_any(context):
    names = context.get_input()
    tasks = [context.wait_for_external_event(n) for n in names]
    winner = yield context.task_any(tasks)
    return names[tasks.index(winner)]


@app.orchestration_trigger(context_name="context")
def waits_in_turn(context):
    found = []
    for _ in range(context.get_input()):
        found.append((yield context.wait_for_external_event("go")))
    return found


@app.orchestration_trigger(context_name="context")
def works_then_waits(context):
    yield context.call_activity("slow", context.get_input())
    return (yield context.wait_for_external_event("go"))


# --- children -----------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def parent(context):
    """Children by name: [name, input, id or null] each, one after the other."""
    results = []
    for name, value, child_id in context.get_input():
        results.append((yield context.call_sub_orchestrator(name, value, child_id)))
    return results


@app.orchestration_trigger(context_name="context")
def parent_catches(context):
    name, value, child_id = context.get_input()
    try:
        yield context.call_sub_orchestrator(name, value, child_id)
    except Exception as error:
        return str(error).split("\n")[0].strip()


@app.orchestration_trigger(context_name="context")
def parent_of_many(context):
    children = [context.call_sub_orchestrator("returns", n) for n in range(context.get_input())]
    return (yield context.task_all(children))


@app.orchestration_trigger(context_name="context")
def tells_its_parent(context):
    return context.parent_instance_id
    yield


@app.orchestration_trigger(context_name="context")
def nests(context):
    depth = context.get_input()
    if depth == 0:
        return 0
    return (yield context.call_sub_orchestrator("nests", depth - 1)) + 1


# --- continue as new ----------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def counts_down(context):
    left = context.get_input()
    if left:
        yield context.call_activity("echo", left)
        context.continue_as_new(left - 1)
        return None
    return "zero"


@app.orchestration_trigger(context_name="context")
def counts_down_at_once(context):
    left = context.get_input()
    if left:
        context.continue_as_new(left - 1)
        return None
    return "zero"
    yield


@app.orchestration_trigger(context_name="context")
def collects(context):
    """Takes events one at a time, each in an execution of its own."""
    seen = context.get_input()
    seen.append((yield context.wait_for_external_event("item")))
    if len(seen) < 3:
        context.continue_as_new(seen)
        return None
    return seen


@app.orchestration_trigger(context_name="context")
def polls(context):
    """The eternal orchestration of the documents, with an end."""
    left = context.get_input()
    yield context.create_timer(after(context, 5))
    if left:
        context.continue_as_new(left - 1)
        return None
    return "rested"


@app.orchestration_trigger(context_name="context")
def continues_with_open_tasks(context):
    """A task that is still running holds the next execution back."""
    left = context.get_input()
    if left:
        tasks = [context.call_activity("slow", 1), context.call_activity("slow", 3)]
        yield context.task_any(tasks)
        context.continue_as_new(left - 1)
        return None
    return "all ended"


# --- status, ids, time --------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def sets_status(context):
    for status in context.get_input():
        context.set_custom_status(status)
        yield context.call_activity("echo", 1)
    return "done"


@app.orchestration_trigger(context_name="context")
def sets_large_status(context):
    context.set_custom_status("s" * context.get_input())
    return (yield context.call_activity("echo", 1))


@app.orchestration_trigger(context_name="context")
def makes_ids(context):
    first = [str(context.new_uuid()) for _ in range(2)]
    yield context.call_activity("echo", 1)
    again = str(context.new_uuid())
    return len({*first, again})


@app.orchestration_trigger(context_name="context")
def knows_itself(context):
    yield context.call_activity("echo", 1)
    return [context.instance_id, context.parent_instance_id, context.is_replaying]


@app.orchestration_trigger(context_name="context")
def large_output(context):
    text = yield context.call_activity("letters", context.get_input())
    return len(text)


@app.orchestration_trigger(context_name="context")
def returns_large(context):
    return "y" * context.get_input()
    yield


# --- where the real product would do something else --------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def waits_again_with_an_old_timer(context):
    timer = context.create_timer(after(context, 3))
    seen = 0
    while True:
        winner = yield context.task_any([context.wait_for_external_event("go"), timer])
        if winner is timer:
            return seen
        seen += 1


@app.orchestration_trigger(context_name="context")
def works_then_waits_twice(context):
    yield context.call_activity("slow", 2)
    first = yield context.wait_for_external_event("go")
    second = yield context.wait_for_external_event("go")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def cancels_and_continues(context):
    left = context.get_input()
    if not left:
        return "rested"
    timer = context.create_timer(after(context, 60))
    event = context.wait_for_external_event("go")
    yield context.task_any([event, timer])
    timer.cancel()
    context.continue_as_new(left - 1)


@app.orchestration_trigger(context_name="context")
def cancels_beside_a_retry(context):
    timer = context.create_timer(after(context, 60))
    retry = context.call_activity_with_retry(
        "flaky", df.RetryOptions(3000, 2), [context.instance_id, 1]
    )
    yield context.task_any([context.wait_for_external_event("go"), timer, retry])
    timer.cancel()
    return (yield context.call_activity("echo", "next"))


@app.orchestration_trigger(context_name="context")
def fails_fast_beside_a_retry(context):
    retry = context.call_activity_with_retry(
        "flaky_later", df.RetryOptions(1000, 2), [context.instance_id, 1]
    )
    try:
        yield context.task_all([context.call_activity("bad", "one"), retry])
    except Exception:
        return (yield context.call_activity("echo", "next"))


@app.orchestration_trigger(context_name="context")
def depends_on_chance(context):
    """Asks for something else at its second run."""
    ONCE["runs"] = ONCE.get("runs", 0) + 1
    yield context.call_activity("echo" if ONCE["runs"] == 1 else "hello", "x")
    return "never"


# --- what the real product answers with a hang --------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def calls_what_is_not_there(context):
    kind = context.get_input()
    if kind == "activity":
        yield context.call_activity("helo", 1)
    elif kind == "child":
        yield context.call_sub_orchestrator("retuns", 1)
    elif kind == "entity":
        yield context.call_entity(df.EntityId("nobody", "k"), "get")
    elif kind == "signal":
        context.signal_entity(df.EntityId("nobody", "k"), "add", 1)
        yield context.call_activity("echo", 1)


@app.orchestration_trigger(context_name="context")
def calls_by_function_of_another_name(context):
    """The SDK calls by the name of the Python function, under which the host knows nothing."""
    yield context.call_activity(has_another_name, 1)


@app.orchestration_trigger(context_name="context")
def starts_a_version(context):
    yield context.call_sub_orchestrator("returns", 1, version="9")


@app.orchestration_trigger(context_name="context")
def starts_itself(context):
    yield context.call_sub_orchestrator("returns", 1, context.instance_id)


@app.orchestration_trigger(context_name="context")
def starts_a_bad_id(context):
    yield context.call_sub_orchestrator("returns", 1, context.get_input())


@app.orchestration_trigger(context_name="context")
def rewinds(context):
    """Fails at its second activity until that has been called often enough."""
    first = yield context.call_activity("echo", "kept")
    second = yield context.call_activity("flaky", [context.instance_id, context.get_input()])
    return [first, second]


@app.orchestration_trigger(context_name="context")
def rewinds_a_child(context):
    value = yield context.call_sub_orchestrator(
        "rewinds", context.get_input(), f"{context.instance_id}-child"
    )
    return json.dumps(value)
