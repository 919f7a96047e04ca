"""What activities did to the world outside, over all hosts of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import quote, unquote


class World:
    """Counts, per name, how often an activity ran."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.put_right: set[str] = set()

    def done(self, name: str) -> int:
        self.runs[name] += 1
        return self.runs[name]


class SharedWorld:
    """The same for processes: a file for each name, as long as there were runs."""

    def __init__(self, folder: Path) -> None:
        self._runs, self._put_right = folder / "runs", folder / "put_right"
        self._runs.mkdir(parents=True, exist_ok=True)
        self._put_right.mkdir(exist_ok=True)
        self.put_right = _Names(self._put_right)

    def done(self, name: str) -> int:
        with (self._runs / quote(name, safe="")).open("ab") as file:
            file.write(b".")
            return file.tell()

    @property
    def runs(self) -> Counter[str]:
        return Counter({unquote(file.name): file.stat().st_size for file in self._runs.iterdir()})


class _Names(Collection[str]):
    """A set of names: a file for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str) -> None:
        (self._folder / quote(name, safe="")).touch()

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self):
        return (unquote(file.name) for file in self._folder.iterdir())

    def __len__(self) -> int:
        return sum(1 for _ in self._folder.iterdir())


_current: ContextVar[World] = ContextVar("world")
_of_process: list[SharedWorld] = []


def begin() -> World:
    """A world in which nothing has happened yet, for all tasks that are started from here on."""
    world = World()
    _current.set(world)
    return world


def share(folder: Path) -> None:
    """All activities of this process act upon the world in a folder."""
    _of_process[:] = [SharedWorld(folder)]


def current() -> World | SharedWorld:
    return _of_process[0] if _of_process else _current.get()
