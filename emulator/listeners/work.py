"""What all listeners of a host share, and what they have begun, so that a stop can let it end for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from emulator.engine.clock import Clock, IdSource
from emulator.engine.outage import Outage
from emulator.errors import AppError
from emulator.host.function_app import LoadedFunction
from emulator.host.invoker import Invoker


class Work:
    """Counts calls that run, with what is done about them afterwards."""

    def __init__(self) -> None:
        """Nothing runs."""
        self.stopping = False
        """Whether nothing new may begin."""
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def unit(self) -> Generator[None]:
        """One call runs while inside."""
        self._count += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()

    async def drain(self, limit_s: float) -> None:
        """Begin nothing new, and wait until nothing runs, but not longer than the limit."""
        self.stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._idle.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a listener works with, beside its function and its store."""

    invoker: Invoker
    host_id: str
    """Names the app among those that share a store."""
    clock: Clock
    ids: IdSource
    work: Work
    outage: Outage
    """Of the store that is listened to."""

    async def run(self, function: LoadedFunction, value: object, reason: str) -> bool:
        """Run a function; whether it succeeded. Its failure has been logged where it happened."""
        try:
            await self.invoker.invoke(function, value, reason=reason)
        except AppError:
            return False
        return True
