"""An HTTP server that does what a script says, one step for each request it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PATIENCE_S = 30


@dataclass
class Reply:
    """Answer, and keep the connection, or close it without saying so."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    closes: bool = False

    def octets(self) -> bytes:
        headers = {**self.headers, "Content-Length": str(len(self.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} Said\r\n{lines}\r\n".encode() + self.body


class Drop:
    """Read the request, then cut the connection without an answer."""


class Silence:
    """Read the request, and do nothing."""


class Cut:
    """Answer with half of what is announced, then cut the connection."""


Step = Reply | Drop | Silence | Cut


@dataclass
class Server:
    """What was asked, and on which connection."""

    address: str = ""
    steps: list[Step] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)
    _connected: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.requests) >= times)

    async def until_closed(self, connection: int) -> None:
        """Until a connection's end has been sent or seen here."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: connection in self.closed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected += 1
        number = self._connected
        try:
            while (request := await _request(reader)) is not None:
                self.requests.append(request)
                self.connections.append(number)
                await self._tell()
                if not await self._act(self.steps.pop(0), writer):
                    return
        finally:
            writer.close()
            self.closed.add(number)
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _act(self, step: Step, writer: asyncio.StreamWriter) -> bool:
        match step:
            case Reply():
                writer.write(step.octets())
                await writer.drain()
                return not step.closes
            case Cut():
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                await writer.drain()
                return False
            case Drop():
                return False
            case Silence():
                return True


async def _request(reader: asyncio.StreamReader) -> str | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.decode().split("\r\n"):
            if line.lower().startswith("content-length:"):
                await reader.readexactly(int(line.partition(":")[2]))
        return head.decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


@asynccontextmanager
async def scripted_server(*steps: Step) -> AsyncIterator[Server]:
    server = Server(steps=list(steps))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.address = f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
