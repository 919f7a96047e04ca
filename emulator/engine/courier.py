"""Sends messages, and hands those that this process will handle itself straight to the loop that will.

A message for a partition that is read here is put with its visibility time-out already running, as if it had been
received; after the commit it goes to its loop in memory. If the process dies it becomes visible, and whoever owns
the partition then takes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from emulator.core.entity_messages import delivery_time, is_entity_id
from emulator.core.events import (
    EventRaised,
    ExecutionStarted,
    OrchestrationInstance,
    TaskScheduled,
    TimerFired,
)
from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.weights import payload_bytes
from emulator.engine.clock import Clock, IdSource
from emulator.hub.message_queue import InHand, MessageQueue
from emulator.hub.task_hub import TaskHub
from emulator.hub.together import together
from emulator.wire.queue_message import Envelope


class Recipient(Protocol):
    """A loop of this process that may take messages in memory."""

    def accepts(self, message: TaskMessage, ahead: Ahead) -> bool:
        """Whether it takes one more now; if not, the message is put for whoever receives it."""
        ...

    def deliver(self, in_hand: InHand) -> bool:
        """Take a message that was put; False if it has begun to stop, or has no more room, since it accepted."""
        ...

    async def refuse(self, in_hand: InHand) -> None:
        """Make a message visible at once that it has not taken."""
        ...

    def wake(self) -> None:
        """Look into the queue: something was put there for anyone."""
        ...


@dataclass(frozen=True, slots=True)
class Ahead:
    """Messages that are put together with one, and before it.

    Attributes:
        size: bytes of their payloads.
    """

    count: int
    size: int


NOTHING_AHEAD: Final = Ahead(0, 0)


class MessageNumbers:
    """Numbers the messages of this process, from 1."""

    def __init__(self) -> None:
        """Begin."""
        self._last = 0

    def next(self) -> int:
        """The next number."""
        self._last += 1
        return self._last


class Courier:
    """Sends for one hub."""

    def __init__(self, hub: TaskHub, clock: Clock, ids: IdSource) -> None:
        """Nobody receives in memory until add_partition() and set_activities()."""
        self._hub = hub
        self._clock = clock
        self._ids = ids
        self._numbers = MessageNumbers()
        self._partitions: dict[int, Recipient] = {}
        self._activities: Recipient | None = None
        self.tell_others: Callable[[str], None] = _nobody
        """Told the name of a queue in which a message was left that another process may take now."""

    def add_partition(self, index: int, recipient: Recipient) -> None:
        """Messages of this partition may be handed over from now on."""
        self._partitions[index] = recipient

    def remove_partition(self, index: int) -> None:
        """This process reads the partition no more."""
        self._partitions.pop(index, None)

    def reads(self, instance_id: str) -> bool:
        """Whether messages to an instance are dealt with in this process."""
        return self._hub.control_queue_of(InstanceId(instance_id)) in self._partitions

    def set_activities(self, recipient: Recipient | None) -> None:
        """Who takes activity requests in memory."""
        self._activities = recipient

    def parcel(
        self,
        outbox: Iterable[OutboundMessage],
        *,
        sender: OrchestrationInstance,
        episode: int | None,
    ) -> Parcel:
        """Messages that belong together: sent before a commit, handed over after it."""
        return Parcel(self, tuple(outbox), sender, episode)

    async def put(
        self,
        outbound: OutboundMessage,
        *,
        sender: OrchestrationInstance,
        episode: int | None,
        ahead: Ahead = NOTHING_AHEAD,
    ) -> Sent:
        """Put one message into its queue."""
        envelope = Envelope(
            activity_id=self._ids.guid(),
            task_message=outbound.message,
            compressed_blob_name=None,
            sequence_number=self._numbers.next(),
            episode=episode,
            sender=sender,
        )
        queue, recipient = self._route(outbound)
        now = self._clock.now()
        delay = outbound.delay(now)
        local = recipient
        if recipient is not None and not recipient.accepts(outbound.message, ahead):
            local = None
        in_hand = await queue.put(
            envelope, now, visibility_timeout_s=self._invisible_s(delay, local)
        )
        left = queue.name if local is None and not delay else None
        return Sent(
            in_hand=in_hand,
            local=local,
            recipient=recipient,
            tell_others=partial(self.tell_others, left) if left is not None else None,
        )

    def _route(self, outbound: OutboundMessage) -> tuple[MessageQueue, Recipient | None]:
        if isinstance(outbound.message.event, TaskScheduled):
            return self._hub.work_items, self._activities
        index = self._hub.control_queue_of(outbound.message.target.instance_id)
        return self._hub.control_queues[index], self._partitions.get(index)

    def _invisible_s(self, delay: timedelta, local: Recipient | None) -> int:
        """Whole seconds, rounded up so that nothing is delivered before it is due."""
        seconds = math.ceil(delay.total_seconds())
        if seconds or local is None:
            return seconds
        return max(1, int(self._hub.settings.handover_visibility_timeout.total_seconds()))


class Sent:
    """A message that was put, and who gets it in memory."""

    __slots__ = ("in_hand", "local", "recipient", "tell_others")

    def __init__(
        self,
        *,
        in_hand: InHand,
        local: Recipient | None,
        recipient: Recipient | None,
        tell_others: Callable[[], None] | None,
    ) -> None:
        """Remember all of it."""
        self.in_hand = in_hand
        self.local = local
        self.recipient = recipient
        self.tell_others = tell_others

    async def hand_over(self, *, row: str | None = None, is_new_instance: bool = False) -> None:
        """Give it to its loop, or tell whoever may take it to look into the queue."""
        self.in_hand.row = row
        self.in_hand.is_new_instance = is_new_instance
        if self.local is not None:
            if not self.local.deliver(self.in_hand):
                await self.local.refuse(self.in_hand)
                self.local.wake()
            return
        if self.recipient is not None:
            self.recipient.wake()
        if self.tell_others is not None:
            self.tell_others()


class Parcel:
    """Messages of one episode or activity (hub.checkpoint.Outbox)."""

    def __init__(
        self,
        courier: Courier,
        outbox: Sequence[OutboundMessage],
        sender: OrchestrationInstance,
        episode: int | None,
    ) -> None:
        """Nothing is sent yet."""
        self._courier = courier
        self._outbox = outbox
        self._sender = sender
        self._episode = episode
        self._sent: list[Sent] = []

    async def send(self) -> None:
        """Put every message; the first failure cancels the rest and is raised."""
        self._sent.extend(
            await together(self._put(item, ahead) for item, ahead in _with_ahead(self._outbox))
        )

    async def hand_over(self) -> None:
        """After the commit: give the messages to the loops of this process."""
        sent, self._sent = self._sent, []
        for each in sent:
            await each.hand_over()

    async def _put(self, outbound: OutboundMessage, ahead: Ahead) -> Sent:
        return await self._courier.put(
            outbound, sender=self._sender, episode=self._episode, ahead=ahead
        )


def _with_ahead(outbox: Sequence[OutboundMessage]) -> Iterator[tuple[OutboundMessage, Ahead]]:
    size = 0
    for count, outbound in enumerate(outbox):
        yield outbound, Ahead(count, size)
        size += payload_bytes(outbound.message.event)


def _nobody(queue: str) -> None:
    """This process shares its hub with no other that it could tell."""


def due_at(message: TaskMessage) -> Instant | None:
    """When a message may be handled at the earliest; None if at once."""
    event = message.event
    match event:
        case TimerFired():
            return event.fire_at
        case ExecutionStarted():
            return event.scheduled_start
        case EventRaised() if is_entity_id(message.target.instance_id):
            return delivery_time(event.name)
        case _:
            return None
