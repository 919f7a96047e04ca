"""The orchestrations of the recordings of the storage provider, whose code was C#, in Python.

What each does is read off its recorded history, messages and outputs. Recorded inputs are JSON, encoded once, as an
app in C# leaves them; `get_input()` reads only what Python clients encode twice, so `given()` reads both.
"""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from tests.e2e import outside_world as world

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
KABOOM = "Kaboom: "


def given(context: df.DurableOrchestrationContext) -> Any:
    """The input as a value, however often it is encoded."""
    value: Any = context._input
    while isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return value


def raw(value: Any) -> str | None:
    """JSON as the recorded app saw it; it did not parse what it got."""
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- activities ---------------------------------------------------------------------------------------------------


@app.activity_trigger(input_name="name")
def Hello(name: object) -> str:  # noqa: N802 - its recorded name, here and below
    return f"Hello {name}!"


@app.activity_trigger(input_name="number")
def Double(number: int) -> int:  # noqa: N802
    return 2 * number


@app.activity_trigger(input_name="milliseconds")
def Slow(milliseconds: int) -> None:  # noqa: N802
    """It took so long; nothing looks at that here."""
    del milliseconds


@app.activity_trigger(input_name="length")
def Big(length: int) -> str:  # noqa: N802
    return "b" * length


@app.activity_trigger(input_name="text")
def Throw(text: str) -> None:  # noqa: N802
    raise ValueError(f"{KABOOM}{text}")


@app.activity_trigger(input_name="text")
def FailTwice(text: str) -> str:  # noqa: N802
    del text
    world.attempts += 1
    if world.attempts < world.LUCKY_ATTEMPT:
        raise ValueError(f"try {world.attempts}")
    return "third time lucky"


@app.activity_trigger(input_name="name")
def FailUntilHealthy(name: str) -> str:  # noqa: N802
    if not world.is_healthy:
        raise ValueError("not healthy yet")
    return f"Hello {name}!"


# --- orchestrations -----------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def NoActivity(context: df.DurableOrchestrationContext):  # noqa: N802
    value = given(context)
    return None if value is None else f"got {raw(value)}"


@app.orchestration_trigger(context_name="context")
def Chain3(context: df.DurableOrchestrationContext):  # noqa: N802
    greetings = []
    for city in ("Tokyo", "Seattle", "London"):
        greetings.append((yield context.call_activity("Hello", city)))
    return greetings


@app.orchestration_trigger(context_name="context")
def ChainN(context: df.DurableOrchestrationContext):  # noqa: N802
    count = given(context)
    for number in range(count):
        yield context.call_activity("Hello", number)
    return count


@app.orchestration_trigger(context_name="context")
def ChainSlow(context: df.DurableOrchestrationContext):  # noqa: N802
    count = given(context)
    for _ in range(count):
        yield context.call_activity("Slow", 200)
    return count


@app.orchestration_trigger(context_name="context")
def FanOut(context: df.DurableOrchestrationContext):  # noqa: N802
    tasks = [context.call_activity("Double", number) for number in range(given(context))]
    return sum((yield context.task_all(tasks)))


@app.orchestration_trigger(context_name="context")
def FanSlow(context: df.DurableOrchestrationContext):  # noqa: N802
    count = given(context)
    tasks = [context.call_activity("Slow", 100 + 150 * number) for number in range(count)]
    yield context.task_all(tasks)
    return count


@app.orchestration_trigger(context_name="context")
def Timer(context: df.DurableOrchestrationContext):  # noqa: N802
    yield _timer(context, given(context))
    return "rang"


def _timer(context: df.DurableOrchestrationContext, seconds: float) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


@app.orchestration_trigger(context_name="context")
def TimerRace(context: df.DurableOrchestrationContext):  # noqa: N802
    timer = _timer(context, given(context))
    approval = context.wait_for_external_event("Approval")
    winner = yield context.task_any([approval, timer])
    if winner == timer:
        return "timed out"
    timer.cancel()
    return f"approved: {raw(approval.result)}"


@app.orchestration_trigger(context_name="context")
def WaitTwo(context: df.DurableOrchestrationContext):  # noqa: N802
    first = yield context.wait_for_external_event("A")
    second = yield context.wait_for_external_event("B")
    return [raw(first), raw(second)]


@app.orchestration_trigger(context_name="context")
def Child(context: df.DurableOrchestrationContext):  # noqa: N802
    return (yield context.call_activity("Hello", given(context)))


@app.orchestration_trigger(context_name="context")
def Parent(context: df.DurableOrchestrationContext):  # noqa: N802
    first = yield context.call_sub_orchestrator("Child", given(context))
    named = f"{context.instance_id}:named"
    second = yield context.call_sub_orchestrator("Child", "B", named)
    return [first, second]


@app.orchestration_trigger(context_name="context")
def Count(context: df.DurableOrchestrationContext):  # noqa: N802
    number = given(context)
    if number < 3:
        context.continue_as_new(number + 1)
        return None
    return number


@app.orchestration_trigger(context_name="context")
def CountEvents(context: df.DurableOrchestrationContext):  # noqa: N802
    event = yield context.wait_for_external_event("Inc")
    number = given(context) + 1
    context.set_custom_status({"n": number})
    if event == "end":
        return number
    context.continue_as_new(number)
    return None


@app.orchestration_trigger(context_name="context")
def Status(context: df.DurableOrchestrationContext):  # noqa: N802
    context.set_custom_status({"phase": "one", "percent": 10})
    yield context.call_activity("Hello", "a")
    context.set_custom_status("two")
    yield context.wait_for_external_event("go")
    return "done"


@app.orchestration_trigger(context_name="context")
def Large(context: df.DurableOrchestrationContext):  # noqa: N802
    length = int(given(context).split()[0])
    big = yield context.call_activity("Big", length)
    context.set_custom_status(f"kept {len(big)}")
    return big


@app.orchestration_trigger(context_name="context")
def Mixed(context: df.DurableOrchestrationContext):  # noqa: N802
    context.set_custom_status("fan")
    doubled = yield context.task_all([context.call_activity("Double", n) for n in range(3)])
    context.set_custom_status("sub")
    greeting = yield context.call_sub_orchestrator("Child", "mixed")
    context.set_custom_status("timer")
    yield _timer(context, 1)
    context.set_custom_status("event")
    event = yield context.wait_for_external_event("go")
    with contextlib.suppress(Exception):
        yield context.call_activity("Throw", "x")
    return [sum(doubled), greeting, raw(event)]


# --- orchestrations that fail -------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def FailInActivity(context: df.DurableOrchestrationContext):  # noqa: N802
    yield context.call_activity("Throw", "bad")


@app.orchestration_trigger(context_name="context")
def CatchFailure(context: df.DurableOrchestrationContext):  # noqa: N802
    try:
        yield context.call_activity("Throw", "bad")
    except Exception as error:
        return f"caught Activity failed: {_kaboom(error)}"


def _kaboom(error: Exception) -> str:
    """What was thrown, out of a failure that either worker may have written."""
    _, mark, rest = str(error).partition(KABOOM)
    return f"{mark}{rest.split()[0]}"


@app.orchestration_trigger(context_name="context")
def FailItself(context: df.DurableOrchestrationContext):  # noqa: N802
    raise ValueError("orchestrator kaboom")
    yield context  # makes it a generator


@app.orchestration_trigger(context_name="context")
def Retry(context: df.DurableOrchestrationContext):  # noqa: N802
    return (yield context.call_activity_with_retry("FailTwice", _options(), "x"))


def _options() -> df.RetryOptions:
    return df.RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=3)


@app.orchestration_trigger(context_name="context")
def SubRetry(context: df.DurableOrchestrationContext):  # noqa: N802
    return (yield context.call_sub_orchestrator_with_retry("ChildFailTwice", _options(), "x"))


@app.orchestration_trigger(context_name="context")
def ChildFailTwice(context: df.DurableOrchestrationContext):  # noqa: N802
    return (yield context.call_activity("FailTwice", given(context)))


@app.orchestration_trigger(context_name="context")
def Unhealthy(context: df.DurableOrchestrationContext):  # noqa: N802
    first = yield context.call_activity("Hello", "ok")
    second = yield context.call_activity("FailUntilHealthy", "fixed")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def ParentOfFailing(context: df.DurableOrchestrationContext):  # noqa: N802
    return (yield context.call_sub_orchestrator("ChildFailing", "x"))


@app.orchestration_trigger(context_name="context")
def ChildFailing(context: df.DurableOrchestrationContext):  # noqa: N802
    return (yield context.call_activity("FailUntilHealthy", given(context)))


# --- not of the recordings ----------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context")
def Counter(context: df.DurableEntityContext):  # noqa: N802
    count = context.get_state(lambda: 0) + (context.get_input() or 0)
    context.set_state(count)
    context.set_result(count)


@app.orchestration_trigger(context_name="context")
def Counting(context: df.DurableOrchestrationContext):  # noqa: N802
    counter = df.EntityId("Counter", context.instance_id)
    context.signal_entity(counter, "add", 1)
    yield context.call_entity(counter, "add", 2)
    yield _timer(context, 3600)


@app.orchestration_trigger(context_name="context")
def Complaining(context: df.DurableOrchestrationContext):  # noqa: N802
    """Fails with as long a text as it is told to."""
    yield context.call_activity("Throw", given(context) * "e")


@app.orchestration_trigger(context_name="context")
def LargeGenerations(context: df.DurableOrchestrationContext):  # noqa: N802
    generation = given(context)
    yield context.call_activity("Hello", "once")
    if generation["left"]:
        context.continue_as_new({**generation, "left": generation["left"] - 1})
    return len(generation["text"])
