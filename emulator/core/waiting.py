"""Why an instance does not go on: history, messages and leases in, findings out.

What can be seen is what is stored. Messages that someone holds, and those that are not due yet, are invisible; where
one must be there and is not seen, the finding says which of the two it may be. Names of awaited external events are
not stored either: they come from a replay of the orchestrator, if there was one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeVar, cast

from emulator.core.actions import Action, WaitForEvent, WhenAll, WhenAny
from emulator.core.entity_messages import is_entity_id
from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionStarted,
    HistoryEvent,
    SubOrchestrationCreated,
    TaskScheduled,
    TimerCreated,
)
from emulator.core.instance import InstanceRecord
from emulator.core.instant import Instant
from emulator.core.json_text import loads
from emulator.core.messages import TaskMessage
from emulator.core.queue_lease import QueueLease
from emulator.core.state import RuntimeState, answered_task
from emulator.core.status import TERMINAL, RuntimeStatus

E = TypeVar("E", bound=HistoryEvent)

POISON_DEQUEUE_COUNT: Final = 9
"""From this delivery on a message is reported as poison: whoever takes it gives it back."""

_OVERDUE: Final = timedelta(seconds=5)
"""How late a timer may be before that is a finding: a poll's length and the rounding of its message."""


class Cause(StrEnum):
    """What kind of thing keeps an instance from going on."""

    ENDED = "ended"
    SUSPENDED = "suspended"
    START = "start"
    ACTIVITY = "activity"
    TIMER = "timer"
    CHILD = "child"
    ENTITY = "entity"
    EVENT = "event"
    MESSAGE = "message"
    LEASE = "lease"
    STATUS = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMessage:
    """A visible message that concerns the instance."""

    queue: str
    message: TaskMessage
    sender: str
    inserted_at: Instant
    dequeue_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that is known of an instance.

    Attributes:
        messages: visible ones to it, and requests of its activities.
        hidden: how many messages of each queue cannot be seen.
        lease: of its control queue; None if there is none.
        awaited: names of the external events that it waits for now; None if that is not known.
        related: children and entities that it waits for, as far as they were found.
        hub_flag: how commands name the hub.
    """

    record: InstanceRecord
    events: tuple[HistoryEvent, ...]
    messages: tuple[SeenMessage, ...]
    hidden: Mapping[str, int]
    control_queue: str
    work_items: str
    lease: QueueLease | None
    now: Instant
    awaited: tuple[str, ...] | None = None
    related: Mapping[str, InstanceRecord | None] = field(
        default_factory=dict[str, "InstanceRecord | None"]
    )
    hub_flag: str = ""

    def command(self, text: str, *values: str) -> str:
        """A command line on this hub; `{}` in the text stand for values that may need quotes."""
        line = text.format(*(shlex.quote(value) for value in values))
        return f"{line} {self.hub_flag}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason, and what would help.

    Attributes:
        since: since when it is so.
        subject: the event, activity, child, entity or queue that is meant.
        cure: a command or an advice.
    """

    cause: Cause
    text: str
    since: Instant | None = None
    subject: str | None = None
    queue: str | None = None
    dequeue_count: int | None = None
    due: Instant | None = None
    cure: str | None = None


def explain(situation: Situation) -> list[Finding]:
    """What an instance waits for, the most likely culprit first. Never empty."""
    state = RuntimeState(situation.events)
    if situation.record.status in TERMINAL:
        return [*_ended(situation), *_messages(situation)]
    findings = [*_lease(situation), *_status(situation, state)]
    if state.started is None:
        return [*findings, *_start(situation), *_messages(situation)]
    if situation.record.status is RuntimeStatus.SUSPENDED:
        findings.append(_suspended(situation))
    findings += _entity(situation) if _is_entity(situation) else _open_work(situation, state)
    return [*findings, *_messages(situation)] or [_nothing(situation)]


def open_entity_calls(events: Sequence[HistoryEvent]) -> list[EventSent]:
    """Calls of entities and requests for locks that are not answered."""
    answered = {event.name for event in events if isinstance(event, EventRaised)}
    return [
        event
        for event in events
        if isinstance(event, EventSent) and _awaits(event) not in (None, *answered)
    ]


def open_children(events: Sequence[HistoryEvent]) -> list[SubOrchestrationCreated]:
    """Children that have not answered."""
    return _open(events, SubOrchestrationCreated)


def open_timers(events: Sequence[HistoryEvent]) -> list[TimerCreated]:
    """Timers that have not fired."""
    return _open(events, TimerCreated)


def _open(events: Sequence[HistoryEvent], kind: type[E]) -> list[E]:
    """What was started of a kind and is not answered."""
    answered = RuntimeState(events).answered
    return [e for e in events if isinstance(e, kind) and e.event_id not in answered]


def awaited_events(actions: Sequence[Action], events: Sequence[HistoryEvent]) -> tuple[str, ...]:
    """Names of external events that were waited for and have not come; compared without case."""
    left = [event.name.lower() for event in events if isinstance(event, EventRaised)]
    open_names: list[str] = []
    for name in _waits(actions):
        if name.lower() in left:
            left.remove(name.lower())
        else:
            open_names.append(name)
    return tuple(open_names)


def _waits(actions: Sequence[Action]) -> Iterator[str]:
    for action in actions:
        match action:
            case WaitForEvent():
                yield action.name
            case WhenAll() | WhenAny():
                yield from _waits(action.children)
            case _:
                pass


# --- the instance as a whole --------------------------------------------------------------------------------------


def _ended(situation: Situation) -> list[Finding]:
    record = situation.record
    output = f": {record.output}" if record.output else ""
    cure = None
    if record.status is RuntimeStatus.FAILED:
        cure = situation.command("durable rewind --id {}", record.instance_id)
    return [
        Finding(
            cause=Cause.ENDED,
            text=f"it waits for nothing: it has ended as {record.status}{output}",
            since=record.completed_at or record.last_updated_at,
            cure=cure,
        )
    ]


def _suspended(situation: Situation) -> Finding:
    reason = f" ({situation.record.output})" if situation.record.output else ""
    return Finding(
        cause=Cause.SUSPENDED,
        text=f"it is suspended{reason}; what arrives is kept until it is resumed",
        since=situation.record.last_updated_at,
        cure=situation.command("durable instances resume {}", situation.record.instance_id),
    )


def _lease(situation: Situation) -> list[Finding]:
    """Whether somebody reads the instance's control queue."""
    lease, queue = situation.lease, situation.control_queue
    if lease is None:
        text, since = f"the control queue {queue} has no lease, so nobody may read it", None
    elif lease.owner is None:
        text, since = f"no host reads the control queue {queue}: its lease has no owner", None
    elif not lease.is_held:
        text = (
            f"no host reads the control queue {queue}: the lease of {lease.owner} has run out and "
            "nobody has taken it"
        )
        since = lease.expires_at
    else:
        return []
    return [
        Finding(
            cause=Cause.LEASE,
            text=text,
            since=since,
            queue=queue,
            subject=queue,
            cure="durable start, in the app's folder",
        )
    ]


def _status(situation: Situation, state: RuntimeState) -> list[Finding]:
    if state.completed is None or state.completed.status not in TERMINAL:
        return []
    return [
        Finding(
            cause=Cause.STATUS,
            text=f"its history has ended as {state.completed.status}, but its status row still says "
            f"{situation.record.status}: a host died between the two writes",
            since=state.completed.timestamp,
            cure=situation.command(
                "durable raise-event --id {} --event-name mend", situation.record.instance_id
            )
            + " (any message makes a running host load it and mend the row)",
        )
    ]


def _start(situation: Situation) -> list[Finding]:
    """Nothing has happened yet."""
    record = situation.record
    scheduled = record.scheduled_start
    if scheduled is not None and scheduled > situation.now:
        return [
            Finding(
                cause=Cause.START,
                text=f"its start is scheduled for {scheduled.text()}",
                since=record.created_at,
                due=scheduled,
            )
        ]
    if any(isinstance(seen.message.event, ExecutionStarted) for seen in situation.messages):
        return []
    if situation.hidden.get(situation.control_queue):
        text = (
            f"it has not begun: its start message is in the hands of a host, or hidden in {situation.control_queue} "
            "until a host that died would have been done with it"
        )
        cure = "wait a few minutes, and ask again"
    else:
        text = (
            f"it has not begun, and its start message is not in {situation.control_queue} any more"
        )
        cure = situation.command("durable instances restart {}", record.instance_id)
    return [Finding(cause=Cause.START, text=text, since=record.created_at, cure=cure)]


def _nothing(situation: Situation) -> Finding:
    return Finding(
        cause=Cause.EVENT,
        text="no activity, timer, child or entity is open and no message waits: it waits for an external event, whose "
        "name is not stored",
        since=situation.record.last_updated_at,
        cure=situation.command(
            "durable raise-event --id {} --event-name NAME", situation.record.instance_id
        ),
    )


# --- what it has started ------------------------------------------------------------------------------------------


def _open_work(situation: Situation, state: RuntimeState) -> list[Finding]:
    findings: list[Finding] = []
    for event in situation.events:
        if event.event_id in state.answered:
            continue
        match event:
            case TaskScheduled():
                findings.append(_activity(situation, event))
            case TimerCreated():
                findings.append(_timer(situation, event))
            case _:
                pass
    findings += [_child(situation, child) for child in open_children(situation.events)]
    findings += [_entity_call(situation, call) for call in open_entity_calls(situation.events)]
    return [*(_event(situation, name) for name in situation.awaited or ()), *findings]


def _event(situation: Situation, name: str) -> Finding:
    return Finding(
        cause=Cause.EVENT,
        text=f"it waits for the external event {name!r}",
        since=situation.record.last_updated_at,
        subject=name,
        cure=situation.command(
            "durable raise-event --id {} --event-name {}", situation.record.instance_id, name
        ),
    )


def _activity(situation: Situation, event: TaskScheduled) -> Finding:
    what = f"activity {event.name!r} (task {event.event_id})"
    seen = _request_of(situation, event)
    answer = _answer_to(situation, event.event_id)
    cure: str | None = None
    count = None
    if answer is not None:
        text = f"the answer of {what} lies in {situation.control_queue} and has not been taken"
    elif seen is None:
        text = (
            f"{what} is running, or the host that ran it has died; then its message becomes visible again after its "
            "time-out"
        )
        cure = None if situation.hidden.get(situation.work_items) else _lost(situation)
    else:
        count = seen.dequeue_count
        text = f"{what} lies in {situation.work_items} and " + _taken(count)
        cure = "durable start, in the folder of an app that has this activity"
        if count >= POISON_DEQUEUE_COUNT:
            cure = f"see the log of the host for why it gives {event.name!r} back, and repair that"
    return Finding(
        cause=Cause.ACTIVITY,
        text=text,
        since=event.timestamp,
        subject=event.name,
        queue=situation.work_items,
        dequeue_count=count,
        cure=cure,
    )


def _lost(situation: Situation) -> str:
    return "its message is in no queue: if no host works on it either, " + situation.command(
        "durable instances restart {}", situation.record.instance_id
    )


def _taken(count: int) -> str:
    return "nobody has taken it" if count == 0 else f"was taken and given back {count} times"


def _request_of(situation: Situation, event: TaskScheduled) -> SeenMessage | None:
    return next(
        (
            seen
            for seen in situation.messages
            if isinstance(seen.message.event, TaskScheduled)
            and seen.message.event.event_id == event.event_id
        ),
        None,
    )


def _answer_to(situation: Situation, task_id: int) -> SeenMessage | None:
    return next(
        (seen for seen in situation.messages if answered_task(seen.message.event) == task_id), None
    )


def _timer(situation: Situation, event: TimerCreated) -> Finding:
    due, now = event.fire_at, situation.now
    text = f"timer {event.event_id} is due at {due.text()}"
    cure = None
    if _answer_to(situation, event.event_id) is not None:
        text = f"{text}; its message lies in {situation.control_queue} and has not been taken"
    elif now.minus(due) > _OVERDUE:
        text = (
            f"{text}, which is over, and its message is not to be seen in {situation.control_queue}"
        )
        cure = (
            "a host may hold the message; if none runs, "
            + situation.command("durable hub copy")
            + " makes the messages of open timers anew"
        )
    return Finding(
        cause=Cause.TIMER,
        text=text,
        since=event.timestamp,
        subject=str(event.event_id),
        due=due,
        cure=cure,
    )


def _child(situation: Situation, event: SubOrchestrationCreated) -> Finding:
    found = situation.related.get(event.instance_id)
    how = f"is {found.status}" if found is not None else "has no status row"
    ended = found is not None and found.status in TERMINAL
    note = ", and its answer has not arrived" if ended else ""
    return Finding(
        cause=Cause.CHILD,
        text=f"child {event.instance_id!r} ({event.name}, task {event.event_id}) {how}{note}",
        since=event.timestamp,
        subject=event.instance_id,
        cure=situation.command("durable why {}", event.instance_id),
    )


def _entity_call(situation: Situation, event: EventSent) -> Finding:
    request = _json_object(event.input)
    operation = request.get("op")
    what = (
        f"calls {operation!r} of entity"
        if isinstance(operation, str)
        else "asks for the lock of entity"
    )
    holder = _holder(situation.related.get(event.instance_id))
    note = f", which is locked by {holder!r}" if holder else ""
    target = holder if holder and holder != situation.record.instance_id else event.instance_id
    return Finding(
        cause=Cause.ENTITY,
        text=f"it {what} {event.instance_id!r} and has no answer{note}",
        since=event.timestamp,
        subject=event.instance_id,
        cure=situation.command("durable why {}", target),
    )


# --- entities -----------------------------------------------------------------------------------------------------


def _is_entity(situation: Situation) -> bool:
    return is_entity_id(situation.record.instance_id)


def _entity(situation: Situation) -> list[Finding]:
    """An entity waits for operations, or for whoever has locked it."""
    scheduler = _json_object(situation.record.input)
    holder = _holder(situation.record)
    queued = scheduler.get("queue")
    waiting = len(cast("list[object]", queued)) if isinstance(queued, list) else 0
    if holder:
        return [
            Finding(
                cause=Cause.ENTITY,
                text=f"it is locked by {holder!r}; {waiting} operations wait for the lock's end",
                since=situation.record.last_updated_at,
                subject=holder,
                cure=situation.command("durable why {}", holder),
            )
        ]
    return [
        Finding(
            cause=Cause.ENTITY,
            text=f"it waits for operations; {waiting} are kept in its state"
            if waiting
            else "it is an entity and waits for operations",
            since=situation.record.last_updated_at,
        ),
        *_hidden_operations(situation),
    ]


def _hidden_operations(situation: Situation) -> list[Finding]:
    """Operations of a batch that failed as a whole wait out of sight until they are given again."""
    hidden = situation.hidden.get(situation.control_queue, 0)
    if not hidden:
        return []
    return [
        Finding(
            cause=Cause.MESSAGE,
            text=f"{hidden} message(s) of {situation.control_queue} cannot be seen: a host works on them, or they wait "
            "for their time, as operations do that are run again because the entity function failed as a whole",
            queue=situation.control_queue,
            cure=f"look for {situation.record.instance_id!r} in the log of the host, and mend the function if it says "
            "that it failed as a whole",
        )
    ]


def _holder(record: InstanceRecord | None) -> str | None:
    holder = _json_object(record.input if record is not None else None).get("lockedBy")
    return holder if isinstance(holder, str) and holder else None


def _awaits(event: EventSent) -> str | None:
    """Under which name the answer to a call or lock comes; None if there is none to come."""
    if not is_entity_id(event.instance_id):
        return None
    request = _json_object(event.input)
    found = request.get("id")
    return found if isinstance(found, str) and not request.get("signal") else None


def _json_object(text: str | None) -> dict[str, object]:
    try:
        value: object = loads(text or "null")
    except ValueError:
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


# --- messages -----------------------------------------------------------------------------------------------------


def _messages(situation: Situation) -> list[Finding]:
    """Visible messages to the instance that nobody has dealt with, the oldest first."""
    mine = [seen for seen in situation.messages if seen.queue == situation.control_queue]
    return [_message(situation, seen) for seen in sorted(mine, key=lambda seen: seen.inserted_at)]


def _message(situation: Situation, seen: SeenMessage) -> Finding:
    kind = type(seen.message.event).__name__
    name: object = getattr(seen.message.event, "name", None)
    what = f"{kind} {name!r}" if isinstance(name, str) else kind
    poison = seen.dequeue_count >= POISON_DEQUEUE_COUNT
    cure = "durable start, in the app's folder"
    if poison:
        cure = "poison: see the log of the host for why it gives the message back, and repair that"
    elif situation.lease is not None and situation.lease.owner and not _lease(situation):
        cure = f"{situation.lease.owner} reads this queue; it may be busy with the instance now"
    return Finding(
        cause=Cause.MESSAGE,
        text=f"message {what} lies in {seen.queue} and {_taken(seen.dequeue_count)}",
        since=seen.inserted_at,
        subject=what,
        queue=seen.queue,
        dequeue_count=seen.dequeue_count,
        cure=cure,
    )
