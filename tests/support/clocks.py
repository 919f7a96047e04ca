"""Time and ids that tests control."""

from __future__ import annotations

import itertools
from datetime import timedelta

from emulator.core.instant import Instant

BEGINNING = Instant.parse("2026-11-24T12:00:00Z")


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, start: Instant = BEGINNING) -> None:
        self._start = start
        self._now = start

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._now.minus(self._start).total_seconds()

    def move(self, seconds: float) -> None:
        self._now = self._now.plus(timedelta(seconds=seconds))


class CountedIds:
    """1, 2, 3, ... in the shape of GUIDs."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def guid(self) -> str:
        text = self.hex32()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def hex32(self) -> str:
        return f"{next(self._numbers):032x}"

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2
