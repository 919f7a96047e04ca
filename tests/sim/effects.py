"""What activities did to the world outside, over all hosts of a run."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar


class World:
    """Counts, per name, how often an activity ran."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.put_right: set[str] = set()

    def done(self, name: str) -> int:
        self.runs[name] += 1
        return self.runs[name]


_current: ContextVar[World] = ContextVar("world")


def begin() -> World:
    """A world in which nothing has happened yet, for all tasks that are started from here on."""
    world = World()
    _current.set(world)
    return world


def current() -> World:
    return _current.get()
