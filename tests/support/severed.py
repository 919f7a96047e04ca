"""A connection to Azurite that can be cut: refused at once, swallowed without an answer, or answered with 503."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from enum import StrEnum

from azurite import Azurite

CHUNK = 65536
BUSY = b"HTTP/1.1 503 Server Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Way(StrEnum):
    """How a connection is lost."""

    REFUSED = "refused"
    SWALLOWED = "swallowed"
    BUSY = "busy"


class _Door:
    """One port before one port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None] | None] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_busy = False
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._drop()

    async def end(self) -> None:
        """Close, and wait until everything that was held up has ended."""
        await self.close()
        self._flows.set()
        if serving := {task for task in self._serving if task is not None}:
            await asyncio.wait(serving)

    def _drop(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def lose(self, way: Way) -> None:
        match way:
            case Way.REFUSED:
                await self.close()
            case Way.SWALLOWED:
                self._flows.clear()
            case Way.BUSY:
                self._is_busy = True
                self._drop()

    async def restore(self) -> None:
        self._drop()
        self._is_busy = False
        self._flows.set()
        if self._server is None:
            await self.open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        me = asyncio.current_task()
        self._serving.add(me)
        try:
            if self._is_busy:
                await self._answer(reader, writer)
                return
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
            self._serving.discard(me)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(CHUNK)
        writer.write(BUSY)
        await writer.drain()
        writer.close()
        while await reader.read(CHUNK):  # what is thrown away unread would reset the connection
            pass

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK):
            await self._flows.wait()
            target.write(chunk)
            await target.drain()
        target.close()


class Severable:
    """Services behind doors of their own."""

    def __init__(self, server: Azurite, ports: Iterable[int]) -> None:
        self._doors = {port: _Door(port) for port in ports}
        self._inner = server.connection_string

    @property
    def connection_string(self) -> str:
        """What leads through the doors."""
        return re.sub(r":(\d+)/", lambda found: f":{self._leads_to(int(found[1]))}/", self._inner)

    def _leads_to(self, port: int) -> int:
        return self._doors[port].port if port in self._doors else port

    async def lose(self, way: Way) -> None:
        """Nothing comes through any more."""
        for door in self._doors.values():
            await door.lose(way)

    async def restore(self) -> None:
        """Connections that were open are gone, new ones work."""
        for door in self._doors.values():
            await door.restore()


@asynccontextmanager
async def severable(
    server: Azurite, ports: Iterable[int] | None = None
) -> AsyncIterator[Severable]:
    """Doors before a server, or before some of its ports; open at first."""
    found = Severable(server, server.ports if ports is None else ports)
    for door in found._doors.values():
        await door.open()
    try:
        yield found
    finally:
        for door in found._doors.values():
            await door.end()
