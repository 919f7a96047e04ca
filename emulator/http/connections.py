"""Connections of the listeners: a client must send the head of a request in time.

The server library waits for ever for the rest of a head. Kestrel does not (RequestHeadersTimeout), and ends a
connection without a request after a while (KeepAliveTimeout).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from socket import socket
from typing import Any, Final

from aiohttp import web

from emulator.http.bodies import JSON_TYPE, message_body

Factory = Callable[[], asyncio.Protocol]
_LATE: Final = "The head of the request did not come within {} seconds; send it faster"


class Connection(web.RequestHandler):
    """One connection; refuses with 408 whose head is late."""

    __slots__ = ("_head_timeout", "_head_timer")

    def __init__(self, manager: web.Server, *, head_timeout: timedelta, **options: Any) -> None:  # noqa: ANN401 - of aiohttp
        """Serve a connection.

        Args:
            head_timeout: from the first byte of a head to its last.
            options: of aiohttp's RequestHandler.
        """
        super().__init__(manager, **options)
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take what the client sends; the clock runs while there is a part of a head and no more."""
        super().data_received(data)
        if not self._waits_for_a_head():
            self._stop_timer()
        elif self._head_timer is None and data.strip(b"\r\n"):  # empty lines may come before a head
            late_s = self._head_timeout.total_seconds()
            self._head_timer = self._loop.call_later(late_s, self._refuse)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def _waits_for_a_head(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self) -> None:
        self._head_timer = None
        if self._waits_for_a_head() and self.transport is not None:
            self.transport.write(_refusal(self._head_timeout))
            self.force_close()


def _refusal(timeout: timedelta) -> bytes:
    body = message_body(_LATE.format(f"{timeout.total_seconds():g}")).encode()
    head = (
        "HTTP/1.1 408 Request Timeout",
        f"Content-Type: {JSON_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body


class Site(web.BaseSite):
    """Where connections come from: an address and port, or a socket that is bound already."""

    __slots__ = ("_factory", "_place")

    def __init__(
        self,
        runner: web.AppRunner,
        factory: Factory,
        place: tuple[str, int] | socket,
        *,
        backlog: int,
    ) -> None:
        """Nothing listens before start()."""
        super().__init__(runner, backlog=backlog)
        self._factory = factory
        self._place = place

    @property
    def name(self) -> str:
        """For people."""
        address, port = (
            self._place if isinstance(self._place, tuple) else self._place.getsockname()[:2]
        )
        return f"http://{address}:{port}"

    def duplicates(self) -> tuple[socket, ...]:
        """Its listening sockets once more, which stay open when it stops."""
        server = self._server
        assert isinstance(server, asyncio.Server)
        return tuple(socket(fileno=os.dup(each.fileno())) for each in server.sockets)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address or port cannot be had.
        """
        await super().start()
        where: dict[str, Any] = {"sock": self._place}
        if isinstance(self._place, tuple):
            host, port = self._place
            where = {"host": host, "port": port, "reuse_address": True}
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._factory, backlog=self._backlog, **where)


def connections_of(
    runner: web.AppRunner, *, head_timeout: timedelta, options: Mapping[str, Any]
) -> Factory:
    """What makes a connection of each client that comes.

    Args:
        runner: set up.
        options: those that the runner was given for its connections.
    """
    manager, loop = runner.server, asyncio.get_running_loop()
    assert manager is not None
    return lambda: Connection(manager, head_timeout=head_timeout, loop=loop, **options)
