"""Begins an app anew when its code or configuration changes. Source: reference functions-host.md 6.6.

The process replaces itself, so that every module is fresh; its listening sockets stay open, so that requests wait
meanwhile instead of being refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from socket import socket
from typing import Any, Final, NoReturn, TypeVar

from emulator import config
from emulator.log import fields, get_logger

_log = get_logger(__name__)
T = TypeVar("T")
AVAILABLE: Final = sys.platform != "win32"
"""Windows cannot replace a process."""
SOCKETS: Final = "DURABLE_RELOAD_SOCKETS"
"""Variable by which a process that replaces another is told the sockets that it gets."""
DEBOUNCE_MS: Final = 400
"""Changes that come together are one. Source: 300 to 500 ms there."""
WATCH_AFTER_S: Final = 1.0
"""After the start, so that the first requests do not wait for the import of what watches."""
WATCHED_SUFFIX: Final = ".py"
WATCHED_NAMES: Final = frozenset({"host.json", "function.json", "proxies.json"})
PASSED_OVER: Final = frozenset({"__pycache__", "node_modules", "venv", "env"})
"""Folders in which no app writes its code, beside those whose names begin with a dot."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """How this process began.

    Attributes:
        sockets: taken over from the process that this one replaces; None if it replaces none.
    """

    folder: Path
    arguments: Sequence[str]
    environment: dict[str, str]
    sockets: tuple[int, ...] | None
    at_ns: int
    """Unix time."""

    def again(self, sockets: Sequence[socket]) -> NoReturn:
        """Replace this process by one that begins as it began, and listens on its sockets."""
        for each in sockets:
            each.set_inheritable(True)
        numbers = ",".join(str(each.detach()) for each in sockets)
        sys.stdout.flush()
        sys.stderr.flush()
        os.chdir(self.folder)
        command = [sys.executable, *self.arguments]
        os.execve(sys.executable, command, {**self.environment, SOCKETS: numbers})

    def taken_over(self) -> tuple[socket, ...]:
        """The sockets of the process before, which are the caller's to close. To be asked once."""
        return tuple(socket(fileno=number) for number in self.sockets or ())


@cache
def beginning() -> Beginning:
    """To be asked first before folder and environment are changed."""
    environment = config.process_environment()
    numbers = environment.pop(SOCKETS, None)
    config.forget_variable(SOCKETS)
    sockets = None if numbers is None else tuple(int(each) for each in numbers.split(",") if each)
    return Beginning(Path.cwd(), tuple(sys.orig_argv[1:]), environment, sockets, time.time_ns())


@dataclass(frozen=True, slots=True)
class Watch:
    """Which changes below a folder make a new beginning necessary.

    Attributes:
        files: names that count beside code and configuration.
        folders: relative to the root; all that they hold counts.
        since_ns: changes from this moment on count, in nanoseconds of Unix time.
    """

    root: Path
    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    since_ns: int = 0

    async def change_or(self, stop: asyncio.Event) -> Path | None:
        """Wait for the first file that has changed; None if told to stop before."""
        found = await _first_of(self._first_change(), stop.wait())
        return found if isinstance(found, Path) and not stop.is_set() else None

    def has(self, path: Path) -> bool:
        """Whether a change of a file, or a new folder of the app, counts."""
        inside = path.relative_to(self.root)
        *folders, name = inside.parts or ("",)
        if any(map(_is_passed_over, folders)):
            return False
        if not folders and path.is_dir():
            return not _is_passed_over(name)
        is_code = name.endswith(WATCHED_SUFFIX) or name.lower() in WATCHED_NAMES
        is_named = name in self.files or any(inside.is_relative_to(each) for each in self.folders)
        return is_code or is_named

    def changed_already(self) -> Path | None:
        """A file that was written since the moment."""
        for folder, folders, names in os.walk(self.root):
            folders[:] = [each for each in folders if not _is_passed_over(each)]
            for path in (Path(folder, name) for name in names):
                with suppress(OSError):  # it may be gone again
                    if self.has(path) and path.stat().st_mtime_ns >= self.since_ns:
                        return path
        return None

    async def _first_change(self) -> Path:
        await asyncio.sleep(WATCH_AFTER_S)
        early = self.changed_already()
        return early if early is not None else await self._first_to_come()

    async def _first_to_come(self) -> Path:
        """The root is watched alone, and its folders but for those that are passed over: a store may lie in one."""
        folders = [
            each for each in self.root.iterdir() if each.is_dir() and not _is_passed_over(each.name)
        ]
        watches = [self._changed_in((self.root,), recursive=False)]
        if folders:
            watches.append(self._changed_in(folders, recursive=True))
        return await _first_of(*watches)

    async def _changed_in(self, folders: Sequence[Path], *, recursive: bool) -> Path:
        from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - anyio is optional there

        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts changes

        def is_wanted(change: Change, path: str) -> bool:
            is_new_folder = change is Change.added
            return self.has(Path(path)) and (is_new_folder or not Path(path).is_dir())

        watching = awatch(
            *folders, watch_filter=is_wanted, debounce=DEBOUNCE_MS, recursive=recursive
        )
        try:
            async for changes in watching:
                return Path(min(path for _, path in changes))
        except (OSError, RuntimeError) as error:
            _log.warning(
                "the files of %s cannot be watched (%s): restart the host yourself when they change, or start it "
                "with --no-reload",
                self.root,
                error,
                extra=fields("files_not_watched"),
            )
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


def _is_passed_over(folder: str) -> bool:
    return folder.startswith(".") or folder in PASSED_OVER


async def _first_of(*works: Coroutine[Any, Any, T]) -> T:
    """The result of whichever ends first; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in works]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in tasks:
            each.cancel()
    return next(iter(done)).result()
