"""Fills a store beside a host, by the product's own rooms: what would take too long through the front door."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from emulator import config
from emulator.compose import make_storage
from emulator.core.ids import InstanceId
from emulator.engine.client import HubClient
from emulator.engine.clock import SystemClock, SystemIds
from emulator.engine.courier import Courier
from emulator.hub.task_hub import TaskHub
from emulator.storage.ports import RowKey, Storage, Write, WriteKind
from tests.bench import host

AT_A_TIME = 16


@dataclass(frozen=True)
class Beside:
    """A hub as another process sees it."""

    storage: Storage
    hub: TaskHub
    client: HubClient


@asynccontextmanager
async def beside(on: host.Store) -> AsyncIterator[Beside]:
    """Open the hub of a store that a host may be using."""
    settings = config.load(
        host.APP, config.Flags(storage=on.storage, start_azurite=False), host.environment()
    )
    clock, ids = SystemClock(), SystemIds()
    storage = make_storage(settings.storage, clock, ids)
    await storage.open()
    try:
        hub = TaskHub(storage, settings.hub, ids.hex32)
        client = HubClient(hub, Courier(hub, clock, ids), clock=clock, ids=ids)
        yield Beside(storage, hub, client)
    finally:
        await storage.close()


async def fill(on: host.Store, count: int) -> None:
    """Store so many finished instances: copies of one that has finished there."""
    async with beside(on) as other:
        tables, names = other.storage.tables, other.hub.names
        page = await tables.query(names.instances, None, top=1)
        model = page.rows[0]
        history = await other.hub.history.rows(InstanceId(model.key.partition))

        async def copy() -> None:
            key = uuid.uuid4().hex
            row = RowKey(partition=key, row=model.key.row)
            await tables.write(
                names.instances, Write(kind=WriteKind.INSERT, key=row, columns=model.columns)
            )
            await tables.transact(
                names.history,
                [
                    Write(
                        kind=WriteKind.INSERT,
                        key=RowKey(partition=key, row=each.key.row),
                        columns=each.columns,
                    )
                    for each in history
                ],
            )

        await _many(copy, count)


async def start_pending(on: host.Store, orchestrator: str, n: int, count: int) -> None:
    """Start so many instances that no host has seen yet."""
    text = json.dumps(json.dumps({"n": n}))
    async with beside(on) as other:

        async def start() -> None:
            await other.client.start(orchestrator, input=text)

        await _many(start, count)


async def _many(work: Callable[[], Awaitable[None]], count: int) -> None:
    left = iter(range(count))

    async def some() -> None:
        for _ in left:
            await work()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(some())
