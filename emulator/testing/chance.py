"""Identifiers and chances that come from a seed."""

from __future__ import annotations

import random
import uuid


class SeededIds:
    """The same ids in every run of the same seed (engine.clock.IdSource)."""

    def __init__(self, seed: int = 0) -> None:
        """Begin the sequence."""
        self._random = random.Random(seed)

    def guid(self) -> str:
        """A GUID of the form of random ones."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def hex32(self) -> str:
        """The same without dashes."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4).hex

    def uniform(self, low: float, high: float) -> float:
        """A number between low and high."""
        return self._random.uniform(low, high)
