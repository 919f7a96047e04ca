"""Queues in memory."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from datetime import timedelta

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.errors import NotFoundError, PopReceiptMismatchError
from emulator.storage.ports import MessageHandle, QueueMessage
from emulator.storage.rules import check_message
from emulator.storage.sources import Clock, IdSource


class _Message:
    __slots__ = ("count", "id", "inserted_at", "number", "receipt", "text", "visible_at")

    def __init__(self, number: int, message_id: str, text: str, inserted_at: Instant) -> None:
        self.number = number
        self.id = message_id
        self.text = text
        self.inserted_at = inserted_at
        self.visible_at = inserted_at
        self.count = 0
        self.receipt = ""

    def handle(self) -> MessageHandle:
        return MessageHandle(
            message_id=self.id, pop_receipt=self.receipt, next_visible_at=self.visible_at
        )


class _Queue:
    """Messages by id; those that are visible in order of insertion, the others in order of time.

    Both heaps may hold stale entries: one counts only while it says what the message says.
    """

    __slots__ = ("hidden", "messages", "visible")

    def __init__(self) -> None:
        self.messages: dict[str, _Message] = {}
        self.visible: list[tuple[int, str, Instant]] = []
        self.hidden: list[tuple[Instant, int, str]] = []

    def place(self, message: _Message, now: Instant) -> None:
        if message.visible_at <= now:
            heapq.heappush(self.visible, (message.number, message.id, message.visible_at))
        else:
            heapq.heappush(self.hidden, (message.visible_at, message.number, message.id))

    def surface(self, now: Instant) -> None:
        while self.hidden and self.hidden[0][0] <= now:
            visible_at, number, message_id = heapq.heappop(self.hidden)
            heapq.heappush(self.visible, (number, message_id, visible_at))

    def take_visible(self) -> Iterator[_Message]:
        while self.visible:
            _, message_id, visible_at = heapq.heappop(self.visible)
            message = self.messages.get(message_id)
            if message is not None and message.visible_at == visible_at:
                yield message


class MemoryQueues:
    """The Queue service in memory (storage.ports.QueuePort)."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        """Begin without queues."""
        self._clock = clock
        self._ids = ids
        self._queues: dict[str, _Queue] = {}
        self._numbers = itertools.count()

    async def create_queue(self, queue: str) -> bool:
        """See QueuePort."""
        if queue in self._queues:
            return False
        self._queues[queue] = _Queue()
        return True

    async def delete_queue(self, queue: str) -> bool:
        """See QueuePort."""
        return self._queues.pop(queue, None) is not None

    async def list_queues(self, prefix: str = "") -> tuple[str, ...]:
        """See QueuePort."""
        return tuple(sorted(name for name in self._queues if name.startswith(prefix)))

    async def put(self, queue: str, text: str, *, visibility_timeout_s: int = 0) -> MessageHandle:
        """See QueuePort."""
        found = self._queue(queue)
        check_message(text)
        now = self._clock.now()
        number = next(self._numbers)
        message = _Message(number, self._ids.guid(), text, now)
        self._hide(found, message, now, visibility_timeout_s)
        found.messages[message.id] = message
        return message.handle()

    async def receive(
        self, queue: str, *, count: int, visibility_timeout_s: int
    ) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        found = self._queue(queue)
        now = self._clock.now()
        found.surface(now)
        received: list[QueueMessage] = []
        taken = found.take_visible()
        while len(received) < count and (message := next(taken, None)) is not None:
            message.count += 1
            self._hide(found, message, now, visibility_timeout_s)
            received.append(_as_received(message))
        return tuple(received)

    async def peek(self, queue: str, *, count: int) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        found = self._queue(queue)
        now = self._clock.now()
        visible = [message for message in found.messages.values() if message.visible_at <= now]
        visible.sort(key=lambda message: message.number)
        return tuple(_as_peeked(message) for message in visible[:count])

    async def update(
        self,
        queue: str,
        message_id: str,
        pop_receipt: str,
        *,
        visibility_timeout_s: int,
        text: str | None = None,
    ) -> MessageHandle:
        """See QueuePort."""
        found = self._queue(queue)
        message = _held(found, message_id, pop_receipt)
        if text is not None:
            check_message(text)
            message.text = text
        self._hide(found, message, self._clock.now(), visibility_timeout_s)
        return message.handle()

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> None:
        """See QueuePort."""
        found = self._queue(queue)
        _held(found, message_id, pop_receipt)
        del found.messages[message_id]

    async def message_count(self, queue: str) -> int:
        """See QueuePort."""
        return len(self._queue(queue).messages)

    def _queue(self, name: str) -> _Queue:
        found = self._queues.get(name)
        if found is None:
            raise NotFoundError(f"there is no queue {name!r}")
        return found

    def _hide(self, queue: _Queue, message: _Message, now: Instant, seconds: int) -> None:
        message.visible_at = now.plus(timedelta(seconds=seconds))
        message.receipt = f"{message.number}.{next(self._numbers)}"
        queue.place(message, now)


def _held(queue: _Queue, message_id: str, pop_receipt: str) -> _Message:
    message = queue.messages.get(message_id)
    if message is None:
        raise NotFoundError(f"there is no message {message_id!r}")
    if message.receipt != pop_receipt:
        raise PopReceiptMismatchError(f"message {message_id!r} was dequeued or updated since")
    return message


def _as_received(message: _Message) -> QueueMessage:
    return QueueMessage(
        handle=message.handle(),
        text=message.text,
        inserted_at=message.inserted_at,
        dequeue_count=message.count,
    )


def _as_peeked(message: _Message) -> QueueMessage:
    handle = MessageHandle(message_id=message.id, pop_receipt="", next_visible_at=MIN_INSTANT)
    return QueueMessage(
        handle=handle,
        text=message.text,
        inserted_at=message.inserted_at,
        dequeue_count=message.count,
    )
