"""A client of one HTTP/1.1 server: kept connections, one request on each at a time, whole answers in memory.

httptools parses; what is here is a pool. aiohttp's client, which does far more, takes about twice the processor time
for such a call (docs/decisions/0004-storage-calls.md). Like the session that it replaced, this one follows no
redirects, asks for no compression, keeps no cookies and uses no proxy; over TLS it trusts what Python trusts.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from socket import SOCK_STREAM
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import httptools
from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]

_BODYLESS: Final = frozenset({"GET", "HEAD"})
_LENGTHS: Final = frozenset({"content-length", "transfer-encoding"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NEXT_ADDRESS_AFTER_S: Final = 0.25
"""A host's next address is tried beside the first one. Source: RFC 8305."""


class NotConnectedError(Exception):
    """The server cannot be reached: nothing was sent."""


class ConnectionLostError(Exception):
    """There is no whole answer: nobody knows what became of the request.

    Attributes:
        was_kept: nothing came, over a connection that had been used before. Most likely the server has closed it for
            being idle.
    """

    def __init__(self, text: str, *, was_kept: bool) -> None:
        """Say what was seen."""
        super().__init__(text)
        self.was_kept = was_kept


class HttpAnswer(NamedTuple):
    """What came back; header names are in lower case, of several with the same name the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One connection of a client; the parser of its answers calls it back (httptools.HTTPProtocol)."""

    __slots__ = (
        "_answer",
        "_body",
        "_ends_with_connection",
        "_has_begun",
        "_headers",
        "_is_kept",
        "_parser",
        "_transport",
        "kept_since",
    )

    def __init__(self) -> None:
        """Not connected yet."""
        self.kept_since = 0.0
        self._is_kept = False
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._has_begun = False
        self._ends_with_connection = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def is_closed(self) -> bool:
        """Whether no request can be sent over it any more."""
        return self._transport is None or self._transport.is_closing()

    async def ask(self, request: bytes) -> HttpAnswer:
        """Send a request and wait for its answer. Whoever is cancelled here must close the connection.

        Raises:
            ConnectionLostError: it was closed, or what came is no answer.
        """
        assert self._transport is not None
        self._has_begun = False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close it, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. What comes when nothing was asked ends the connection."""
        if not self._is_asked():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._lose(f"what came is no answer: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol. An answer that does not say how long it is ends here."""
        if exc is None and self._ends_with_connection:
            self.on_message_complete()
        self._lose(f"{type(exc).__name__}: {exc}" if exc else "the server closed the connection")
        self._transport = None

    def on_message_begin(self) -> None:
        """The first byte of an answer, or of what comes behind it."""
        self._has_begun = True
        self._headers = {}
        self._body = []
        if not self._is_asked():
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """All headers."""
        self._ends_with_connection = not self._headers.keys() & _LENGTHS

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The end of an answer, or of the notice that one will come."""
        self._ends_with_connection = False
        status, answer, transport = self._parser.get_status_code(), self._answer, self._transport
        if status < 200 or not self._is_asked():
            return
        assert answer is not None
        assert transport is not None
        if not self._parser.should_keep_alive() or transport.get_write_buffer_size():
            transport.abort()
        self._is_kept = True
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        answer.set_result(HttpAnswer(status, self._headers, body))

    def _is_asked(self) -> bool:
        return self._answer is not None and not self._answer.done()

    def _lose(self, text: str) -> None:
        if self._answer is not None and not self._answer.done():
            was_kept = self._is_kept and not self._has_begun
            self._answer.set_exception(ConnectionLostError(text, was_kept=was_kept))


class HttpClient:
    """Asks one server."""

    def __init__(self, endpoint: str, *, connections_max: int, keep_s: float) -> None:
        """Nothing is connected before the first request.

        Args:
            endpoint: an http or https address; only its scheme, host and port count.
            connections_max: open at a time; who needs another one waits in line.
            keep_s: for how long an idle connection is used again; less than the server keeps it.
        """
        parts = urlsplit(endpoint)
        self.host = parts.hostname or ""
        self.port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._named = parts.netloc.rpartition("@")[2]
        self._tls = _trusting() if parts.scheme == "https" else None
        self._keep_s = keep_s
        self._places = asyncio.Semaphore(connections_max)
        self._idle: deque[Connection] = deque()
        self._is_open = True

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> HttpAnswer:
        """Send a request, once.

        Args:
            target: path and query, percent-encoded.

        Raises:
            NotConnectedError: the server cannot be reached.
            ConnectionLostError: it was sent, and there is no whole answer.
        """
        request = self._encoded(method, target, headers, body)
        async with self._places:
            connection = self._kept() or await self._connect()
            try:
                answer = await connection.ask(request)
            except BaseException as error:
                connection.close()
                if isinstance(error, ConnectionLostError) and error.was_kept:
                    self._close_idle()
                raise
            self._keep(connection)
            return answer

    async def close(self) -> None:
        """Close what is idle, and the rest as soon as it has its answer."""
        self._is_open = False
        self._close_idle()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    def _encoded(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._named}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method not in _BODYLESS:
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join((*lines, "", ""))
        if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
            raise ValueError("a header holds a line end")
        return head.encode() + (body or b"")

    def _kept(self) -> Connection | None:
        """The connection that was used last, if there is one; those that have been idle for long are closed."""
        idle, oldest = self._idle, asyncio.get_running_loop().time() - self._keep_s
        while idle and (idle[0].kept_since <= oldest or idle[0].is_closed):
            idle.popleft().close()
        while idle:
            connection = idle.pop()
            if not connection.is_closed:
                return connection
        return None

    def _keep(self, connection: Connection) -> None:
        if not self._is_open:
            connection.close()
        elif not connection.is_closed:
            connection.kept_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    async def _connect(self) -> Connection:
        loop, tls = asyncio.get_running_loop(), self._tls
        try:
            places = await loop.getaddrinfo(self.host, self.port, type=SOCK_STREAM)
            # asyncio's own way to do this loses the socket of whoever is cancelled meanwhile.
            found = await start_connection(
                places, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S, interleave=1
            )
            _, connection = await loop.create_connection(
                Connection, sock=found, ssl=tls, server_hostname=self.host if tls else None
            )
        except OSError as error:
            reason = f"{type(error).__name__}, {error.strerror or error}"
            raise NotConnectedError(reason) from error
        return connection

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
