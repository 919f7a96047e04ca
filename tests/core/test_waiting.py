"""History, messages and leases in, findings out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from emulator.core.actions import CallActivity, CreateTimer, WaitForEvent, WhenAll, WhenAny
from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorStarted,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instance import InstanceRecord
from emulator.core.messages import TaskMessage
from emulator.core.queue_lease import QueueLease
from emulator.core.status import RuntimeStatus
from emulator.core.waiting import (
    Cause,
    Finding,
    SeenMessage,
    Situation,
    awaited_events,
    explain,
)
from tests.support.clocks import BEGINNING

NOW = BEGINNING.plus(timedelta(hours=1))
ME = OrchestrationInstance(instance_id=InstanceId("me"), execution_id=ExecutionId("run"))
STARTED = ExecutionStarted(timestamp=BEGINNING, instance=ME, name="f", version=None, input=None)
ACTIVITY = TaskScheduled(timestamp=BEGINNING, name="say", version=None, input=None, event_id=0)
TIMER = TimerCreated(timestamp=BEGINNING, fire_at=NOW.plus(timedelta(minutes=5)), event_id=1)
CHILD = SubOrchestrationCreated(
    timestamp=BEGINNING,
    name="g",
    version=None,
    instance_id=InstanceId("kid"),
    input=None,
    event_id=2,
)
CALL = EventSent(
    timestamp=BEGINNING,
    instance_id=InstanceId("@counter@k"),
    name="op",
    input='{"op":"get","id":"request-1"}',
    event_id=3,
)
SIGNAL = replace(CALL, input='{"op":"add","signal":true,"id":"request-2"}')
OWNED = QueueLease(
    control_queue="hub-control-00",
    owner="worker-1",
    is_held=True,
    expires_at=NOW.plus(timedelta(seconds=20)),
)


def record(status: RuntimeStatus = RuntimeStatus.RUNNING, **members: Any) -> InstanceRecord:
    given: dict[str, Any] = {
        "instance_id": InstanceId("me"),
        "name": "f",
        "version": None,
        "execution_id": ExecutionId("run"),
        "created_at": BEGINNING,
        "last_updated_at": BEGINNING,
    }
    return InstanceRecord(status=status, **{**given, **members})


def seen(event: HistoryEvent, *, queue: str = "hub-control-00", count: int = 0) -> SeenMessage:
    return SeenMessage(
        queue=queue,
        message=TaskMessage(event=event, target=ME),
        sender="",
        inserted_at=BEGINNING,
        dequeue_count=count,
    )


def situation(*events: HistoryEvent, **members: Any) -> Situation:
    began = (OrchestratorStarted(timestamp=BEGINNING), STARTED) if events else ()
    given: dict[str, Any] = {
        "record": record(),
        "events": (*began, *events),
        "messages": (),
        "hidden": {},
        "control_queue": "hub-control-00",
        "work_items": "hub-workitems",
        "lease": OWNED,
        "now": NOW,
        "hub_flag": "--task-hub-name hub",
    }
    return Situation(**{**given, **members})


def causes(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.cause.value, finding.subject) for finding in findings]


NOTHING_OPEN = (ACTIVITY, TaskCompleted(timestamp=BEGINNING, task_scheduled_id=0, result="1"))


@pytest.mark.parametrize(
    ("case", "expected", "words", "cure"),
    [
        (
            situation(ACTIVITY),
            [("activity", "say")],
            "is running, or the host",
            "instances restart me",
        ),
        (
            situation(ACTIVITY, hidden={"hub-workitems": 1}),
            [("activity", "say")],
            "becomes visible again",
            None,
        ),
        (
            situation(ACTIVITY, messages=(seen(ACTIVITY, queue="hub-workitems"),)),
            [("activity", "say")],
            "nobody has taken it",
            "durable start",
        ),
        (
            situation(ACTIVITY, messages=(seen(ACTIVITY, queue="hub-workitems", count=12),)),
            [("activity", "say")],
            "given back 12 times",
            "why it gives 'say' back",
        ),
        (situation(TIMER), [("timer", "1")], "is due at 2026-11-24T13:05:00Z", None),
        (
            situation(replace(TIMER, fire_at=BEGINNING)),
            [("timer", "1")],
            "which is over",
            "durable hub copy",
        ),
        (
            situation(TIMER, TimerFired(timestamp=NOW, timer_id=1, fire_at=NOW), awaited=("go",)),
            [("event", "go")],
            "external event 'go'",
            "durable raise-event --id me --event-name go --task-hub-name hub",
        ),
        (
            situation(CHILD, related={"kid": record(instance_id=InstanceId("kid"))}),
            [("child", "kid")],
            "(g, task 2) is Running",
            "durable why kid",
        ),
        (
            situation(CHILD, related={"kid": record(RuntimeStatus.COMPLETED)}),
            [("child", "kid")],
            "its answer has not arrived",
            "durable why kid",
        ),
        (situation(CHILD, related={"kid": None}), [("child", "kid")], "no status row", "why kid"),
        (
            situation(CALL, related={"@counter@k": record(input='{"lockedBy":"other"}')}),
            [("entity", "@counter@k")],
            "calls 'get' of entity '@counter@k' and has no answer, which is locked by 'other'",
            "durable why other",
        ),
        (
            situation(replace(CALL, input='{"id":"request-1","lockset":[]}')),
            [("entity", "@counter@k")],
            "asks for the lock",
            "durable why @counter@k",
        ),
        (situation(SIGNAL), [("event", None)], "whose name is not stored", "--event-name NAME"),
        (situation(*NOTHING_OPEN), [("event", None)], "no activity, timer", "--event-name NAME"),
        (
            situation(*NOTHING_OPEN, lease=None),
            [("lease", "hub-control-00")],
            "has no lease",
            "durable start",
        ),
        (
            situation(TIMER, lease=replace(OWNED, owner=None)),
            [("lease", "hub-control-00"), ("timer", "1")],
            "no owner",
            "durable start",
        ),
        (
            situation(TIMER, lease=replace(OWNED, is_held=False, expires_at=BEGINNING)),
            [("lease", "hub-control-00"), ("timer", "1")],
            "the lease of worker-1 has run out",
            "durable start",
        ),
        (
            situation(TIMER, record=record(RuntimeStatus.SUSPENDED, output="later")),
            [("suspended", None), ("timer", "1")],
            "suspended (later)",
            "durable instances resume me --task-hub-name hub",
        ),
        (
            situation(record=record(RuntimeStatus.PENDING, scheduled_start=TIMER.fire_at)),
            [("start", None)],
            "scheduled for 2026-11-24T13:05:00Z",
            None,
        ),
        (
            situation(record=record(RuntimeStatus.PENDING), messages=(seen(STARTED, count=3),)),
            [("message", "ExecutionStarted 'f'")],
            "given back 3 times",
            "worker-1 reads this queue",
        ),
        (
            situation(record=record(RuntimeStatus.PENDING), hidden={"hub-control-00": 1}),
            [("start", None)],
            "in the hands of a host",
            "wait a few minutes",
        ),
        (
            situation(record=record(RuntimeStatus.PENDING)),
            [("start", None)],
            "not in hub-control-00 any more",
            "durable instances restart me",
        ),
        (
            situation(record=record(RuntimeStatus.FAILED, output="boom")),
            [("ended", None)],
            "ended as Failed: boom",
            "durable rewind --id me",
        ),
        (situation(record=record(RuntimeStatus.COMPLETED)), [("ended", None)], "Completed", None),
        (
            situation(
                ExecutionCompleted(
                    timestamp=NOW, status=RuntimeStatus.COMPLETED, result=None, event_id=0
                )
            ),
            [("status", None)],
            "its history has ended as Completed",
            "durable raise-event --id me",
        ),
        (
            situation(
                TIMER,
                messages=(seen(EventRaised(timestamp=NOW, name="go", input=None), count=9),),
            ),
            [("timer", "1"), ("message", "EventRaised 'go'")],
            "",
            None,
        ),
        (
            situation(
                SIGNAL, record=record(instance_id=InstanceId("@e@k"), input='{"lockedBy":"x"}')
            ),
            [("entity", "x")],
            "locked by 'x'; 0 operations",
            "durable why x",
        ),
        (
            situation(
                SIGNAL, record=record(instance_id=InstanceId("@e@k"), input='{"queue":[1,2]}')
            ),
            [("entity", None)],
            "2 are kept",
            None,
        ),
    ],
)
def test_what_it_waits_for(
    case: Situation, expected: list[tuple[str, str | None]], words: str, cure: str | None
):
    findings = explain(case)
    assert causes(findings) == expected
    assert words in findings[0].text
    assert (cure or "") in (findings[0].cure or "")
    assert (findings[0].cure is None) == (cure is None)


def test_operations_that_are_run_again_may_be_out_of_sight():
    entity = record(instance_id=InstanceId("@e@k"), input='{"exists":true,"sorter":{}}')
    waits, hidden = explain(situation(SIGNAL, record=entity, hidden={"hub-control-00": 2}))
    assert (waits.cause, hidden.cause) == (Cause.ENTITY, Cause.MESSAGE)
    assert "2 message(s) of hub-control-00" in hidden.text
    assert "failed as a whole" in hidden.text
    assert hidden.cure is not None
    assert "'@e@k'" in hidden.cure


def test_an_answered_call_of_an_entity_is_no_finding():
    answer = EventRaised(timestamp=NOW, name="request-1", input="{}")
    assert causes(explain(situation(CALL, answer, awaited=("go",)))) == [("event", "go")]


@pytest.mark.parametrize(("name", "is_entity"), [("@e@k", True), ("@x", False)])
def test_only_an_entity_waits_for_operations_and_owes_answers(name: str, is_entity: bool):
    entity = (Cause.ENTITY, "it is an entity and waits for operations")
    findings = explain(situation(CHILD, record=record(instance_id=InstanceId(name))))
    assert ((findings[0].cause, findings[0].text) == entity) == is_entity
    called = causes(explain(situation(replace(CALL, instance_id=InstanceId(name)))))
    assert ((Cause.ENTITY.value, name) in called) == is_entity


def test_an_answered_child_is_no_finding():
    answer = SubOrchestrationCompleted(timestamp=NOW, task_scheduled_id=2, result=None)
    assert causes(explain(situation(CHILD, answer, awaited=("go",)))) == [("event", "go")]


def test_an_answer_on_its_way_is_told():
    answer = TaskCompleted(timestamp=NOW, task_scheduled_id=0, result=None)
    findings = explain(situation(ACTIVITY, messages=(seen(answer),)))
    assert [finding.cause for finding in findings] == [Cause.ACTIVITY, Cause.MESSAGE]
    assert "has not been taken" in findings[0].text


def test_poison_is_called_so():
    raised = seen(EventRaised(timestamp=NOW, name="go", input=None), count=9)
    finding = explain(situation(TIMER, messages=(raised,)))[-1]
    assert finding.dequeue_count == 9
    assert finding.cure is not None
    assert finding.cure.startswith("poison")


def test_ids_are_quoted_for_the_shell():
    case = situation(record=record(RuntimeStatus.FAILED, instance_id=InstanceId("a b; rm")))
    assert explain(case)[0].cure == "durable rewind --id 'a b; rm' --task-hub-name hub"


def test_events_that_came_are_not_awaited():
    wait = WaitForEvent(name="Go")
    timer = CreateTimer(fire_at=NOW)
    actions = (wait, WhenAny(children=(timer, WhenAll(children=(wait, WaitForEvent(name="b"))))))
    came = EventRaised(timestamp=NOW, name="gO", input=None)
    assert awaited_events(actions, ()) == ("Go", "Go", "b")
    assert awaited_events(actions, (came,)) == ("Go", "b")
    assert awaited_events((CallActivity(name="x", input=None),), (came,)) == ()
