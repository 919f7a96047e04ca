"""One queue of the hub, with messages decoded: a control queue or the work-item queue.

Messages in hand are mutable on purpose: a renewal or a second delivery brings a new pop receipt, and whoever
deletes the message later must use the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from emulator.core.backoff import ABANDON_DELAY_MAX_S, abandon_delay_s
from emulator.core.events import OrchestrationInstance
from emulator.core.inbox import Arrival
from emulator.core.instant import Instant
from emulator.core.messages import TaskMessage
from emulator.core.weights import payload_bytes
from emulator.errors import DecodeError, NotFoundError, PopReceiptMismatchError, StorageError
from emulator.hub.payloads import PayloadStore
from emulator.hub.together import together
from emulator.log import fields, get_logger
from emulator.storage.ports import (
    RECEIVE_COUNT_MAX,
    MessageHandle,
    QueueMessage,
    QueuePort,
)
from emulator.wire.queue_message import (
    Envelope,
    Wrapper,
    decode_envelope,
    decode_message,
    encode_envelope,
    encode_wrapper,
)
from emulator.wire.spill import message_blob_name, message_is_oversized

_log = get_logger(__name__)
POISON_DEQUEUE_COUNT: Final = 9
"""From this delivery on the abandon delay has reached its maximum, and the message is reported as poison."""


class InHand:
    """A message that this process holds: invisible to others until `next_visible_at`."""

    __slots__ = (
        "dequeue_count",
        "envelope",
        "inserted_at",
        "is_new_instance",
        "message_id",
        "next_visible_at",
        "payload",
        "pop_receipt",
        "queue",
        "row",
        "size",
    )

    def __init__(
        self,
        queue: str,
        handle: MessageHandle,
        envelope: Envelope,
        *,
        inserted_at: Instant,
        dequeue_count: int,
    ) -> None:
        """Hold a message that was put or received."""
        self.queue = queue
        self.message_id = handle.message_id
        self.pop_receipt = handle.pop_receipt
        self.next_visible_at = handle.next_visible_at
        self.envelope = envelope
        self.inserted_at = inserted_at
        self.dequeue_count = dequeue_count
        self.size = payload_bytes(envelope.task_message.event)
        """Bytes that its payloads take in memory."""
        self.row: str | None = None
        """Tag of the Instances row that belongs to this start, as it was written or read by this process."""
        self.payload: str | None = None
        """Blob that this process has laid the message in, since it is too large for the queue."""
        self.is_new_instance = False
        """It is a start under an id that this process has just drawn, so there is no history."""

    @property
    def message(self) -> TaskMessage:
        """The event and its addressee."""
        return self.envelope.task_message

    def take_handle(self, handle: MessageHandle) -> None:
        """Use a newer pop receipt from now on."""
        self.pop_receipt = handle.pop_receipt
        self.next_visible_at = handle.next_visible_at

    def arrival(self) -> Arrival:
        """What the core wants to know of it."""
        sender = self.envelope.sender
        return Arrival(
            message=self.message,
            sender=sender.instance_id if sender else "",
            inserted_at=self.inserted_at,
            sequence_number=self.envelope.sequence_number,
            dequeue_count=self.dequeue_count,
            next_visible_at=self.next_visible_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peeked:
    """What can be seen of a queue.

    Attributes:
        unreadable: messages and why they cannot be read.
        others: how many more there are: held by someone, not due yet, or behind the first 32.
    """

    queue: str
    readable: tuple[tuple[QueueMessage, Envelope], ...]
    unreadable: tuple[tuple[QueueMessage, str], ...]
    others: int


class MessageQueue:
    """Put, receive, renew, abandon and delete the messages of one queue."""

    def __init__(
        self, name: str, queues: QueuePort, payloads: PayloadStore, *, base64: bool = False
    ) -> None:
        """Name a queue; nothing is sent yet."""
        self.name = name
        self._queues = queues
        self._payloads = payloads
        self._base64 = base64

    async def put(self, envelope: Envelope, now: Instant, *, visibility_timeout_s: int) -> InHand:
        """Append a message, its payload in a blob first if it is too large.

        Raises:
            PayloadTooLargeError: even the reference to the blob does not fit.
        """
        text, blob = encode_envelope(envelope), None
        if message_is_oversized(text):
            blob = message_blob_name(envelope)
            await self._payloads.upload(blob, text)
            text = encode_wrapper(Wrapper(blob))
        handle = await self._queues.put(
            self.name, self._encoded(text), visibility_timeout_s=visibility_timeout_s
        )
        in_hand = InHand(self.name, handle, envelope, inserted_at=now, dequeue_count=1)
        in_hand.payload = blob
        return in_hand

    async def receive(
        self,
        count: int,
        *,
        visibility_timeout_s: int,
        takes_more: Callable[[int], bool] | None = None,
    ) -> list[InHand]:
        """Take up to `count` messages. One that nobody can read stays in the queue and is reported.

        Args:
            takes_more: tells, once so many bytes have been read, whether to go on; the rest is given back at once.
        """
        received = await self._queues.receive(
            self.name, count=count, visibility_timeout_s=visibility_timeout_s
        )
        readable: list[InHand] = []
        size = 0
        for place, message in enumerate(received):
            if size and takes_more is not None and not takes_more(size):
                await together(self._return(left.handle) for left in received[place:])
                break
            try:
                in_hand = await self._read(message)
            except StorageError:
                await together(self._return(left.handle) for left in received[place:])
                if readable:
                    break
                raise
            if in_hand is not None:
                readable.append(in_hand)
                size += in_hand.size
        return readable

    async def _return(self, handle: MessageHandle) -> None:
        """Make a message visible at once; if the store does not answer it becomes so by itself."""
        with suppress(StorageError):
            await self._queues.update(
                self.name, handle.message_id, handle.pop_receipt, visibility_timeout_s=0
            )

    async def peek(self) -> Peeked:
        """Look at the visible messages, at most 32, without touching them."""
        seen = await self._queues.peek(self.name, count=RECEIVE_COUNT_MAX)
        readable: list[tuple[QueueMessage, Envelope]] = []
        unreadable: list[tuple[QueueMessage, str]] = []
        for message in seen:
            try:
                readable.append((message, await self._decoded(message.text)))
            except (DecodeError, NotFoundError) as error:
                unreadable.append((message, str(error)))
        count = await self._queues.message_count(self.name)
        return Peeked(
            queue=self.name,
            readable=tuple(readable),
            unreadable=tuple(unreadable),
            others=max(0, count - len(seen)),
        )

    async def renew(self, in_hand: InHand, *, visibility_timeout_s: int) -> bool:
        """Keep it for longer; False if it is ours no more."""
        try:
            handle = await self._queues.update(
                self.name,
                in_hand.message_id,
                in_hand.pop_receipt,
                visibility_timeout_s=visibility_timeout_s,
            )
        except (NotFoundError, PopReceiptMismatchError):
            return False
        in_hand.take_handle(handle)
        return True

    async def abandon(self, in_hand: InHand) -> None:
        """Give it back, to be seen again after a delay that doubles with each delivery."""
        await self._abandon(in_hand.message_id, in_hand.pop_receipt, in_hand.dequeue_count)

    async def delete(self, in_hand: InHand) -> None:
        """It has been dealt with. One that is gone already, or was delivered again since, is left alone."""
        try:
            await self._queues.delete(self.name, in_hand.message_id, in_hand.pop_receipt)
        except (NotFoundError, PopReceiptMismatchError):
            _log.debug(
                "message was gone or delivered again before it was deleted",
                extra=fields("message_discarded", queue=self.name, message_id=in_hand.message_id),
            )

    async def delete_all(self, messages: Sequence[InHand]) -> None:
        """Delete several, concurrently."""
        await together(self.delete(in_hand) for in_hand in messages)

    async def _abandon(self, message_id: str, pop_receipt: str, dequeue_count: int) -> None:
        delay = abandon_delay_s(dequeue_count)
        if delay >= ABANDON_DELAY_MAX_S:
            _log.warning(
                "poison message: it has been given back %d times and stays in %s",
                dequeue_count,
                self.name,
                extra=fields("message_abandoned", queue=self.name, message_id=message_id),
            )
        try:
            await self._queues.update(
                self.name, message_id, pop_receipt, visibility_timeout_s=delay
            )
        except (NotFoundError, PopReceiptMismatchError):
            return

    async def _read(self, message: QueueMessage) -> InHand | None:
        try:
            return InHand(
                self.name,
                message.handle,
                await self._decoded(message.text),
                inserted_at=message.inserted_at,
                dequeue_count=message.dequeue_count,
            )
        except (DecodeError, NotFoundError) as error:
            _log.warning(
                "message %s in queue %s cannot be read and stays there: %s",
                message.handle.message_id,
                self.name,
                error,
                extra=fields("message_unreadable", queue=self.name),
            )
            await self._abandon(
                message.handle.message_id, message.handle.pop_receipt, message.dequeue_count
            )
            return None

    async def _decoded(self, text: str) -> Envelope:
        envelope = decode_message(text)
        if isinstance(envelope, Wrapper):
            return decode_envelope(await self._payloads.download(envelope.blob_name))
        return envelope

    def _encoded(self, text: str) -> str:
        if not self._base64:
            return text
        from base64 import b64encode

        return b64encode(text.encode()).decode()


CLIENT_SENDER: Final = OrchestrationInstance(instance_id="", execution_id="")  # type: ignore[arg-type]
"""What a client names as the sender of its messages."""
