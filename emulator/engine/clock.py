"""Time and chance: the only place below the command line that reads the machine's clock or draws random ids."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

from emulator.core.instant import Instant

_UNIX_EPOCH_TICKS: Final = 621_355_968_000_000_000
_NANOSECONDS_PER_TICK: Final = 100


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

    def guid(self) -> str:
        """A random (version 4) GUID."""
        return str(uuid.uuid4())

    def hex32(self) -> str:
        """A random GUID without dashes."""
        return uuid.uuid4().hex

    def uniform(self, low: float, high: float) -> float:
        """A random number between low and high."""
        return low + (high - low) * secrets.randbelow(1 << 30) / (1 << 30)
