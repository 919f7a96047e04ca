"""In which order an orchestrator gets to see its history.

While an instance is suspended its events are stored as they arrive but kept from the orchestrator; a resume lets
them through in the order of arrival. The order is a function of the stored rows alone, so a replay repeats it.
"""

from __future__ import annotations

from emulator.core.events import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)

HELD_WHILE_SUSPENDED = (
    EventRaised,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)


class Feed:
    """The rows given to the orchestrator so far, and those held back."""

    __slots__ = ("events", "held", "suspended")

    def __init__(self) -> None:
        """Begin with nothing fed."""
        self.events: list[HistoryEvent] = []
        self.held: list[HistoryEvent] = []
        self.suspended = False

    def add(self, event: HistoryEvent) -> None:
        """Take the next row of the history."""
        if isinstance(event, ExecutionSuspended):
            self.suspended = True
        if self.suspended and isinstance(event, HELD_WHILE_SUSPENDED):
            self.held.append(event)
            return
        self.events.append(event)
        if isinstance(event, ExecutionResumed):
            self.suspended = False
            self.events.extend(self.held)
            self.held.clear()

    def restamp(self, stored: dict[int, HistoryEvent], since: int) -> None:
        """Put rows as they were stored in the place of those that the episode saw.

        Args:
            stored: stored row by id() of the row it replaces.
            since: where the episode's part of `events` begins.
        """
        for index in range(since, len(self.events)):
            row = self.events[index]
            self.events[index] = stored.get(id(row), row)
        self.held = [stored.get(id(row), row) for row in self.held]
