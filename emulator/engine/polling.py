"""Receives from a queue with growing pauses, and at once when something of ours was put into it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from emulator.core.backoff import JITTER_HIGH, JITTER_LOW, PollingDelay
from emulator.engine.clock import IdSource
from emulator.engine.outage import Outage
from emulator.errors import NotFoundError, StorageError


class Poller:
    """One queue's polling state."""

    def __init__(self, name: str, maximum_s: float, ids: IdSource, outage: Outage) -> None:
        """Begin without a pause."""
        self._name = name
        self._maximum_s = max(maximum_s, 0.05)
        self._ids = ids
        self._outage = outage
        self._signal = asyncio.Event()
        self._delay = PollingDelay()

    def wake(self) -> None:
        """Something was put, or there is room again: look at once."""
        self._signal.set()

    async def run(self, receive: Callable[[], Awaitable[int | None]]) -> None:
        """Call `receive` until cancelled; it tells how many messages it got, or None if it did not look."""
        try:
            while True:
                await self._look(receive)
        finally:
            self._outage.withdrawn(self._name)

    async def _look(self, receive: Callable[[], Awaitable[int | None]]) -> None:
        try:
            count = await receive()
            if count is not None:
                self._outage.worked(self._name)
        except NotFoundError:
            self._outage.worked(self._name)
            count = 0
        except StorageError as error:
            self._outage.failed(self._name, error)
            await self._outage.pause()
            return
        if count:
            self._delay = self._delay.after_signal()
            self._signal.clear()
        else:
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._delay.interval_s):
                await self._signal.wait()
            self._delay = self._delay.after_signal()
        except TimeoutError:
            jitter = self._ids.uniform(JITTER_LOW, JITTER_HIGH)
            self._delay = self._delay.after_timeout(maximum_s=self._maximum_s, jitter=jitter)
        self._signal.clear()
