"""Where the embedded adapters get time and chance from."""

from __future__ import annotations

from typing import Protocol

from emulator.core.instant import Instant


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """The current instant."""
        ...


class IdSource(Protocol):
    """Makes identifiers nobody else has."""

    def guid(self) -> str:
        """A GUID with dashes."""
        ...
