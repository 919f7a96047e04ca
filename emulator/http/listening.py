"""Sockets of the public listener that several processes share: one binds them, all accept from them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from socket import socket
from typing import Final

from aiohttp import web

from emulator.errors import ConfigError, EmulatorError, PreconditionError
from emulator.http.connections import Factory, Site
from emulator.settings import HttpSettings

BACKLOG: Final = 128
"""Connections that may wait to be accepted. Source: aiohttp, TCPSite."""
ACCEPTED_AT_ONCE: Final = 1
"""By one process, so that the others get their share of connections that come together."""


def cannot_listen(settings: HttpSettings, error: OSError) -> EmulatorError:
    """What to tell of an address and port that cannot be had."""
    if error.errno == errno.EADDRINUSE:
        return PreconditionError(
            f"Port {settings.port} is unavailable. Close the process using that port, or specify "
            "another port using --port [-p]."
        )
    return ConfigError(
        f"cannot listen on {settings.address}, port {settings.port}: {error.strerror}. Use an "
        "address of this machine, such as 127.0.0.1"
    )


@asynccontextmanager
async def bound(settings: HttpSettings) -> AsyncGenerator[tuple[socket, ...]]:
    """Sockets that are bound but accept nothing here; whoever inherits them listens.

    Raises:
        PreconditionError: the port is taken.
        ConfigError: the address is not one of this machine's.
    """
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            asyncio.Protocol,
            settings.address,
            settings.port,
            reuse_address=True,
            start_serving=False,
        )
    except OSError as error:
        raise cannot_listen(settings, error) from error
    sockets = tuple(socket(fileno=each.dup().detach()) for each in server.sockets)
    server.close()
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


async def listen_together(
    runner: web.AppRunner, factory: Factory, sockets: Sequence[socket]
) -> None:
    """Accept from sockets that other processes accept from as well."""
    for each in sockets:
        await Site(runner, factory, each, backlog=ACCEPTED_AT_ONCE).start()
        # asyncio has one number for both, and has just told the system its own
        each.listen(BACKLOG)
