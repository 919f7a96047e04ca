"""An app of the tests without listeners: in virtual time, or on Azurite in real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from azurite import Azurite
from emulator import config
from emulator.compose import Parts, running_engine
from emulator.settings import Parity, Settings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.storage.sqlite import SqliteStorage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.stores import azure_storage, system_sources

T = TypeVar("T")
CALM = {
    "lease_acquire_interval": timedelta(hours=1),
    "lease_renew_interval": timedelta(hours=1),
    "lease_interval": timedelta(hours=3),
    "max_queue_polling_interval": timedelta(minutes=10),
    "use_app_lease": False,
}
"""Settings under which a host that has nothing to do wakes seldom, so that days pass in no time."""


def settings_for(
    app: Path, *, always_replay: bool = False, parity: Parity = Parity.WARN, **hub: object
) -> Settings:
    """Settings of an app as its files say, without an environment."""
    flags = config.Flags(storage="memory", always_replay=always_replay, parity=parity)
    settings = config.load(app, flags, {})
    return replace(settings, hub=replace(settings.hub, **{**CALM, **hub}))  # type: ignore[arg-type]


def play(
    app: Path,
    scene: Callable[[Parts], Awaitable[T]],
    *,
    file: Path | None = None,
    always_replay: bool = False,
    parity: Parity = Parity.WARN,
    **hub: object,
) -> T:
    """Run a scene against an app: in memory, or in a file if one is named."""

    async def main() -> T:
        settings = settings_for(app, always_replay=always_replay, parity=parity, **hub)
        async with running(settings, file) as parts:
            return await scene(parts)

    return run_virtually(main())


@asynccontextmanager
async def running(settings: Settings, file: Path | None = None) -> AsyncIterator[Parts]:
    """An engine on a store of its own, under the clock of the running loop."""
    clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
    storage: Storage = MemoryStorage(clock, ids)
    if file is not None:
        storage = SqliteStorage(file, clock, ids)
    await storage.open()
    try:
        async with running_engine(settings, storage, clock=clock, ids=ids) as parts:
            yield parts
    finally:
        await storage.close()


@asynccontextmanager
async def on_azurite(app: Path, server: Azurite, hub_name: str) -> AsyncIterator[Parts]:
    """An engine on a hub of its own, in real time."""
    clock, ids = system_sources()
    storage = azure_storage(server.connection_string)
    await storage.open()
    try:
        settings = config.load(app, config.Flags(storage="memory"), {})
        hub = replace(
            settings.hub, hub_name=hub_name, max_queue_polling_interval=timedelta(seconds=1)
        )
        async with running_engine(
            replace(settings, hub=hub), storage, clock=clock, ids=ids
        ) as parts:
            yield parts
    finally:
        await storage.close()
