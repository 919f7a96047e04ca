from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from emulator.core.actions import CallHttp
from emulator.core.decisions import ScheduleActivity, SetTimer
from emulator.core.events import (
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from emulator.core.http_call import HTTP_ACTIVITY, HttpRequestError, call_of, poll_after
from emulator.core.instant import Instant
from emulator.core.replay import Replay, Rules

NOW = Instant.parse("2026-11-24T12:00:00Z")
SLEEP = timedelta(seconds=30)


def request(**members: object) -> dict[str, Any]:
    return {"method": "GET", "uri": "http://h/x", **members}


def stored(call: CallHttp) -> dict[str, Any]:
    return json.loads(call.request)[0]


def answer(status: int, **headers: object) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.dumps({"statusCode": status, "headers": named, "content": ""})


POLLING = request(
    method="POST",
    content="x",
    headers={"X-Functions-Key": "k", "X-One": "1"},
    asynchronousPatternEnabled=True,
    timeout="00:01:00",
)
FINAL = [
    (request(), answer(202, Location="http://h/next")),
    (POLLING, answer(200)),
    (POLLING, answer(202)),
    (POLLING, answer(202, Location="/relative")),
    (POLLING, answer(202, Location="http://h/next", Retry_After="soon")),
    (POLLING, None),
    (POLLING, "no JSON"),
]


@pytest.mark.parametrize(("members", "result"), FINAL)
def test_these_answers_are_final(members: dict[str, Any], result: str | None) -> None:
    assert poll_after(call_of(members), result, now=NOW, default_sleep=SLEEP) is None


WAITS = [({}, 30), ({"retry-after": "2"}, 2), ({"Retry-After": "0"}, 0)]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_the_server_says_how_long_to_wait(headers: dict[str, str], seconds: int) -> None:
    result = answer(202, location="http://h/next", **headers)
    poll = poll_after(call_of(POLLING), result, now=NOW, default_sleep=SLEEP)
    assert poll is not None
    assert poll.fire_at == NOW.plus(timedelta(seconds=seconds))


def test_the_next_request_is_a_get_without_content_and_function_key() -> None:
    poll = poll_after(
        call_of(POLLING), answer(202, Location="http://h/next"), now=NOW, default_sleep=SLEEP
    )
    assert poll is not None
    assert poll.call.polls
    members = stored(poll.call)
    assert members == {
        **stored(call_of(POLLING)),
        "method": "GET",
        "uri": "http://h/next",
        "headers": {"X-One": "1"},
        "content": None,
    }
    assert members["timeout"] == "00:01:00"


HEADERS = [
    ({"A": "1"}, {"A": "1"}),
    ({"A": ["1"]}, {"A": "1"}),
    ({"A": ["1", "2"]}, {"A": ["1", "2"]}),
    ({"A": 5}, {"A": []}),
    (None, {}),
]


@pytest.mark.parametrize(("given", "expected"), HEADERS)
def test_headers_are_stored_as_text_or_list(given: object, expected: dict[str, Any]) -> None:
    assert stored(call_of(request(headers=given)))["headers"] == expected


def test_retry_options_are_stored_whole() -> None:
    options = {
        "FirstRetryInterval": "00:00:05",
        "MaxNumberOfAttempts": 3,
        "StatusCodesToRetry": [500],
    }
    call = call_of(request(retryOptions=options))
    assert call.retry is not None
    assert (call.retry.first_interval, call.retry.max_attempts) == (timedelta(seconds=5), 3)
    members = stored(call)["retryOptions"]
    assert list(members)[1:] == [
        "FirstRetryInterval",
        "MaxRetryInterval",
        "BackoffCoefficient",
        "RetryTimeout",
        "MaxNumberOfAttempts",
        "StatusCodesToRetry",
    ]
    assert members["MaxRetryInterval"] == "6.00:00:00"


REFUSED = [
    ({"tokenSource": {"kind": "Other"}}, "The token source kind '\"Other\"' is not supported."),
    ({"retryOptions": {"MaxNumberOfAttempts": 3}}, "Invalid interval"),
    ({"timeout": "soon"}, "Could not convert string to TimeSpan: soon."),
]


@pytest.mark.parametrize(("members", "text"), REFUSED)
def test_a_request_that_cannot_be_read_is_refused(members: dict[str, Any], text: str) -> None:
    with pytest.raises(HttpRequestError, match="^" + text[:20].replace("(", r"\(")) as refused:
        call_of(request(**members))
    assert text in str(refused.value)


# --- in a replay -------------------------------------------------------------------------------------------------


def replayed(call: CallHttp) -> Replay:
    replay = Replay(Rules(default_http_sleep=SLEEP))
    replay.apply(OrchestratorStarted(timestamp=NOW))
    replay.perform([call])
    return replay


def record(replay: Replay) -> ScheduleActivity | SetTimer:
    """The one new decision, which becomes a row."""
    [decision] = replay.new_decisions()
    match decision:
        case ScheduleActivity():
            row = TaskScheduled(
                timestamp=NOW, event_id=decision.task_id, name=decision.name, version="", input=None
            )
        case SetTimer():
            row = TimerCreated(timestamp=NOW, event_id=decision.task_id, fire_at=decision.fire_at)
        case _:
            raise AssertionError(decision)
    replay.apply(row)
    return decision


def test_polling_goes_on_under_the_next_ids_until_the_answer_is_another() -> None:
    replay = replayed(call_of(POLLING))
    for number in (0, 2, 4):
        asked = record(replay)
        assert isinstance(asked, ScheduleActivity)
        assert (asked.task_id, asked.name) == (number, HTTP_ACTIVITY)
        wait = answer(202, Location=f"http://h/{number}")
        replay.apply(TaskCompleted(timestamp=NOW, task_scheduled_id=number, result=wait))
        timer = record(replay)
        assert timer == SetTimer(task_id=number + 1, fire_at=NOW.plus(SLEEP))
        assert replay.has_open_tasks
        replay.apply(TimerFired(timestamp=NOW, timer_id=number + 1, fire_at=NOW.plus(SLEEP)))
    record(replay)
    replay.apply(TaskCompleted(timestamp=NOW, task_scheduled_id=6, result=answer(200)))
    assert not replay.new_decisions()
    assert not replay.has_open_tasks


def test_a_failed_request_is_repeated_as_its_retry_options_say() -> None:
    options = {"FirstRetryInterval": "00:00:05", "MaxNumberOfAttempts": 2}
    replay = replayed(call_of(request(retryOptions=options)))
    first = record(replay)
    replay.apply(TaskFailed(timestamp=NOW, task_scheduled_id=0, reason="r", details=None))
    assert record(replay) == SetTimer(task_id=1, fire_at=NOW.plus(timedelta(seconds=5)))
    replay.apply(TimerFired(timestamp=NOW, timer_id=1, fire_at=NOW))
    again = record(replay)
    assert isinstance(first, ScheduleActivity)
    assert isinstance(again, ScheduleActivity)
    assert (again.task_id, again.input) == (2, first.input)
