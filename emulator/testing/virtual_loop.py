"""An event loop in which waiting costs nothing: when there is nothing to do now, its clock jumps to the next timer.

Everything runs in one thread, functions for an executor included, so a run is repeatable to the step. For stores
without a server only: a socket of another process would be waited for in no time at all.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from emulator.core.instant import TICKS_PER_SECOND, Instant

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEGINNING: Final = Instant.parse("2026-11-24T12:00:00Z")
"""When virtual time begins."""
_RESOLUTION_S: Final = 1e-6
"""Timers closer together than this are due together; hides the rounding of jumps."""


class NothingCanWakeError(RuntimeError):
    """Every task waits for another, and no timer is set: in real time this run would hang."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore]
    """Looks at its files and, instead of waiting, moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise NothingCanWakeError(
                "all tasks wait for each other and no timer is set; this would hang for ever"
            )
        self.elapsed_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. `time()` begins at zero."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.elapsed_s

    def pass_time(self, seconds: float) -> None:
        """Move the clock on without a wait."""
        self._virtual.elapsed_s += seconds

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Call the function here and now: a thread would be a second, real, clock."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future


class VirtualClock:
    """The clock of a VirtualLoop (engine.clock.Clock). Looking at it takes a tick, so no two instants are the same."""

    def __init__(self, loop: asyncio.AbstractEventLoop, beginning: Instant = BEGINNING) -> None:
        """Tell the time of a loop, which must be a VirtualLoop."""
        if not isinstance(loop, VirtualLoop):
            raise TypeError(f"a virtual clock needs a VirtualLoop, not {type(loop).__name__}")
        self._loop = loop
        self._beginning = beginning

    def now(self) -> Instant:
        """The current instant."""
        self._loop.pass_time(1 / TICKS_PER_SECOND)
        return Instant(self._beginning + round(self._loop.time() * TICKS_PER_SECOND))

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self._loop.time()


def run_virtually(main: Coroutine[Any, Any, T], *, debug: bool = False) -> T:
    """Run a coroutine to its end in virtual time.

    Raises:
        NothingCanWakeError: it would hang.
    """
    with asyncio.Runner(loop_factory=VirtualLoop, debug=debug) as runner:
        return runner.run(main)
