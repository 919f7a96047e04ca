"""Whose turn it is: sessions that have begun go before those that have not."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BEGUN_IN_A_ROW_MAX: Final = 8
"""Turns in a row of what has begun, after which something new gets one: work that never ends must not shut it out."""


class Turns(Generic[T]):
    """A queue of two ranks, each in order of arrival.

    A thousand instances that are started at once would otherwise all be begun before any of them ends, and each then
    has messages in the store, whose every operation costs the more, the more messages there are.
    """

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._begun: deque[T] = deque()
        self._new: deque[T] = deque()
        self._in_a_row = 0
        self._waiting = asyncio.Semaphore(0)

    def put(self, item: T, *, has_begun: bool) -> None:
        """Give it a turn."""
        (self._begun if has_begun else self._new).append(item)
        self._waiting.release()

    @property
    def new(self) -> int:
        """How many wait that have not begun."""
        return len(self._new)

    async def get(self) -> T:
        """Wait for the next one."""
        await self._waiting.acquire()
        if self._begun and (self._in_a_row < BEGUN_IN_A_ROW_MAX or not self._new):
            self._in_a_row += 1
            return self._begun.popleft()
        self._in_a_row = 0
        return self._new.popleft()
