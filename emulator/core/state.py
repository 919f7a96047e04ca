"""The state of an execution: the fold of its history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, cast
from zlib import crc32

from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    GenericEvent,
    HistoryEvent,
    OrchestratorStarted,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from emulator.core.ids import ExecutionId
from emulator.core.instant import Instant
from emulator.core.json_text import loads
from emulator.core.status import TERMINAL, RuntimeStatus


class RuntimeState:
    """The rows of one execution in order, with what can be read off them kept up to date.

    `scheduled` holds the task ids that rows have started, `answered` those that rows have answered, `due` the times
    of timers by task id, `requests` the ids of the requests sent to entities, `received` the keys of what reached
    the instance without answering a task (received_key()), `taken_back` the times of what a rewind took out.
    """

    __slots__ = (
        "answered",
        "completed",
        "due",
        "episode",
        "events",
        "received",
        "requests",
        "scheduled",
        "started",
        "suspended",
        "taken_back",
    )

    def __init__(self, events: Iterable[HistoryEvent] = (), handled: Iterable[str] = ()) -> None:
        """Fold rows that are stored already.

        Args:
            handled: keys (received_key()) of what earlier executions of the instance have received.
        """
        self.events: list[HistoryEvent] = []
        self.started: ExecutionStarted | None = None
        self.completed: ExecutionCompleted | None = None
        self.suspended = False
        self.episode = 0
        self.scheduled: set[int] = set()
        self.answered: set[int] = set()
        self.due: dict[int, Instant] = {}
        self.requests: set[str] = set()
        self.received: set[str] = set(handled)
        self.taken_back: set[Instant] = set()
        for event in events:
            self.add(event)

    def has_followed(self, execution_id: ExecutionId | None) -> bool:
        """Whether this execution continues one that a start began: that start has had its effect."""
        return execution_id in self.received

    def add(self, event: HistoryEvent) -> None:
        """Append one row."""
        self.events.append(event)
        key = received_key(event)
        if key is not None:
            self.received.add(key)
        match event:
            case OrchestratorStarted():
                self.episode += 1
            case ExecutionStarted():
                self.started = event
            case ExecutionCompleted():
                self.completed = event
            case ExecutionSuspended():
                self.suspended = True
            case ExecutionResumed():
                self.suspended = False
            case GenericEvent():
                self.taken_back.add(event.timestamp)
            case _:
                self._add_task(event)

    def _add_task(self, event: HistoryEvent) -> None:
        match event:
            case TimerCreated():
                self.scheduled.add(event.event_id)
                self.due[event.event_id] = event.fire_at
            case TaskScheduled() | SubOrchestrationCreated():
                self.scheduled.add(event.event_id)
            case EventSent():
                self.scheduled.add(event.event_id)
                request_id = _request_id(event)
                if request_id is not None:
                    self.requests.add(request_id)
            case _:
                task_id = answered_task(event)
                if task_id is not None:
                    self.answered.add(task_id)

    @property
    def execution_id(self) -> ExecutionId | None:
        """Id of the execution, None before it has started."""
        return self.started.instance.execution_id if self.started else None

    @property
    def status(self) -> RuntimeStatus:
        """Where the execution stands. Pending means that nothing has started it."""
        if self.completed is not None:
            return self.completed.status
        if self.started is None:
            return RuntimeStatus.PENDING
        return RuntimeStatus.SUSPENDED if self.suspended else RuntimeStatus.RUNNING

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to this execution."""
        return self.completed is not None and self.completed.status in TERMINAL


def received_key(event: HistoryEvent) -> str | None:
    """What tells one message from another where no task id does: its sending time (in 100 ns), kind and texts.

    A message that is delivered again, because its deletion failed or its receiver died, has all of them in common
    with the row that it has become. None for events that answer a task, and those that happen once.
    """
    match event:
        case EventRaised():
            text = f"{event.name}\0{event.input}"
        case ExecutionSuspended() | ExecutionResumed():
            text = f"{type(event).__name__}\0{event.reason}"
        case GenericEvent():
            text = f"GenericEvent\0{event.data}"
        case _:
            return None
    return f"{event.timestamp}-{crc32(text.encode('utf-8', 'surrogatepass')):08x}"


REMEMBERED_MIN: Final = 256
"""So many of the events that earlier executions have received are remembered, in case their messages come again."""
REMEMBERED_MAX: Final = 1000
"""Keys that fit into a column (of 32,768 characters)."""


def remembered(handled: Sequence[str], received: Iterable[HistoryEvent]) -> tuple[str, ...]:
    """Keys for the next execution: all of what this one has received, and the newest of those before it.

    The first of all is the id of the execution that a start began (RuntimeState.has_followed()).
    """
    new = [key for event in received if (key := received_key(event)) is not None]
    return (*handled, *new)[-min(max(REMEMBERED_MIN, len(new)), REMEMBERED_MAX) :]


def answered_task(event: HistoryEvent) -> int | None:
    """The task id that an event answers, None if it answers none."""
    match event:
        case (
            TaskCompleted() | TaskFailed() | SubOrchestrationCompleted() | SubOrchestrationFailed()
        ):
            return event.task_scheduled_id
        case TimerFired():
            return event.timer_id
        case _:
            return None


def _request_id(row: EventSent) -> str | None:
    """The id in an entity request; None for any other sent event."""
    try:
        request: object = loads(row.input or "null")
    except ValueError:
        return None
    if not isinstance(request, dict):
        return None
    found = cast("dict[str, object]", request).get("id")
    return found if isinstance(found, str) else None
