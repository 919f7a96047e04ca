"""What `durable start --workers N` and its workers tell each other: lines of JSON over a pair of sockets.

The end of the stream says that the other side is gone, however it ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import socket
from typing import Any, Final

from emulator.config import Flags

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest line: a text that is said, such as the list of all functions, or the output of --run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The first line to a worker."""

    number: int
    """From 1; stays the same when the worker is started again, and so does its name in the leases."""
    folder: Path
    flags: Flags
    tells: bool
    """Whether this worker introduces the app."""
    run: tuple[str | None, str | None]
    """--run and --input, for one of the workers."""
    sockets: tuple[int, ...]
    """File descriptors of the public listener."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "folder": str(self.folder)}

    @classmethod
    def of(cls, value: dict[str, Any]) -> Orders:
        """Read plain values."""
        flags = value.pop("flags")
        functions = flags.pop("functions")
        return cls(
            number=value["number"],
            folder=Path(value["folder"]),
            flags=Flags(functions=tuple(functions) if functions is not None else None, **flags),
            tells=value["tells"],
            run=(value["run"][0], value["run"][1]),
            sockets=tuple(value["sockets"]),
        )


class Channel:
    """One side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See opened()."""
        self._reader = reader
        self._writer = writer

    def send(self, word: str, value: object = None) -> None:
        """Tell the other side; nothing happens if it is gone."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps([word, value]).encode() + b"\n")

    async def receive(self) -> tuple[str, Any] | None:
        """The next word and its value; None when the other side is gone."""
        with suppress(ConnectionError):
            line = await self._reader.readline()
            if line.endswith(b"\n"):
                word, value = json.loads(line)
                return word, value
        return None

    async def flush(self) -> None:
        """Wait until the other side has been sent everything."""
        with suppress(ConnectionError):
            await self._writer.drain()


@asynccontextmanager
async def opened(end: socket) -> AsyncGenerator[Channel]:
    """The channel over one end of a pair, which is closed at the end."""
    end.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=end, limit=LINE_BYTES_MAX)
    try:
        yield Channel(reader, writer)
    finally:
        writer.close()
