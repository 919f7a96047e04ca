"""What an episode makes of the messages that woke it.

A message is accepted into history, discarded (deleted unprocessed) or deferred (back to the queue until history has
caught up). Source: reference azure-storage-provider.md 7.3, 7.4, 7.6, 7.7 and out-of-process-protocol.md 3.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionStarted,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from emulator.core.ids import ExecutionId
from emulator.core.instance import InstanceRecord
from emulator.core.instant import Instant
from emulator.core.messages import TaskMessage
from emulator.core.state import RuntimeState
from emulator.core.status import RuntimeStatus

ZOMBIE_DEQUEUE_COUNT: Final = 5
"""An answer for an instance without a start is given up after this many deliveries (OrchestrationSession)."""

START_DEQUEUE_COUNT_MAX: Final = 10
"""A start whose Instances row never appears is deleted at this delivery (OrchestrationSessionManager)."""


class Verdict(StrEnum):
    """What becomes of a message."""

    ACCEPT = "accept"
    DISCARD = "discard"
    DEFER = "defer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message with what its delivery tells."""

    message: TaskMessage
    sender: str
    inserted_at: Instant
    sequence_number: int
    dequeue_count: int
    next_visible_at: Instant


T = TypeVar("T")


def in_order(arrivals: Iterable[tuple[T, Arrival]]) -> list[tuple[T, Arrival]]:
    """Sort one batch: by second of insertion, then by the sender's sequence number; a start comes first."""

    def place(item: tuple[T, Arrival]) -> tuple[bool, int, int]:
        arrival = item[1]
        second = arrival.inserted_at // 10_000_000
        return (
            not isinstance(arrival.message.event, ExecutionStarted),
            second,
            arrival.sequence_number,
        )

    return sorted(arrivals, key=place)


def judge(
    arrival: Arrival, state: RuntimeState, accepted: Sequence[HistoryEvent], *, is_entity: bool
) -> Verdict:
    """Decide on one message, given the history and what was accepted before it in the same batch."""
    message = arrival.message
    started = state.started or _start_of(accepted)
    if isinstance(message.event, ExecutionStarted):
        return Verdict.DISCARD if started is not None else Verdict.ACCEPT
    if started is None:
        return _without_start(arrival)
    if not _meant(message.target.execution_id, started.instance.execution_id):
        return Verdict.DISCARD
    if _is_early(arrival, state, is_entity=is_entity):
        return Verdict.DEFER
    if _is_repeated(message.event, state, accepted):
        return Verdict.DISCARD
    return Verdict.ACCEPT


def _start_of(accepted: Sequence[HistoryEvent]) -> ExecutionStarted | None:
    return next((event for event in accepted if isinstance(event, ExecutionStarted)), None)


def _meant(wanted: ExecutionId | None, current: ExecutionId | None) -> bool:
    return wanted is None or wanted == current


def _without_start(arrival: Arrival) -> Verdict:
    """Nothing has started the instance: an answer may be ahead of its history, the rest is for nobody."""
    is_answer = _answered_task(arrival.message.event) is not None
    if is_answer and arrival.dequeue_count <= ZOMBIE_DEQUEUE_COUNT:
        return Verdict.DEFER
    return Verdict.DISCARD


def _answered_task(event: HistoryEvent) -> int | None:
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


def _is_early(arrival: Arrival, state: RuntimeState, *, is_entity: bool) -> bool:
    """Whether the row that the message answers is not in history yet."""
    event = arrival.message.event
    task_id = _answered_task(event)
    if task_id is not None:
        return not any(row.event_id == task_id for row in reversed(state.events))
    if isinstance(event, EventRaised) and arrival.sender.startswith("@") and not is_entity:
        return not any(
            isinstance(row, EventSent) and _request_id(row) == event.name
            for row in reversed(state.events)
        )
    return False


def _request_id(row: EventSent) -> str | None:
    try:
        request = json.loads(row.input or "null")
    except ValueError:
        return None
    return request.get("id") if isinstance(request, dict) else None


def _is_repeated(
    event: HistoryEvent, state: RuntimeState, accepted: Sequence[HistoryEvent]
) -> bool:
    """Whether the task has been answered already: a message delivered twice, or sent twice after a crash."""
    task_id = _answered_task(event)
    if task_id is None:
        return False
    rows = (*accepted, *reversed(state.events))
    for row in rows:
        if _answered_task(row) == task_id:
            return True
        if row.event_id == task_id:
            return False
    return False


def judge_start(
    arrival: Arrival, row: InstanceRecord | None, *, visibility_timeout_ticks: int
) -> Verdict:
    """Decide on the start of a top-level instance by its Instances row.

    The client writes the row after the message: a start without its row is looked at again later, and given up
    when it never appears.
    """
    start = arrival.message.event
    if not isinstance(start, ExecutionStarted):
        return Verdict.ACCEPT
    execution_id = (start.instance.execution_id or "").lower()
    if row is not None and (not row.execution_id or row.execution_id.lower() == execution_id):
        return Verdict.ACCEPT
    if row is not None and row.generation == start.generation:
        pending_before = row.status is RuntimeStatus.PENDING and row.created_at < start.timestamp
        dequeued_at = arrival.next_visible_at - visibility_timeout_ticks
        seen_again = arrival.dequeue_count > 1 and dequeued_at > row.created_at
        if pending_before or seen_again:
            return Verdict.DISCARD
    if arrival.dequeue_count >= START_DEQUEUE_COUNT_MAX:
        return Verdict.DISCARD
    return Verdict.DEFER
