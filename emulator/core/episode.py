"""One dispatch of an orchestrator: from its inbox to rows, messages and its next state.

The order of rows in an episode is fixed: OrchestratorStarted, what was received, what was decided (by task id),
OrchestratorCompleted. A continue-as-new begins another execution within the same episode, of which only the last
one is stored. Source: DurableTask.Core, TaskOrchestrationDispatcher; reference out-of-process-protocol.md 3.1, 3.11,
3.13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from emulator.core import disagreement
from emulator.core.decisions import Decision, ScheduleActivity, SendEvent, SetTimer, StartChild
from emulator.core.disagreement import Asked
from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    SubOrchestrationFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from emulator.core.feed import Feed
from emulator.core.ids import ExecutionId
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.nondeterminism import NonDeterminismError
from emulator.core.parity import Deviation, Rule
from emulator.core.replay import Replay, Rules
from emulator.core.state import RuntimeState, remembered
from emulator.core.status import RuntimeStatus
from emulator.core.turn import Outcome, Turn
from emulator.core.versions import MISMATCH, MISMATCH_TEXT
from emulator.errors import InvariantError


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSettings:
    """What an episode needs of the host's settings."""

    rules: Rules
    store_inputs: bool = False
    is_strict: bool = False
    """Whether an instance fails where the real host would do something else (`--parity strict`)."""
    default_version: str | None = None
    """Of children that are started without one."""


class Execution:
    """One execution as this process holds it: its state, its feed and its replay, kept between episodes."""

    __slots__ = (
        "applied",
        "asked",
        "continued",
        "feed",
        "handled",
        "mark",
        "replay",
        "settings",
        "state",
        "told",
        "warnings",
    )

    def __init__(
        self,
        settings: EpisodeSettings,
        events: Sequence[HistoryEvent] = (),
        handled: Sequence[str] = (),
    ) -> None:
        """Begin from stored rows.

        Args:
            handled: keys of what the executions that this one continues have received, oldest first.
        """
        self.settings = settings
        self.continued = False
        self.handled = tuple(handled)
        self.state = RuntimeState(events, self.handled)
        self.feed = Feed()
        self.replay = Replay(settings.rules)
        self.applied = 0
        self.asked = Asked()
        self.told: set[Rule] = set()
        """Rules that this instance was warned of; each is told once."""
        self.warnings: list[Deviation] = []
        """What is to be told now."""
        self.mark = 0
        for event in events:
            self.feed.add(event)

    def add(self, event: HistoryEvent) -> None:
        """Append a row to state and feed."""
        self.state.add(event)
        self.feed.add(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """The execution asked to be continued as new: run the next one before anything is stored."""

    execution: Execution
    outbox: tuple[OutboundMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The episode is over.

    Attributes:
        new_rows: rows to store after those stored before (or from the first, if the execution is new), with
            IsPlayed set as it is stored.
        outbox: messages to send before the rows are stored.
        custom_status: JSON text or None.
        deviation: the parity rule that ended the instance, if one did.
    """

    new_rows: tuple[HistoryEvent, ...]
    outbox: tuple[OutboundMessage, ...]
    custom_status: str | None
    deviation: Deviation | None = None


def begin(execution: Execution, inbox: Sequence[HistoryEvent], now: Instant) -> int:
    """Open an episode with what was received; returns how many rows there were before."""
    before = len(execution.state.events)
    execution.mark = len(execution.feed.events)
    execution.add(OrchestratorStarted(timestamp=now))
    for event in inbox:
        execution.add(event)
    return before


def decide(
    execution: Execution,
    turn: Turn,
    *,
    now: Instant,
    new_execution_id: Callable[[], str],
    before: int,
) -> Closed | Continued:
    """Turn the orchestrator's answer into rows and messages.

    Args:
        now: the time of the rows.
        new_execution_id: gives 32 hex digits that nobody else has.
        before: how many rows were stored before the episode (begin()).

    Raises:
        InvariantError: the execution has no ExecutionStarted.
    """
    if turn.from_start:
        execution.replay = Replay(execution.settings.rules)
        execution.asked = Asked()
        execution.applied = 0
    outcome = turn.outcome
    try:
        _advance(execution, turn)
    except NonDeterminismError as error:
        _warn(execution, _explained(error, turn))
        failed = replace(outcome, failure=str(error), failure_details=None)
        return _close(execution, failed, (), now, before, played=False)
    _compare(execution, turn)
    _meet(execution, execution.replay.early_timer())
    replay = execution.replay
    if _ends(replay, outcome):
        replay.release_locks()
    outbox = _write_decisions(execution, now, new_execution_id)
    if replay.terminated is not None:
        return _close_terminated(execution, outcome, outbox, now, before)
    outcome = _with_host_failures(execution, outcome)
    if replay.has_open_tasks and replay.deviation is None:
        return _close_open(execution, outcome, outbox, now, before)
    if outcome.failure is not None:
        return _close(execution, outcome, outbox, now, before)
    if replay.continue_as_new is not None:
        return Continued(
            execution=_continue(execution, replay, now, new_execution_id), outbox=outbox
        )
    if outcome.done:
        return _close(execution, outcome, outbox, now, before)
    if not replay.can_be_woken and not execution.state.suspended:
        replay.deviation = Deviation.nothing_open()
        return _close(execution, _with_host_failures(execution, outcome), outbox, now, before)
    return _close_open(execution, outcome, outbox, now, before)


def refuse(execution: Execution, *, now: Instant, before: int) -> Closed:
    """Fail an execution whose version this host does not run."""
    if _started(execution).parent is not None:
        execution.replay.deviation = Deviation.child_version(_started(execution).version)
    completed = ExecutionCompleted(
        timestamp=now,
        status=RuntimeStatus.FAILED,
        result=None,
        failure_details=MISMATCH,
        event_id=execution.replay.next_id,
    )
    return _finish(execution, completed, Outcome(), (), now, before)


def _advance(execution: Execution, turn: Turn) -> None:
    """Apply the rows not applied yet, with the orchestrator's actions between them."""
    steps = {step.position: step for step in turn.steps}
    events = execution.feed.events
    for position in range(execution.applied, len(events)):
        execution.replay.apply(events[position])
        step = steps.get(position)
        if step is not None:
            execution.replay.perform(step.actions, step.where)
            execution.asked.add(step.actions, step.where)
            for leaf in step.cancelled:
                execution.replay.cancel(leaf)
                execution.asked.cancel(leaf)
    execution.applied = len(events)


def _compare(execution: Execution, turn: Turn) -> None:
    """Ask whether the real host would do the same, if the orchestrator has moved."""
    replay, outcome = execution.replay, turn.outcome
    ended = outcome.done or outcome.failure is not None
    moved = bool(turn.steps) or ended or _has_new_event(execution)
    if replay.deviation is not None or not moved:
        return
    found = disagreement.find(
        execution.asked,
        execution.feed.events,
        started=replay.started,
        requests=replay.requests,
        carried=len(replay.carried),
        ended=ended,
    )
    _meet(execution, found)


def _meet(execution: Execution, found: Deviation | None) -> None:
    """Tell of a difference, or end the instance by it; one that has been found before it counts."""
    if found is None or execution.replay.deviation is not None:
        return
    if execution.settings.is_strict:
        execution.replay.deviation = found
    else:
        _warn(execution, found)


def _has_new_event(execution: Execution) -> bool:
    """Whether an event came that the orchestrator may be waiting for under another name."""
    new = execution.feed.events[execution.mark :]
    return not execution.asked.is_simple and any(isinstance(row, EventRaised) for row in new)


def _warn(execution: Execution, deviation: Deviation) -> None:
    if deviation.rule not in execution.told:
        execution.told.add(deviation.rule)
        execution.warnings.append(deviation)


def _explained(error: NonDeterminismError, turn: Turn) -> Deviation:
    """Where the code asked for what the history does not have, or else where it stands now."""
    places = [step.where for step in turn.steps if step.where is not None]
    where = error.place or (places[-1] if places else None)
    return Deviation.non_deterministic(error.explanation, disagreement.place_text(where))


def _ends(replay: Replay, outcome: Outcome) -> bool:
    """Whether the orchestrator's code is over; what it started may still be open."""
    ended = replay.terminated, replay.deviation, replay.failure, replay.continue_as_new
    return outcome.done or outcome.failure is not None or any(item is not None for item in ended)


def _with_host_failures(execution: Execution, outcome: Outcome) -> Outcome:
    """A failure that the host finds itself, in place of whatever the orchestrator said."""
    replay = execution.replay
    name = _started(execution).name
    if replay.deviation is not None:
        failure = replay.deviation.failure_of(name)
        return replace(outcome, failure=failure, failure_details=None)
    if replay.failure is not None:
        text = f"Orchestrator function '{name}' failed: {replay.failure}"
        return replace(outcome, failure=text, failure_details=None)
    return outcome


def _close_terminated(
    execution: Execution,
    outcome: Outcome,
    outbox: tuple[OutboundMessage, ...],
    now: Instant,
    before: int,
) -> Closed:
    terminated = execution.replay.terminated
    reason = terminated.reason if terminated else None
    completed = ExecutionCompleted(
        timestamp=now,
        status=RuntimeStatus.TERMINATED,
        result=reason,
        event_id=execution.replay.next_id,
    )
    return _finish(execution, completed, outcome, outbox, now, before)


def _close(
    execution: Execution,
    outcome: Outcome,
    outbox: tuple[OutboundMessage, ...],
    now: Instant,
    before: int,
    *,
    played: bool = True,
) -> Closed:
    failed = outcome.failure is not None
    completed = ExecutionCompleted(
        timestamp=now,
        status=RuntimeStatus.FAILED if failed else RuntimeStatus.COMPLETED,
        result=outcome.failure if failed else outcome.output,
        event_id=execution.replay.next_id,
    )
    return _finish(execution, completed, outcome, outbox, now, before, played=played)


def _finish(
    execution: Execution,
    completed: ExecutionCompleted,
    outcome: Outcome,
    outbox: tuple[OutboundMessage, ...],
    now: Instant,
    before: int,
    *,
    played: bool = True,
) -> Closed:
    answer = _answer_parent(execution, completed, outcome, now)
    execution.state.add(completed)
    execution.feed.add(completed)
    return _close_open(execution, outcome, (*outbox, *answer), now, before, played=played)


def _close_open(
    execution: Execution,
    outcome: Outcome,
    outbox: tuple[OutboundMessage, ...],
    now: Instant,
    before: int,
    *,
    played: bool = True,
) -> Closed:
    """Close the episode, whatever it did. A second OrchestratorCompleted in a row is left out."""
    state = execution.state
    if not isinstance(state.events[-1], OrchestratorCompleted):
        execution.add(OrchestratorCompleted(timestamp=now))
    seen = state.events[before:]
    stored = [_as_stored(event) for event in seen] if played else list(seen)
    if execution.continued:
        _mark_inner_completed(stored)
        execution.continued = False
    state.events[before:] = stored
    execution.feed.restamp({id(a): b for a, b in zip(seen, stored, strict=True)}, execution.mark)
    if state.completed is None:
        _apply_own_rows(execution)
    return Closed(
        new_rows=tuple(stored),
        outbox=outbox,
        custom_status=outcome.custom_status,
        deviation=execution.replay.deviation,
    )


def _apply_own_rows(execution: Execution) -> None:
    """Give the replay the rows that this episode wrote itself."""
    events = execution.feed.events
    for position in range(execution.applied, len(events)):
        execution.replay.apply(events[position])
    execution.applied = len(events)


def _mark_inner_completed(rows: list[HistoryEvent]) -> None:
    """The first OrchestratorCompleted of a continued execution is stored as played."""
    first = next(i for i, row in enumerate(rows) if isinstance(row, OrchestratorCompleted))
    rows[first] = replace(rows[first], is_played=True)


def _as_stored(event: HistoryEvent) -> HistoryEvent:
    """IsPlayed as it is stored: true for what was received, false for what the episode made."""
    match event:
        case (
            OrchestratorStarted()
            | OrchestratorCompleted()
            | ExecutionCompleted()
            | TaskScheduled()
            | TimerCreated()
            | SubOrchestrationCreated()
            | EventSent()
        ):
            return event
        case _:
            return replace(event, is_played=True)


# --- decisions --------------------------------------------------------------------------------------------------


def _write_decisions(
    execution: Execution, now: Instant, new_execution_id: Callable[[], str]
) -> tuple[OutboundMessage, ...]:
    outbox: list[OutboundMessage] = []
    for decision in execution.replay.new_decisions():
        row, message = _row_and_message(execution, decision, now, new_execution_id)
        execution.add(row)
        outbox.append(message)
    return tuple(outbox)


def _row_and_message(
    execution: Execution, decision: Decision, now: Instant, new_execution_id: Callable[[], str]
) -> tuple[HistoryEvent, OutboundMessage]:
    started = _started(execution)
    tags = started.tags or {}
    stored = execution.settings.store_inputs
    match decision:
        case ScheduleActivity():
            scheduled = TaskScheduled(
                timestamp=now,
                name=decision.name,
                version="",
                input=decision.input,
                event_id=decision.task_id,
            )
            message = TaskMessage(event=scheduled, target=started.instance, context_tags=tags)
            row: HistoryEvent = scheduled if stored else replace(scheduled, input=None)
            return row, OutboundMessage(message=message)
        case SetTimer():
            row = TimerCreated(timestamp=now, fire_at=decision.fire_at, event_id=decision.task_id)
            fired = TimerFired(timestamp=now, timer_id=decision.task_id, fire_at=decision.fire_at)
            message = TaskMessage(event=fired, target=started.instance)
            return row, OutboundMessage(message=message, not_before=decision.fire_at)
        case StartChild():
            if decision.version is None:
                decision = replace(decision, version=execution.settings.default_version)
            row = SubOrchestrationCreated(
                timestamp=now,
                name=decision.name,
                version=decision.version,
                instance_id=decision.instance_id,
                input=decision.input if stored else None,
                event_id=decision.task_id,
            )
            child = _child_start(started, decision, now, new_execution_id())
            message = TaskMessage(event=child, target=child.instance, context_tags=tags)
            return row, OutboundMessage(message=message)
        case SendEvent():
            row = EventSent(
                timestamp=now,
                instance_id=decision.instance_id,
                name=decision.name,
                input=decision.input,
                event_id=decision.task_id,
            )
            raised = EventRaised(timestamp=now, name=decision.name, input=decision.input)
            target = OrchestrationInstance(instance_id=decision.instance_id, execution_id=None)
            message = TaskMessage(event=raised, target=target)
            return row, OutboundMessage(message=message, not_before=decision.not_before)
        case _:
            assert_never(decision)


def _child_start(
    started: ExecutionStarted, decision: StartChild, now: Instant, execution_id: str
) -> ExecutionStarted:
    tags = {k: v for k, v in (started.tags or {}).items() if k != "FireAndForget"}
    return ExecutionStarted(
        timestamp=now,
        instance=OrchestrationInstance(
            instance_id=decision.instance_id, execution_id=ExecutionId(execution_id)
        ),
        parent=ParentInstance(
            name=started.name,
            instance=started.instance,
            task_schedule_id=decision.task_id,
            version=started.version,
        ),
        name=decision.name,
        version=decision.version,
        input=decision.input,
        tags=tags or None,
    )


def answer_again(execution: Execution, now: Instant) -> tuple[OutboundMessage, ...]:
    """What an execution that has ended told its parent; empty if it has none, or has not ended.

    Without the details of a failure, which no history holds.
    """
    completed = execution.state.completed
    return _answer_parent(execution, completed, Outcome(), now) if completed is not None else ()


# --- ends -------------------------------------------------------------------------------------------------------


def _answer_parent(
    execution: Execution, completed: ExecutionCompleted, outcome: Outcome, now: Instant
) -> tuple[OutboundMessage, ...]:
    """The child's result for the orchestration that waits for it."""
    started = _started(execution)
    parent = started.parent
    if parent is None or "FireAndForget" in (started.tags or {}):
        return ()
    event: HistoryEvent
    if completed.status is RuntimeStatus.COMPLETED:
        event = SubOrchestrationCompleted(
            timestamp=now, task_scheduled_id=parent.task_schedule_id, result=completed.result
        )
    else:
        terminated = completed.status is RuntimeStatus.TERMINATED
        event = SubOrchestrationFailed(
            timestamp=now,
            task_scheduled_id=parent.task_schedule_id,
            reason=completed.result if completed.failure_details is None else MISMATCH_TEXT,
            details=None if terminated else outcome.failure_details,
        )
    return (OutboundMessage(message=TaskMessage(event=event, target=parent.instance)),)


def _continue(
    execution: Execution, replay: Replay, now: Instant, new_execution_id: Callable[[], str]
) -> Execution:
    """The next execution of the instance, with the events that it takes over."""
    started = _started(execution)
    assert replay.continue_as_new is not None
    handled = remembered(
        execution.handled or (str(execution.state.execution_id),), execution.state.events
    )
    following = Execution(execution.settings, handled=handled)
    following.continued = True
    following.told = execution.told
    following.add(OrchestratorStarted(timestamp=now))
    following.add(
        replace(
            started,
            timestamp=now,
            instance=replace(started.instance, execution_id=ExecutionId(new_execution_id())),
            input=replay.continue_as_new.input,
            generation=None,
            scheduled_start=None,
            is_played=False,
        )
    )
    for event in replay.carried:
        following.add(replace(event, is_played=True))
    following.add(OrchestratorCompleted(timestamp=now))
    return following


def _started(execution: Execution) -> ExecutionStarted:
    started = execution.state.started
    if started is None:
        raise InvariantError("an episode was decided for an execution that has not started")
    return started
