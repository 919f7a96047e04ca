"""Says once that the store cannot be reached, and once that it is back; and tells whoever failed when to try again.

A store that is away costs little: pauses grow with the time that it has been away, and end together as soon as one
call works.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from emulator.engine.clock import Clock
from emulator.errors import StorageError, TransientStorageError
from emulator.log import fields, get_logger

_log = get_logger(__name__)
T = TypeVar("T")
PAUSE_MIN_S: Final = 0.5
PAUSE_MAX_S: Final = 5.0
PAUSE_SHARE: Final = 0.25
"""A pause lasts this share of the time that the store has been away, between the two limits."""
FORGOTTEN_S: Final = 60.0
"""What failed and was never tried again since, without being withdrawn, keeps no outage open for longer.
More than a call may take with the longest pause before it."""


class Outage:
    """Shared by all loops that use one store."""

    def __init__(self, store: str, clock: Clock) -> None:
        """Name the store as a person would."""
        self.store = store
        self._clock = clock
        self._failing: dict[str, float] = {}
        """What does not work, and when it failed last."""
        self._began_s = 0.0
        self._worked_s: float | None = None
        """When the first call worked after the last failure."""
        self._waiting: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def failed(self, what: str, error: StorageError) -> None:
        """A call failed that is going to be made again; only the first of an outage is worth a line."""
        now_s = self._clock.monotonic()
        if not self._failing:
            self._began_s = now_s
            _log.warning(
                "%s the store %s (%s). Nothing is lost: work that needs it waits and is tried again until it answers. "
                "See that it runs and can be reached from here",
                "cannot reach"
                if isinstance(error, TransientStorageError)
                else "a call was refused by",
                self.store,
                error,
                extra=fields("storage_unreachable", what=what),
            )
        self._failing[what] = now_s
        self._worked_s = None

    def given_up(self, what: str, error: StorageError) -> None:
        """A call failed that is not made again, because what it was for comes about by itself a little later."""
        _log.debug(
            "%s failed and is left alone: %s",
            what,
            error,
            extra=fields("storage_unreachable", what=what),
        )

    @property
    def is_told(self) -> bool:
        """Whether the last that was said is that the store cannot be reached."""
        return bool(self._failing)

    def withdrawn(self, what: str) -> None:
        """A call of that kind is not going to be made again: that it failed keeps no outage open."""
        if what in self._failing:
            self._failing[what] = -math.inf
            if self._worked_s is not None:
                self._forget()

    def worked(self, what: str) -> None:
        """A call of that kind worked."""
        if not self._failing:
            return
        if self._worked_s is None:
            self._worked_s = self._clock.monotonic()
        if self._failing.pop(what, None) is not None:
            self._end_pauses()
        self._forget()

    def _forget(self) -> None:
        """Drop what is not tried any more; if nothing is left, the outage is over."""
        oldest_s = self._clock.monotonic() - FORGOTTEN_S
        self._failing = {what: at_s for what, at_s in self._failing.items() if at_s >= oldest_s}
        if not self._failing and self._worked_s is not None:
            _log.warning(
                "the store %s answers again after %.1f s",
                self.store,
                self._worked_s - self._began_s,
                extra=fields("storage_back"),
            )

    async def outlast(
        self,
        what: str,
        call: Callable[[], Awaitable[T]],
        retried: type[StorageError] = StorageError,
    ) -> T:
        """Make a call until it works; other errors than those that are retried are raised."""
        while True:
            try:
                answer = await call()
            except retried as error:
                self.failed(what, error)
                await self.pause()
                continue
            self.worked(what)
            return answer

    async def pause(self) -> None:
        """Wait until it is worth trying again."""
        over = asyncio.Event()
        self.later(over.set)
        await over.wait()

    def later(self, work: Callable[[], None]) -> None:
        """Call back when it is worth trying again: after a while, or as soon as anything else works again."""
        away_s = self._clock.monotonic() - self._began_s if self._failing else 0.0
        pause_s = min(max(away_s * PAUSE_SHARE, PAUSE_MIN_S), PAUSE_MAX_S)
        if work in self._waiting:
            return
        self._waiting[work] = asyncio.get_running_loop().call_later(pause_s, self._ring, work)

    def _ring(self, work: Callable[[], None]) -> None:
        self._waiting.pop(work, None)
        work()

    def _end_pauses(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for work, handle in waiting.items():
            handle.cancel()
            asyncio.get_running_loop().call_soon(work)
