"""What an episode makes of the messages that woke it.

A message is accepted into history, discarded (deleted unprocessed) or deferred (back to the queue until history has
caught up). Source: reference azure-storage-provider.md 7.3, 7.4, 7.6, 7.7 and out-of-process-protocol.md 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from emulator.core.entity_messages import is_entity_id
from emulator.core.events import (
    EventRaised,
    ExecutionStarted,
    ExecutionTerminated,
    HistoryEvent,
    TimerFired,
)
from emulator.core.ids import ExecutionId
from emulator.core.instance import InstanceRecord
from emulator.core.instant import TICKS_PER_SECOND, Instant
from emulator.core.messages import TaskMessage
from emulator.core.state import RuntimeState, answered_task, received_key
from emulator.core.status import RuntimeStatus

ZOMBIE_DEQUEUE_COUNT: Final = 5
"""An answer for an instance without a start is given up after this many deliveries (OrchestrationSession)."""

ELSEWHERE_DEQUEUE_COUNT: Final = 6
"""A message for an execution that is not the stored one is given up after so many deliveries, about two minutes."""

CLOCKS_APART: Final = 15 * TICKS_PER_SECOND
"""How far the clock of a worker may be ahead of the store's."""

START_DEQUEUE_COUNT_MAX: Final = 10
"""A start whose Instances row never appears is deleted at this delivery (OrchestrationSessionManager)."""

UNASKED_DEQUEUE_COUNT_MAX: Final = 10
"""So is an entity's answer that no history has asked for: about seventeen minutes later, when whoever asked and died
has long been followed by another, who asked again under another id. The real product gives it back for ever."""


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


class Judge:
    """Decides on the messages of one batch, one after the other."""

    def __init__(self, state: RuntimeState, *, is_entity: bool) -> None:
        """Begin with the history as it is stored."""
        self._state = state
        self._is_entity = is_entity
        self._started = state.started
        self._answered: set[int] = set()
        self._received: set[str] = set()

    def judge(self, arrival: Arrival) -> Verdict:
        """Decide on the next message; an accepted one counts for those that follow."""
        message = arrival.message
        if self._is_entity:
            verdict = self._judge_for_entity(message)
            return verdict if verdict is not Verdict.ACCEPT else self._once(message.event)
        is_for_other = self._started is not None and not _meant(
            message.target.execution_id, self._started.instance.execution_id
        )
        if self._state.is_terminal and not is_for_other:
            return Verdict.DISCARD
        if isinstance(message.event, ExecutionStarted):
            return self._judge_execution_start(message.event)
        if self._started is None:
            return _without_start(arrival)
        if is_for_other:
            return _for_other_execution(arrival, self._started)
        task_id = answered_task(message.event)
        if task_id is None:
            return self._judge_unasked(arrival)
        if task_id not in self._state.scheduled:
            return Verdict.DEFER
        if task_id in self._state.answered or task_id in self._answered:
            return Verdict.DISCARD
        if self._is_outdated(message.event):
            return Verdict.DISCARD
        self._answered.add(task_id)
        return Verdict.ACCEPT

    def _judge_unasked(self, arrival: Arrival) -> Verdict:
        if self._is_early_answer_of_entity(arrival):
            is_in_vain = arrival.dequeue_count >= UNASKED_DEQUEUE_COUNT_MAX
            return Verdict.DISCARD if is_in_vain else Verdict.DEFER
        return self._once(arrival.message.event)

    def _once(self, event: HistoryEvent) -> Verdict:
        """What answers no task counts once, however often it is delivered."""
        key = received_key(event)
        if key is None:
            return Verdict.ACCEPT
        if key in self._state.received or key in self._received:
            return Verdict.DISCARD
        self._received.add(key)
        return Verdict.ACCEPT

    def _is_outdated(self, event: HistoryEvent) -> bool:
        """An answer to what history does not hold, or not any more.

        A timer of an episode that was sent but not stored, and ran again later, is earlier than the one that was
        stored. An answer that a rewind has taken back may be delivered again.
        """
        if event.timestamp in self._state.taken_back:
            return True
        return isinstance(event, TimerFired) and event.fire_at < self._state.due.get(
            event.timer_id, event.fire_at
        )

    def _judge_execution_start(self, event: ExecutionStarted) -> Verdict:
        if self._started is not None:
            return Verdict.DISCARD
        self._started = event
        return Verdict.ACCEPT

    def _is_early_answer_of_entity(self, arrival: Arrival) -> bool:
        event = arrival.message.event
        if not isinstance(event, EventRaised) or not is_entity_id(arrival.sender):
            return False
        return event.name not in self._state.requests

    def _judge_for_entity(self, message: TaskMessage) -> Verdict:
        """An entity takes what is raised for it, which starts it if need be, and its termination."""
        has_begun = self._started is not None and not self._state.is_terminal
        current = self._state.execution_id
        match message.event:
            case EventRaised() if has_begun:
                accepts = _meant(message.target.execution_id, current)
            case EventRaised():
                accepts = self._started is None and message.target.execution_id is None
            case ExecutionTerminated():
                accepts = has_begun
            case _:
                accepts = False
        return Verdict.ACCEPT if accepts else Verdict.DISCARD


def _meant(wanted: ExecutionId | None, current: ExecutionId | None) -> bool:
    return wanted is None or wanted == current


def _without_start(arrival: Arrival) -> Verdict:
    """Nothing has started the instance: an answer may be ahead of its history, the rest is for nobody."""
    is_answer = answered_task(arrival.message.event) is not None
    if is_answer and arrival.dequeue_count <= ZOMBIE_DEQUEUE_COUNT:
        return Verdict.DEFER
    return Verdict.DISCARD


def _for_other_execution(arrival: Arrival, current: ExecutionStarted) -> Verdict:
    """Left over from an execution before the current one, or ahead of one that is about to be stored.

    Messages are sent before their execution is stored. A worker that is held up in between, so that another takes its
    partition over, may still store it. The real product deletes such messages, and the instance waits for ever.
    """
    is_later = arrival.inserted_at >= current.timestamp - CLOCKS_APART
    if is_later and arrival.dequeue_count <= ELSEWHERE_DEQUEUE_COUNT:
        return Verdict.DEFER
    return Verdict.DISCARD


def judge_start(
    arrival: Arrival,
    row: InstanceRecord | None,
    *,
    replaces: bool,
    visibility_timeout_ticks: int,
) -> Verdict:
    """Decide on the start of a top-level instance by its Instances row.

    The client writes the row after the message: a start without its row is looked at again later, and given up
    when it never appears. One that was terminated before it ran stays so, or Failed under `--parity strict`; the real
    product runs it all the same.

    Args:
        replaces: the history holds another execution. If the row shows that the start has had its effect, that
            one has followed it, and the worker died before the row showed that.
    """
    start = arrival.message.event
    if not isinstance(start, ExecutionStarted):
        return Verdict.ACCEPT
    execution_id = (start.instance.execution_id or "").lower()
    if row is not None and (not row.execution_id or row.execution_id.lower() == execution_id):
        has_run = replaces and row.status is not RuntimeStatus.PENDING
        is_over = row.status in (RuntimeStatus.TERMINATED, RuntimeStatus.FAILED)
        return Verdict.DISCARD if has_run or is_over else Verdict.ACCEPT
    if row is not None and row.generation == start.generation:
        pending_before = row.status is RuntimeStatus.PENDING and row.created_at < start.timestamp
        dequeued_at = arrival.next_visible_at - visibility_timeout_ticks
        seen_again = arrival.dequeue_count > 1 and dequeued_at > row.created_at
        if pending_before or seen_again:
            return Verdict.DISCARD
    if arrival.dequeue_count >= START_DEQUEUE_COUNT_MAX:
        return Verdict.DISCARD
    return Verdict.DEFER
