"""The three stores, opened for a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from azurite import Azurite
from emulator.engine.clock import SystemClock, SystemIds
from emulator.settings import StorageKind, StorageSettings
from emulator.storage.azure import AzureStorage, Transport
from emulator.storage.memory import MemoryStorage
from emulator.storage.sqlite import SqliteStorage
from emulator.testing.port_suite import Account
from tests.support.clocks import CountedIds, ManualClock


@asynccontextmanager
async def memory_account() -> AsyncIterator[Account]:
    clock = ManualClock()
    storage = MemoryStorage(clock, CountedIds())
    yield Account(storage=storage, elapse=_mover(clock), now=clock.now, moves_clock=True)


@asynccontextmanager
async def sqlite_account(path: Path) -> AsyncIterator[Account]:
    clock = ManualClock()
    storage = SqliteStorage(path, clock, CountedIds())
    await storage.open()
    try:
        yield Account(storage=storage, elapse=_mover(clock), now=clock.now, moves_clock=True)
    finally:
        await storage.close()


@asynccontextmanager
async def azurite_account(
    server: Azurite, transport: Transport = Transport.REST
) -> AsyncIterator[Account]:
    storage = azure_storage(server.connection_string, transport)
    await storage.open()
    try:
        yield Account(
            storage=storage, elapse=_wait_until_passed, now=SystemClock().now, moves_clock=False
        )
    finally:
        await storage.close()


def azure_storage(connection_string: str, transport: Transport = Transport.REST) -> AzureStorage:
    settings = StorageSettings(kind=StorageKind.AZURE, connection_string=connection_string)
    return AzureStorage(settings, SystemClock(), transport=transport)


def system_sources() -> tuple[SystemClock, SystemIds]:
    return SystemClock(), SystemIds()


def _mover(clock: ManualClock):
    async def elapse(seconds: float) -> None:
        clock.move(seconds)

    return elapse


async def _wait_until_passed(seconds: float) -> None:
    """The service's clock cannot be moved: wait until the time is over by ours."""
    clock = SystemClock()
    end = clock.monotonic() + seconds
    while (left := end - clock.monotonic()) > 0:  # noqa: ASYNC110 - the service has no event
        await asyncio.sleep(left)
