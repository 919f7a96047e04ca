"""A connection to Azurite that can be cut: refused at once, or swallowed without an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from azurite import Azurite

CHUNK = 65536


class Way(StrEnum):
    """How a connection is lost."""

    REFUSED = "refused"
    SWALLOWED = "swallowed"


class _Door:
    """One port before one port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._drop()

    def _drop(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def lose(self, way: Way) -> None:
        self._flows.clear()
        if way is Way.REFUSED:
            await self.close()

    async def restore(self) -> None:
        self._drop()
        self._flows.set()
        if self._server is None:
            await self.open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(ours)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, ours))
                group.create_task(self._pump(theirs, writer))
            self._open.discard(ours)
        except* OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK):
            await self._flows.wait()
            target.write(chunk)
            await target.drain()
        target.close()


class Severable:
    """The three services behind doors of their own."""

    def __init__(self, server: Azurite) -> None:
        ports = server.ports
        self._doors = {port: _Door(port) for port in (ports.blob, ports.queue, ports.table)}
        self._inner = server.connection_string

    @property
    def connection_string(self) -> str:
        """What leads through the doors."""
        return re.sub(r":(\d+)/", lambda found: f":{self._doors[int(found[1])].port}/", self._inner)

    async def lose(self, way: Way) -> None:
        """Nothing comes through any more."""
        for door in self._doors.values():
            await door.lose(way)

    async def restore(self) -> None:
        """Connections that were open are gone, new ones work."""
        for door in self._doors.values():
            await door.restore()


@asynccontextmanager
async def severable(server: Azurite) -> AsyncIterator[Severable]:
    """Doors before a server, open at first."""
    found = Severable(server)
    for door in found._doors.values():
        await door.open()
    try:
        yield found
    finally:
        for door in found._doors.values():
            await door.close()
