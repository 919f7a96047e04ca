"""Messages that wait for their time: one timer of the event loop for all of them.

Those that are due together are given out together, the earliest first, so that they share an episode.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator

from emulator.core.instant import Instant
from emulator.engine.clock import Clock
from emulator.hub.message_queue import InHand


class Alarms:
    """The waiting messages of one loop."""

    def __init__(self, clock: Clock, due: Callable[[InHand], None]) -> None:
        """Wait for nothing yet.

        Args:
            due: takes each message when its time has come.
        """
        self._clock = clock
        self._due = due
        self._heap: list[tuple[Instant, int, InHand]] = []
        self._count = 0
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._heap)

    def __iter__(self) -> Iterator[InHand]:
        """The waiting messages, in no order."""
        return (in_hand for _, _, in_hand in self._heap)

    def add(self, in_hand: InHand, due_at: Instant) -> None:
        """Hold a message until an instant."""
        heapq.heappush(self._heap, (due_at, self._count, in_hand))
        self._count += 1
        if self._heap[0][2] is in_hand:
            self._set()

    def clear(self) -> None:
        """Wait for nothing any more."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        wait = self._heap[0][0].minus(self._clock.now()).total_seconds()
        self._handle = asyncio.get_running_loop().call_later(max(wait, 0.0), self._ring)

    def _ring(self) -> None:
        """Give out what is due; the timer may be early by less than a microsecond."""
        self._handle = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            self._due(heapq.heappop(self._heap)[2])
        if self._heap:
            self._set()
