"""The state of an execution: the fold of its history."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.core.events import (
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    HistoryEvent,
    OrchestratorStarted,
)
from emulator.core.ids import ExecutionId
from emulator.core.status import TERMINAL, RuntimeStatus


class RuntimeState:
    """The rows of one execution in order, with what can be read off them kept up to date."""

    __slots__ = ("completed", "episode", "events", "started", "suspended")

    def __init__(self, events: Iterable[HistoryEvent] = ()) -> None:
        """Fold rows that are stored already."""
        self.events: list[HistoryEvent] = []
        self.started: ExecutionStarted | None = None
        self.completed: ExecutionCompleted | None = None
        self.suspended = False
        self.episode = 0
        for event in events:
            self.add(event)

    def add(self, event: HistoryEvent) -> None:
        """Append one row."""
        self.events.append(event)
        if isinstance(event, OrchestratorStarted):
            self.episode += 1
        elif isinstance(event, ExecutionStarted):
            self.started = event
        elif isinstance(event, ExecutionCompleted):
            self.completed = event
        elif isinstance(event, ExecutionSuspended):
            self.suspended = True
        elif isinstance(event, ExecutionResumed):
            self.suspended = False

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
