"""The messages that one loop holds, and keeps from becoming visible to others while it does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from emulator.engine.clock import Clock
from emulator.engine.outage import Outage
from emulator.errors import StorageError
from emulator.hub.message_queue import InHand, MessageQueue

RENEW_EVERY: Final = timedelta(seconds=5)
RENEW_WHEN_LEFT: Final = timedelta(seconds=15)
"""A message is renewed when it would be visible within this time."""


class Custody:
    """Messages by id. A second delivery of one only brings a newer pop receipt."""

    def __init__(self, queue: MessageQueue, clock: Clock, outage: Outage) -> None:
        """Begin with nothing in hand."""
        self._queue = queue
        self._clock = clock
        self._outage = outage
        self._held: dict[str, InHand] = {}
        self._parked: set[str] = set()

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
            self._parked.discard(in_hand.message_id)
            return False
        self._held[in_hand.message_id] = in_hand
        return True

    def holds(self, in_hand: InHand) -> bool:
        """Whether the message is still in hand."""
        return in_hand.message_id in self._held

    def park(self, in_hand: InHand) -> None:
        """It is not due before it becomes visible anyway: do not renew it."""
        self._parked.add(in_hand.message_id)

    def drop(self, in_hand: InHand) -> None:
        """Hold it no longer: it was deleted or given back."""
        self._held.pop(in_hand.message_id, None)
        self._parked.discard(in_hand.message_id)

    async def keep(self, visibility_timeout: timedelta) -> None:
        """Renew what is held, for ever. A child task of the loop that holds the messages."""
        seconds = max(1, int(visibility_timeout.total_seconds()))
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            await self._renew_due(seconds)

    async def give_back(self) -> None:
        """Make everything visible at once, because this loop stops."""
        async with asyncio.TaskGroup() as group:
            for in_hand in self:
                if in_hand.message_id not in self._parked:
                    group.create_task(self._give_back(in_hand))
        self._held.clear()
        self._parked.clear()

    async def _give_back(self, in_hand: InHand) -> None:
        try:
            await self._queue.renew(in_hand, visibility_timeout_s=0)
        except StorageError as error:
            self._outage.failed("giving messages back", error)

    async def _renew_due(self, seconds: int) -> None:
        limit = self._clock.now().plus(RENEW_WHEN_LEFT)
        due = [
            in_hand
            for in_hand in self
            if in_hand.next_visible_at < limit and in_hand.message_id not in self._parked
        ]
        for in_hand in due:
            try:
                if not await self._queue.renew(in_hand, visibility_timeout_s=seconds):
                    continue
            except StorageError as error:
                self._outage.failed("renewing messages", error)
                return
