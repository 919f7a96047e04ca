"""Which messages reach an entity."""

from __future__ import annotations

import pytest

from emulator.core.entity import rows_of, terminated_rows
from emulator.core.events import (
    EventRaised,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationInstance,
    TimerFired,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.inbox import Arrival, Judge, Verdict
from emulator.core.messages import TaskMessage
from emulator.core.state import RuntimeState
from tests.support.clocks import BEGINNING

ME = InstanceId("@counter@a")
RAISED = EventRaised(timestamp=BEGINNING, name="op", input=None)
TERMINATED = ExecutionTerminated(timestamp=BEGINNING, reason="r")
ALIVE = rows_of(ME, ExecutionId("now"), "{}", BEGINNING)
DEAD = (*ALIVE, *terminated_rows(TERMINATED, BEGINNING))
START = ExecutionStarted(
    timestamp=BEGINNING,
    instance=OrchestrationInstance(instance_id=ME, execution_id=ExecutionId("x")),
    name="x",
    version=None,
    input=None,
)


@pytest.mark.parametrize(
    ("rows", "event", "execution", "accepted"),
    [
        ((), RAISED, None, True),
        ((), RAISED, "now", False),
        ((), TERMINATED, None, False),
        (ALIVE, RAISED, None, True),
        (ALIVE, RAISED, "now", True),
        (ALIVE, RAISED, "before", False),
        (ALIVE, TERMINATED, None, True),
        (ALIVE, ExecutionSuspended(timestamp=BEGINNING, reason=None), None, False),
        (ALIVE, TimerFired(timestamp=BEGINNING, timer_id=0, fire_at=BEGINNING), None, False),
        (ALIVE, START, "x", False),
        (DEAD, RAISED, None, False),
        (DEAD, TERMINATED, None, False),
    ],
)
def test_an_entity_takes_what_is_raised_for_it_and_its_end(
    rows: tuple[HistoryEvent, ...], event: HistoryEvent, execution: str | None, accepted: bool
) -> None:
    target = OrchestrationInstance(
        instance_id=ME, execution_id=None if execution is None else ExecutionId(execution)
    )
    arrival = Arrival(
        message=TaskMessage(event=event, target=target),
        sender="",
        inserted_at=BEGINNING,
        sequence_number=1,
        dequeue_count=1,
        next_visible_at=BEGINNING,
    )
    verdict = Judge(RuntimeState(rows), is_entity=True).judge(arrival)
    assert verdict is (Verdict.ACCEPT if accepted else Verdict.DISCARD)
