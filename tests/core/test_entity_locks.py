"""An orchestration that holds locks: what it sends, and that it gives them up however it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator.core.actions import (
    Action,
    CallActivity,
    CallEntity,
    ContinueAsNew,
    LockEntities,
    ReleaseEntities,
    SignalEntity,
)
from emulator.core.entity_messages import EntityId, read_request
from emulator.core.episode import Closed, EpisodeSettings, Execution, begin, decide
from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionStarted,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationInstance,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.messages import OutboundMessage
from emulator.core.replay import Rules
from emulator.core.turn import Outcome, Step, Turn
from tests.support.clocks import BEGINNING, CountedIds
from tests.support.histories import notation

SELF = OrchestrationInstance(instance_id=InstanceId("o"), execution_id=ExecutionId("e"))
SETTINGS = EpisodeSettings(
    rules=Rules(activities={"slow": "slow"}, entities={"counter": "Counter"}, refuses_unknown=True)
)
A, B = EntityId(name="counter", key="a"), EntityId(name="counter", key="b")
LOCK = LockEntities(entities=(B, A, B))


class Orchestration:
    """Asks for what it is told to, episode by episode."""

    def __init__(self) -> None:
        self.execution = Execution(SETTINGS)
        self.outbox: list[OutboundMessage] = []
        self.feed(
            [ExecutionStarted(timestamp=BEGINNING, instance=SELF, name="o", version="", input=None)]
        )

    def feed(self, events: Sequence[HistoryEvent]) -> None:
        self.before = begin(self.execution, events, BEGINNING)

    def asks(self, *actions: Action, outcome: Outcome | None = None) -> Closed:
        position = len(self.execution.feed.events) - 1
        turn = Turn(steps=(Step(position=position, actions=actions),), outcome=outcome or Outcome())
        decided = decide(
            self.execution,
            turn,
            now=BEGINNING,
            new_execution_id=CountedIds().hex32,
            before=self.before,
        )
        self.outbox += decided.outbox
        if not isinstance(decided, Closed):
            return self._continued(decided.execution)
        return decided

    def _continued(self, execution: Execution) -> Closed:
        done = Turn(steps=(), outcome=Outcome(done=True))
        closed = decide(
            execution, done, now=BEGINNING, new_execution_id=CountedIds().hex32, before=0
        )
        assert isinstance(closed, Closed)
        self.outbox += closed.outbox
        return closed

    def is_granted(self) -> None:
        row = next(e for e in self.execution.state.events if isinstance(e, EventSent))
        self.feed([EventRaised(timestamp=BEGINNING, name=read_request(row.input).id, input="{}")])

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [(m.message.target.instance_id, m.message.event.name) for m in self.outbox]  # type: ignore[union-attr]

    @property
    def rows(self) -> str:
        return notation(self.execution.state.events)


def test_the_lock_request_goes_to_the_first_entity_with_the_whole_set_in_order() -> None:
    o = Orchestration()
    o.asks(LOCK)
    assert o.sent == [("@counter@a", "op")]
    request = read_request(o.outbox[0].message.event.input)  # type: ignore[union-attr]
    assert (request.operation, request.lock_set, request.position) == (None, (A, B), 0)


RELEASES = [("@counter@b", "release"), ("@counter@a", "release")]


def test_locks_are_given_up_in_reverse_order() -> None:
    o = Orchestration()
    o.asks(LOCK)
    o.is_granted()
    o.asks(ReleaseEntities(), outcome=Outcome(done=True))
    assert o.sent[1:] == RELEASES
    ends = "SE#1(release) SE#2(release) EC#3(Completed)"
    assert o.rows.split(" | ")[1].endswith(ends), "once, although it ended as well"


@pytest.mark.parametrize(
    ("actions", "outcome", "end"),
    [
        ((), Outcome(done=True), "EC#3(Completed)"),
        ((), Outcome(failure="it broke"), "EC#3(Failed)"),
        (
            (SignalEntity(instance_id="@nobody@a", operation="x", input=None),),
            Outcome(),
            "EC#3(Failed)",
        ),
        (
            (CallEntity(instance_id="@nobody@a", operation="x", input=None),),
            Outcome(),
            "EC#3(Failed)",
        ),
    ],
    ids=["completes", "fails", "is failed by the host", "would hang on Azure"],
)
def test_an_orchestration_that_ends_gives_up_its_locks(
    actions: tuple[Action, ...], outcome: Outcome, end: str
) -> None:
    o = Orchestration()
    o.asks(LOCK)
    o.is_granted()
    o.asks(*actions, outcome=outcome)
    assert o.sent[1:] == RELEASES
    assert o.rows.split(" | ")[1].endswith(f"SE#1(release) SE#2(release) {end}")


def test_a_terminated_orchestration_gives_up_its_locks_even_before_they_are_granted() -> None:
    o = Orchestration()
    o.asks(LOCK)
    o.feed([ExecutionTerminated(timestamp=BEGINNING, reason="enough")])
    o.asks()
    assert o.sent[1:] == RELEASES
    assert o.rows.endswith("| XT SE#1(release) SE#2(release) EC#3(Terminated)")


def test_continuing_as_new_gives_up_the_locks() -> None:
    o = Orchestration()
    o.asks(LOCK)
    o.is_granted()
    o.asks(ContinueAsNew(input=None))
    assert o.sent[1:] == RELEASES


def test_what_was_given_up_at_the_end_is_found_again_by_a_replay() -> None:
    """The function has returned, but an activity still runs: the instance goes on, and is replayed from its rows."""
    activity = CallActivity(name="slow", input=None)
    o = Orchestration()
    o.asks(LOCK)
    o.is_granted()
    o.asks(activity, outcome=Outcome(done=True))
    rows = tuple(o.execution.state.events)
    assert notation(rows).endswith("TS#1(slow) SE#2(release) SE#3(release)")
    again = Execution(SETTINGS, rows)
    begin(again, (), BEGINNING)
    granted = next(i for i, row in enumerate(rows) if isinstance(row, EventRaised))
    turn = Turn(
        steps=(
            Step(position=1, actions=(LOCK,)),
            Step(position=granted, actions=(activity,)),
        ),
        outcome=Outcome(done=True),
        from_start=True,
    )
    closed = decide(
        again, turn, now=BEGINNING, new_execution_id=CountedIds().hex32, before=len(rows)
    )
    assert isinstance(closed, Closed)
    assert closed.outbox == ()
    assert len(closed.new_rows) == 2, "nothing but the borders of the episode"


def test_a_set_with_an_unknown_entity_is_refused_before_anything_is_locked() -> None:
    o = Orchestration()
    closed = o.asks(LockEntities(entities=(A, EntityId(name="nobody", key="x"))))
    assert o.sent == []
    assert closed.deviation is not None
    assert "'nobody'" in closed.deviation.message
