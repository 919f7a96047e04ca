"""Lets new instances in as fast as they are begun.

A thousand starts at once would otherwise all have messages in the store before the first of them is done, and every
operation of a queue costs the more, the more messages it holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from emulator.engine.clock import Clock

WAITING_PER_SLOT: Final = 2
"""Instances that may wait for their first turn, and activities that may wait or run, per slot for orchestrations."""
WAIT_MAX_S: Final = 10.0
"""A start waits no longer than this, whatever is ahead of it: those who send it have limits of their own."""
PACE_S: Final = 0.05
"""However many activities wait, one start goes in after this time; and so do all when none ends for so long, since
what is slow then is not the store."""


class Admission:
    """The door of one engine, in order of arrival."""

    def __init__(
        self, most: int, new: Callable[[], int], activities: Callable[[], int], clock: Clock
    ) -> None:
        """Nobody is inside yet.

        Args:
            most: how many starts may be on their way or wait for their first turn, while no more activities wait.
            new: tells how many instances wait for their first turn.
            activities: tells how many activities wait or run.
        """
        self._most = most
        self._new = new
        self._activities = activities
        self._clock = clock
        self._on_their_way = 0
        self._let_in_at = self._ended_at = float("-inf")
        self._outside: deque[asyncio.Future[None]] = deque()
        self._next_look: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Wait for room, for a while; inside, the start is made."""
        if self._outside or not self._has_room():
            await self._wait()
        self._on_their_way += 1
        self._let_in_at = self._clock.monotonic()
        try:
            yield
        finally:
            self._on_their_way -= 1
            self.look()

    def activity_ended(self) -> None:
        """An activity has ended here, and its request is gone."""
        self._ended_at = self._clock.monotonic()
        self.look()

    def look(self) -> None:
        """Let in whom there is room for. To be called when somebody has had the first turn."""
        while self._outside and self._has_room():
            place = self._outside.popleft()
            if not place.done():
                place.set_result(None)
                self._on_their_way += 1  # kept until the start goes on
                self._let_in_at = self._clock.monotonic()
        if self._outside and self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(PACE_S, self._look_again)

    def _look_again(self) -> None:
        self._next_look = None
        self.look()

    async def _wait(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outside.append(place)
        self.look()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_MAX_S):
                    await place
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_soon(self.look)  # the place may be given to the next
            raise
        finally:
            with suppress(ValueError):
                self._outside.remove(place)
            if place.done() and not place.cancelled():
                self._on_their_way -= 1

    def _has_room(self) -> bool:
        if self._on_their_way + self._new() >= self._most:
            return False
        if self._activities() < self._most:
            return True
        return self._clock.monotonic() - min(self._let_in_at, self._ended_at) >= PACE_S
