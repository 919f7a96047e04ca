"""What an episode makes of messages that come twice, too early, or from what was never stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.core.events import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionSuspended,
    GenericEvent,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.inbox import (
    CLOCKS_APART,
    ELSEWHERE_DEQUEUE_COUNT,
    UNASKED_DEQUEUE_COUNT_MAX,
    Arrival,
    Judge,
    Verdict,
    judge_start,
)
from emulator.core.instance import InstanceRecord
from emulator.core.instant import TICKS_PER_SECOND, Instant
from emulator.core.messages import TaskMessage
from emulator.core.state import REMEMBERED_MAX, RuntimeState, received_key, remembered
from emulator.core.status import RuntimeStatus
from tests.support.clocks import BEGINNING

TARGET = OrchestrationInstance(instance_id=InstanceId("i"), execution_id=ExecutionId("e"))
LATER = BEGINNING.__class__(BEGINNING + 1)
START: tuple[HistoryEvent, ...] = (
    OrchestratorStarted(timestamp=BEGINNING),
    ExecutionStarted(timestamp=BEGINNING, instance=TARGET, name="f", version=None, input=None),
    TaskScheduled(timestamp=BEGINNING, name="a", version="", input=None, event_id=0),
    TimerCreated(timestamp=BEGINNING, fire_at=LATER, event_id=1),
)
RAISED = EventRaised(timestamp=BEGINNING, name="go", input="1")
SUSPENDED = ExecutionSuspended(timestamp=BEGINNING, reason="wait")


def arrival(event: HistoryEvent) -> Arrival:
    return Arrival(
        message=TaskMessage(event=event, target=TARGET),
        sender="",
        inserted_at=BEGINNING,
        sequence_number=1,
        dequeue_count=1,
        next_visible_at=BEGINNING,
    )


def verdicts(
    history: tuple[HistoryEvent, ...], *events: HistoryEvent, is_entity: bool = False
) -> list[Verdict]:
    judge = Judge(RuntimeState(history), is_entity=is_entity)
    return [judge.judge(arrival(event)) for event in events]


@pytest.mark.parametrize(
    ("sender", "deliveries", "verdict"),
    [
        ("@counter@a", 1, Verdict.DEFER),
        ("@counter@a", UNASKED_DEQUEUE_COUNT_MAX - 1, Verdict.DEFER),
        ("@counter@a", UNASKED_DEQUEUE_COUNT_MAX, Verdict.DISCARD),
        ("", UNASKED_DEQUEUE_COUNT_MAX, Verdict.ACCEPT),
    ],
)
def test_an_answer_of_an_entity_waits_for_its_question_and_not_for_ever(
    sender: str, deliveries: int, verdict: Verdict
) -> None:
    answer = replace(arrival(RAISED), sender=sender, dequeue_count=deliveries)
    assert Judge(RuntimeState(START), is_entity=False).judge(answer) is verdict


@pytest.mark.parametrize("event", [RAISED, SUSPENDED, GenericEvent(timestamp=BEGINNING, data="x")])
@pytest.mark.parametrize("is_entity", [False, True])
def test_what_was_received_is_not_received_again(event: HistoryEvent, is_entity: bool) -> None:
    if is_entity and not isinstance(event, EventRaised):
        return
    stored = replace(event, is_played=True)
    assert verdicts((*START, stored), event, is_entity=is_entity) == [Verdict.DISCARD]


def test_of_two_deliveries_in_one_batch_one_counts() -> None:
    assert verdicts(START, RAISED, RAISED) == [Verdict.ACCEPT, Verdict.DISCARD]


@pytest.mark.parametrize(
    "other",
    [
        replace(RAISED, timestamp=LATER),
        replace(RAISED, input="2"),
        replace(RAISED, name="gone"),
    ],
)
def test_an_event_that_only_resembles_another_counts(other: HistoryEvent) -> None:
    assert verdicts((*START, RAISED), other) == [Verdict.ACCEPT]


def test_what_an_execution_before_has_received_is_not_received_again() -> None:
    state = RuntimeState(START, remembered((), [RAISED]))
    assert Judge(state, is_entity=False).judge(arrival(RAISED)) is Verdict.DISCARD


def test_what_is_remembered_fits_into_a_column() -> None:
    events = [replace(RAISED, timestamp=BEGINNING.__class__(BEGINNING + n)) for n in range(5000)]
    keys = remembered((), events)
    assert len(keys) == REMEMBERED_MAX
    assert keys[-1] == received_key(events[-1])
    assert len(",".join(keys)) <= 32 * 1024


def test_a_timer_of_an_episode_that_was_not_stored_does_not_fire_the_stored_one() -> None:
    early = TimerFired(timestamp=BEGINNING, timer_id=1, fire_at=BEGINNING)
    right = TimerFired(timestamp=BEGINNING, timer_id=1, fire_at=LATER)
    assert verdicts(START, early, right) == [Verdict.DISCARD, Verdict.ACCEPT]


def test_an_answer_that_a_rewind_has_taken_back_does_not_count_again() -> None:
    answer = TaskCompleted(timestamp=LATER, task_scheduled_id=0, result="1")
    rewound = GenericEvent(timestamp=LATER, data=None)
    assert verdicts((*START, rewound), answer) == [Verdict.DISCARD]
    assert verdicts(START, answer) == [Verdict.ACCEPT]


OTHER = TaskMessage(
    event=TaskCompleted(timestamp=LATER, task_scheduled_id=0, result="1"),
    target=replace(TARGET, execution_id=ExecutionId("another")),
)
LONG_AFTER = BEGINNING.__class__(BEGINNING + CLOCKS_APART)
LONG_BEFORE = BEGINNING.__class__(BEGINNING - CLOCKS_APART - 1)
ENDED = ExecutionCompleted(
    timestamp=BEGINNING, event_id=2, status=RuntimeStatus.COMPLETED, result="1"
)


@pytest.mark.parametrize("history", [START, (*START, ENDED)], ids=["running", "ended"])
@pytest.mark.parametrize(
    ("inserted_at", "dequeue_count", "verdict"),
    [
        (LONG_AFTER, 1, Verdict.DEFER),
        (LONG_AFTER, ELSEWHERE_DEQUEUE_COUNT, Verdict.DEFER),
        (LONG_AFTER, ELSEWHERE_DEQUEUE_COUNT + 1, Verdict.DISCARD),
        (LONG_BEFORE, 1, Verdict.DISCARD),
    ],
)
def test_a_message_for_an_execution_that_may_yet_be_stored_is_kept_for_a_while(
    history: tuple[HistoryEvent, ...], inserted_at: Instant, dequeue_count: int, verdict: Verdict
) -> None:
    found = replace(
        arrival(OTHER.event), message=OTHER, inserted_at=inserted_at, dequeue_count=dequeue_count
    )
    assert Judge(RuntimeState(history), is_entity=False).judge(found) is verdict


def test_a_start_that_was_just_accepted_takes_nothing_of_another_execution() -> None:
    judge = Judge(RuntimeState(()), is_entity=False)
    raised = replace(arrival(RAISED), message=replace(OTHER, event=RAISED))
    assert judge.judge(arrival(START[1])) is Verdict.ACCEPT
    assert judge.judge(replace(raised, inserted_at=LONG_AFTER)) is Verdict.DEFER
    assert judge.judge(replace(raised, inserted_at=LONG_BEFORE)) is Verdict.DISCARD


@pytest.mark.parametrize(
    ("status", "replaces", "verdict"),
    [
        (RuntimeStatus.PENDING, False, Verdict.ACCEPT),
        (RuntimeStatus.PENDING, True, Verdict.ACCEPT),
        (RuntimeStatus.RUNNING, False, Verdict.ACCEPT),
        (RuntimeStatus.RUNNING, True, Verdict.DISCARD),
        (RuntimeStatus.TERMINATED, False, Verdict.DISCARD),
    ],
)
def test_a_start_that_has_had_its_effect_does_not_begin_again(
    status: RuntimeStatus, replaces: bool, verdict: Verdict
) -> None:
    row = InstanceRecord(
        instance_id=TARGET.instance_id,
        name="f",
        status=status,
        created_at=BEGINNING,
        last_updated_at=BEGINNING,
        version=None,
        execution_id=TARGET.execution_id,
    )
    found = judge_start(
        arrival(START[1]), row, replaces=replaces, visibility_timeout_ticks=TICKS_PER_SECOND
    )
    assert found is verdict


@pytest.mark.parametrize(
    ("sender", "verdict"), [("@counter@k", Verdict.DEFER), ("@x", Verdict.ACCEPT)]
)
def test_only_what_an_entity_sends_is_an_answer(sender: str, verdict: Verdict) -> None:
    """An answer that nothing stored has asked for is kept until it has; an event of anybody else is simply one."""
    sent = replace(arrival(RAISED), sender=sender)
    assert Judge(RuntimeState(START), is_entity=False).judge(sent) is verdict
