"""The state of an execution: the fold of its history."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from emulator.core.events import (
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
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
from emulator.core.status import TERMINAL, RuntimeStatus


class RuntimeState:
    """The rows of one execution in order, with what can be read off them kept up to date.

    `scheduled` holds the task ids that rows have started, `answered` those that rows have answered, `requests` the
    ids of the requests sent to entities.
    """

    __slots__ = (
        "answered",
        "completed",
        "episode",
        "events",
        "requests",
        "scheduled",
        "started",
        "suspended",
    )

    def __init__(self, events: Iterable[HistoryEvent] = ()) -> None:
        """Fold rows that are stored already."""
        self.events: list[HistoryEvent] = []
        self.started: ExecutionStarted | None = None
        self.completed: ExecutionCompleted | None = None
        self.suspended = False
        self.episode = 0
        self.scheduled: set[int] = set()
        self.answered: set[int] = set()
        self.requests: set[str] = set()
        for event in events:
            self.add(event)

    def add(self, event: HistoryEvent) -> None:
        """Append one row."""
        self.events.append(event)
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
            case _:
                self._add_task(event)

    def _add_task(self, event: HistoryEvent) -> None:
        match event:
            case TaskScheduled() | TimerCreated() | SubOrchestrationCreated():
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
        request: object = json.loads(row.input or "null")
    except ValueError:
        return None
    if not isinstance(request, dict):
        return None
    found = cast("dict[str, object]", request).get("id")
    return found if isinstance(found, str) else None
