"""Which timers are told of as firing at once on Azure."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from emulator.core.actions import CallActivity, CreateTimer, RetryOptions
from emulator.core.events import (
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
)
from emulator.core.http_call import HTTP_ACTIVITY, call_of
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.parity import Rule
from emulator.core.replay import Replay, Rules
from tests.support.clocks import BEGINNING

ME = OrchestrationInstance(instance_id=InstanceId("i"), execution_id=ExecutionId("e"))
PLACE = "function_app.py, line 7"


def begun() -> Replay:
    replay = Replay(Rules())
    replay.apply(OrchestratorStarted(timestamp=BEGINNING))
    replay.apply(
        ExecutionStarted(timestamp=BEGINNING, instance=ME, name="f", version=None, input=None)
    )
    return replay


def timer(seconds: float) -> CreateTimer:
    return CreateTimer(fire_at=BEGINNING.plus(timedelta(seconds=seconds)))


def told(replay: Replay) -> str | None:
    found = replay.early_timer()
    assert found is None or found.rule is Rule.TIMERS_EARLY
    return found.message if found is not None else None


@pytest.mark.parametrize("seconds", [-60, 0, 0.005, 0.01, 1.000001, 1.5, 2, 86_400, 864_000])
def test_a_delay_too_short_to_notice_or_longer_than_a_second_is_not_told_of(seconds: float) -> None:
    replay = begun()
    replay.perform([timer(seconds)], PLACE)
    assert told(replay) is None


@pytest.mark.parametrize(("seconds", "shown"), [(0.011, "0.011 s"), (0.25, "0.25 s"), (1, "1 s")])
def test_a_timer_of_a_second_or_less_is_told_of_with_its_place(seconds: float, shown: str) -> None:
    replay = begun()
    replay.perform([timer(30), timer(seconds)], PLACE)
    text = told(replay)
    assert text is not None
    assert text.startswith(f"A timer ({PLACE}) is due in {shown}. On Azure it is there at once")


def test_a_timer_that_was_cancelled_meanwhile_is_not_told_of() -> None:
    replay = begun()
    replay.perform([timer(0.5), CreateTimer(fire_at=timer(0.5).fire_at, cancelled=True)])
    replay.cancel(0)
    assert told(replay) is None


def test_a_timer_that_the_history_has_is_not_told_of_again() -> None:
    replay = begun()
    replay.perform([timer(0.5)])
    replay.apply(TimerCreated(timestamp=BEGINNING, event_id=0, fire_at=timer(0.5).fire_at))
    assert told(replay) is None


@pytest.mark.parametrize(("attempts", "interval_s", "is_told"), [(3, 1, True), (3, 2, False)])
def test_the_delay_of_a_retry_is_told_of_by_what_is_retried(
    attempts: int, interval_s: int, is_told: bool
) -> None:
    text = told(failed_once(attempts, interval_s))
    assert (text is not None) == is_told
    if text is not None:
        assert text.startswith("The next attempt of the activity 'a' is due in 1 s.")


def test_the_timer_after_the_last_attempt_is_not_told_of() -> None:
    replay = failed_once(attempts=1, interval_s=1)
    assert len(replay.new_decisions()) == 1
    assert told(replay) is None


@pytest.mark.parametrize(("retry_after", "is_told"), [("0", False), ("1", True), ("2", False)])
def test_the_pause_before_a_poll_is_told_of(retry_after: str, is_told: bool) -> None:
    replay = begun()
    members = {"method": "GET", "uri": "http://h/x", "asynchronousPatternEnabled": True}
    replay.perform([call_of(members)])
    replay.apply(
        TaskScheduled(timestamp=BEGINNING, event_id=0, name=HTTP_ACTIVITY, version="", input=None)
    )
    headers = {"Location": "http://h/next", "Retry-After": retry_after}
    result = json.dumps({"statusCode": 202, "headers": headers, "content": ""})
    replay.apply(TaskCompleted(timestamp=BEGINNING, task_scheduled_id=0, result=result))
    assert len(replay.new_decisions()) == 1
    text = told(replay)
    assert (text is not None) == is_told
    assert text is None or text.startswith("The next attempt of an HTTP call is due in 1 s.")


def failed_once(attempts: int, interval_s: int) -> Replay:
    replay = begun()
    options = RetryOptions(first_interval=timedelta(seconds=interval_s), max_attempts=attempts)
    replay.perform([CallActivity(name="a", input="[1]", retry=options)])
    replay.apply(TaskScheduled(timestamp=BEGINNING, event_id=0, name="a", version="", input=None))
    replay.apply(OrchestratorStarted(timestamp=BEGINNING))
    replay.apply(
        TaskFailed(timestamp=BEGINNING, task_scheduled_id=0, reason="broken", details=None)
    )
    return replay
