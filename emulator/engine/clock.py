"""Time and chance: the only place below the command line that reads the machine's clock or draws random ids."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

from emulator.core.instant import Instant

_UNIX_EPOCH_TICKS: Final = 621_355_968_000_000_000
_NANOSECONDS_PER_TICK: Final = 100
_IDS_AT_ONCE: Final = 256
"""Each draw from the system is a call of its own, during which another thread may take the interpreter."""
_VARIANTS: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """The current instant."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything. Equals the event loop's time."""
        ...


class IdSource(Protocol):
    """Makes identifiers nobody else has."""

    def guid(self) -> str:
        """A GUID with dashes, lower-case."""
        ...

    def hex32(self) -> str:
        """The same without dashes."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A random number between low and high."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Instant:
        """The current instant; two calls may give the same one."""
        return Instant(_UNIX_EPOCH_TICKS + time.time_ns() // _NANOSECONDS_PER_TICK)

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


class SystemZone(tzinfo):
    """The machine's time zone, with whatever rules it has."""

    def utcoffset(self, dt: datetime | None, /) -> timedelta | None:
        """Offset at a time of the machine's."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None, /) -> None:
        """Not known."""

    def tzname(self, dt: datetime | None, /) -> str | None:
        """Name at a time of the machine's."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime, /) -> datetime:
        """The machine's time at a time of UTC."""
        return dt.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)


class SystemIds:
    """Random identifiers."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._drawn: Iterator[str] = iter(())
        self._process = 0

    def guid(self) -> str:
        """A random (version 4) GUID."""
        found = next(self._drawn, None) if self._process == os.getpid() else None
        return found if found is not None else self._draw()

    def hex32(self) -> str:
        """A random GUID without dashes."""
        return self.guid().replace("-", "")

    def _draw(self) -> str:
        """Draw many, and take the first. Whoever was forked must not go on with its parent's."""
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        drawn = iter([_guid(digits[at : at + 32]) for at in range(0, len(digits), 32)])
        first = next(drawn)
        self._drawn, self._process = drawn, os.getpid()
        return first

    def uniform(self, low: float, high: float) -> float:
        """A random number between low and high."""
        return low + (high - low) * secrets.randbelow(1 << 30) / (1 << 30)


def _guid(digits: str) -> str:
    """A GUID of version 4 of 32 random hex digits."""
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
