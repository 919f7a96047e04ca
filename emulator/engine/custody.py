"""The messages that one loop holds, and keeps from becoming visible to others while it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from emulator.core.instant import Instant
from emulator.engine.clock import Clock
from emulator.engine.outage import Outage
from emulator.errors import StorageError
from emulator.hub.message_queue import InHand, MessageQueue

RENEW_WHEN_LEFT: Final = timedelta(seconds=15)
"""A message is renewed when it would be visible within this time; at half time if its time-out is shorter."""
PAUSE_S: Final = 0.25
"""Between two rounds of renewals at the least."""


class Custody:
    """Messages by id. A second delivery of one only brings a newer pop receipt."""

    def __init__(
        self,
        queue: MessageQueue,
        clock: Clock,
        outage: Outage,
        *,
        on_drop: Callable[[], None] | None = None,
    ) -> None:
        """Begin with nothing in hand.

        Args:
            on_drop: told whenever one message fewer is held.
        """
        self._on_drop = on_drop
        self._queue = queue
        self._clock = clock
        self._outage = outage
        self._renewing = f"renewing messages of {queue.name}"
        self._held: dict[str, InHand] = {}
        self.size = 0
        """Bytes of the payloads of what is held, without what is parked."""
        self.parked_size = 0
        """Bytes of the payloads of what is parked."""
        self._parked: set[str] = set()
        self._changed = asyncio.Event()
        self._next: Instant | None = None
        """When keep() looks again; None while it has nothing to wait for."""

    def __len__(self) -> int:
        """How many messages are held."""
        return len(self._held)

    def __iter__(self) -> Iterator[InHand]:
        """All messages in hand."""
        return iter(list(self._held.values()))

    def take(self, in_hand: InHand) -> bool:
        """Hold a message; False if it is held already, under the receipt that it brings."""
        known = self._held.get(in_hand.message_id)
        if known is not None:
            known.pop_receipt = in_hand.pop_receipt
            known.next_visible_at = in_hand.next_visible_at
            self._unpark(known)
            return False
        self._held[in_hand.message_id] = in_hand
        self.size += in_hand.size
        if self._next is None or in_hand.next_visible_at < self._next:
            self._changed.set()
        return True

    def holds(self, in_hand: InHand) -> bool:
        """Whether the message is still in hand, and not delivered anew since."""
        return self._held.get(in_hand.message_id) is in_hand

    def park(self, in_hand: InHand) -> None:
        """It is not due before it becomes visible anyway: do not renew it."""
        if in_hand.message_id not in self._parked:
            self._parked.add(in_hand.message_id)
            self.size -= in_hand.size
            self.parked_size += in_hand.size

    def _unpark(self, in_hand: InHand) -> None:
        if in_hand.message_id in self._parked:
            self._parked.remove(in_hand.message_id)
            self.size += in_hand.size
            self.parked_size -= in_hand.size

    def drop(self, in_hand: InHand) -> None:
        """Hold it no longer: it was deleted or given back."""
        if self.holds(in_hand):
            self._unpark(in_hand)
            del self._held[in_hand.message_id]
            self.size -= in_hand.size
            if self._on_drop is not None:
                self._on_drop()

    async def keep(self, visibility_timeout: timedelta) -> None:
        """Renew what is held, until cancelled. A child task of the loop that holds the messages."""
        seconds = max(1, int(visibility_timeout.total_seconds()))
        left = min(RENEW_WHEN_LEFT, visibility_timeout / 2)
        try:
            while True:
                self._changed.clear()
                pause = self._until_renewal(left)
                if pause is None:
                    self._outage.withdrawn(self._renewing)
                try:
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                except TimeoutError:
                    await self._renew_due(seconds, left)
        finally:
            self._outage.withdrawn(self._renewing)

    def _until_renewal(self, left: timedelta) -> float | None:
        """Seconds until the first message needs a renewal; None if none is held."""
        held = [m.next_visible_at for m in self._held.values() if m.message_id not in self._parked]
        self._next = min(held, default=None)
        if self._next is None:
            return None
        return max(PAUSE_S, (self._next.minus(self._clock.now()) - left).total_seconds())

    async def give_back(self) -> None:
        """Make everything visible at once, because this loop stops."""
        async with asyncio.TaskGroup() as group:
            for in_hand in self:
                if in_hand.message_id not in self._parked:
                    group.create_task(self.refuse(in_hand))
        self._held.clear()
        self._parked.clear()
        self.size = self.parked_size = 0

    async def refuse(self, in_hand: InHand, *, visible_in_s: int = 0) -> None:
        """Make one message visible again, held or not; if the store does not answer it becomes so by itself."""
        try:
            await self._queue.renew(in_hand, visibility_timeout_s=visible_in_s)
        except StorageError as error:
            self._outage.given_up("giving a message back", error)

    async def _renew_due(self, seconds: int, left: timedelta) -> None:
        """A message that is ours no more is dropped: whoever has it now deals with it."""
        limit = self._clock.now().plus(left + timedelta(seconds=PAUSE_S))
        due = [
            in_hand
            for in_hand in self
            if in_hand.next_visible_at < limit and in_hand.message_id not in self._parked
        ]
        for in_hand in due:
            try:
                if not await self._queue.renew(in_hand, visibility_timeout_s=seconds):
                    self.drop(in_hand)
                self._outage.worked(self._renewing)
            except StorageError as error:
                self._outage.failed(self._renewing, error)
                await self._outage.pause()
                return
