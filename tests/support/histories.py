"""Histories as one line of text: `ES TS#0(hello) | TC>0 EC#1(Completed)`.

Episodes are parted by `|`, and the rows that begin and end each are checked and left out; the OrchestratorCompleted in
the middle of an execution's first episode, which a continue-as-new leaves, is shown as OC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    HistoryEvent,
    OrchestratorCompleted,
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


def notation(events: Iterable[HistoryEvent]) -> str:
    """The rows of one execution."""
    episodes: list[list[HistoryEvent]] = []
    for event in events:
        if isinstance(event, OrchestratorStarted):
            episodes.append([])
        else:
            assert episodes, "a history must begin with OrchestratorStarted"
            episodes[-1].append(event)
    return " | ".join(_episode(rows) for rows in episodes)


def _episode(rows: Sequence[HistoryEvent]) -> str:
    assert rows, "an episode has no rows but its start"
    assert isinstance(rows[-1], OrchestratorCompleted), (
        "an episode must end with OrchestratorCompleted"
    )
    return " ".join(_row(row) for row in rows[:-1])


_FORMS: dict[type[HistoryEvent], str] = {
    ExecutionStarted: "ES",
    ExecutionCompleted: "EC#{0.event_id}({0.status})",
    TaskScheduled: "TS#{0.event_id}({0.name})",
    TaskCompleted: "TC>{0.task_scheduled_id}",
    TaskFailed: "TF>{0.task_scheduled_id}",
    TimerCreated: "TM#{0.event_id}",
    TimerFired: "FI>{0.timer_id}",
    SubOrchestrationCreated: "SO#{0.event_id}({0.name})",
    SubOrchestrationCompleted: "SC>{0.task_scheduled_id}",
    SubOrchestrationFailed: "SF>{0.task_scheduled_id}",
    EventSent: "SE#{0.event_id}({0.name})",
    EventRaised: "ER({0.name})",
    ExecutionTerminated: "XT",
    ExecutionSuspended: "XS",
    ExecutionResumed: "XR",
    OrchestratorCompleted: "OC",
}


def _row(row: HistoryEvent) -> str:
    if isinstance(row, GenericEvent):
        return "GE" if row.event_id < 0 else f"GE#{row.event_id}"
    return _FORMS[type(row)].format(row)


def without_borders(text: str) -> list[str]:
    """The rows of a notation, for stores on which nobody knows what shares an episode."""
    return [token for token in text.split() if token != "|"]
