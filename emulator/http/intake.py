"""Bodies of requests: so many bytes of them at once, and each only for as long as somebody may read it.

Whoever finds no room waits, and its sender with it. Room is given back when a request needs its body no more: one that
waits for an instance needs none. A function may ask its own host, and wait for an answer that waits for room: so
when nothing has moved for a while, the next one goes through all the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

READ_AHEAD_BYTES: Final = 32 * 1024
"""Of every connection, whoever waits: reading stops when twice as much is there."""
SMALL_BYTES: Final = 2 * READ_AHEAD_BYTES
"""Bodies up to this size need no room: they have been read ahead."""
UNKNOWN_BYTES: Final = 1024 * 1024
"""What a body is taken to have that does not tell its length, until it is there."""
BODY_COPIES: Final = 3
"""How often a body is in memory while an instance is started: as it came, as text, and in the message."""
STALLED_S: Final = 5.0
"""After so long without a movement the next request goes through."""


class Body:
    """The body of one request."""

    __slots__ = ("_on_drop", "content")

    def __init__(self, content: bytes, on_drop: Callable[[], None] | None = None) -> None:
        """Keep it until drop(), which tells `on_drop` once."""
        self.content = content
        self._on_drop = on_drop

    def drop(self) -> None:
        """Nobody reads it any more."""
        self.content = b""
        on_drop, self._on_drop = self._on_drop, None
        if on_drop is not None:
            on_drop()


class Intake:
    """Room for the bodies of one listener. The first comes first."""

    def __init__(self, bytes_max: int) -> None:
        """Take so many bytes at once; a body that is larger is taken alone."""
        self._bytes_max = bytes_max
        self.held = 0
        """Bytes for which there was room."""
        self._waiting: deque[tuple[int, asyncio.Event]] = deque()
        self._moved_at = 0.0

    def size_of(self, content_length: int | None) -> int:
        """The room that a body takes; None: it does not tell its length."""
        length = UNKNOWN_BYTES if content_length is None else content_length
        return BODY_COPIES * length if length > SMALL_BYTES else 0

    async def take(self, size: int) -> None:
        """Wait for room."""
        if not size:
            return
        if not self._waiting and self._fits(size):
            self.hold(size)
            return
        place = (size, asyncio.Event())
        self._waiting.append(place)
        try:
            await self._until_admitted(place)
        except asyncio.CancelledError:
            if place[1].is_set():
                self.give_back(size)
            else:
                self._waiting.remove(place)
            raise

    def give_back(self, size: int) -> None:
        """There is room again."""
        if not size:
            return
        self.held -= size
        self._moved_at = asyncio.get_running_loop().time()
        while self._waiting and self._fits(self._waiting[0][0]):
            self._admit()

    async def _until_admitted(self, place: tuple[int, asyncio.Event]) -> None:
        loop = asyncio.get_running_loop()
        while not place[1].is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(STALLED_S):
                    await place[1].wait()
            if self._waiting and loop.time() - self._moved_at >= STALLED_S:
                self._admit()

    def _admit(self) -> None:
        size, turn = self._waiting.popleft()
        self.hold(size)
        turn.set()

    def hold(self, size: int) -> None:
        """Take room that is needed already, whether there is some or not."""
        self.held += size
        self._moved_at = asyncio.get_running_loop().time()

    def _fits(self, size: int) -> bool:
        return self.held == 0 or self.held + size <= self._bytes_max
