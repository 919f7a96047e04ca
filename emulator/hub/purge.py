"""Deletes instances with everything that belongs to them.

Source: DurableTask.AzureStorage, AzureTableTrackingStore.PurgeInstanceHistoryAsync; reference
azure-storage-provider.md 8.8. Unlike there, only blobs of the instance itself are deleted, not those of instances
whose id begins with its id.
"""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.core.ids import InstanceId
from emulator.core.instance import InstanceQuery
from emulator.errors import NotFoundError
from emulator.hub.task_hub import TaskHub
from emulator.hub.together import together
from emulator.storage.ports import (
    TRANSACTION_OPERATIONS_MAX,
    RowKey,
    Write,
    WriteKind,
)
from emulator.wire.keys import escape

PAGE_ROWS: Final = 100
CONCURRENT_PURGES_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How much was deleted."""

    instances: int
    rows: int
    """Of their histories."""


async def purge_instance(hub: TaskHub, instance: InstanceId) -> bool:
    """Delete one instance, whatever its state; False if it has no row (an orphaned history stays)."""
    if await hub.instances.get(instance, payloads=False) is None:
        return False
    await _delete_all(hub, instance)
    return True


async def purge_instances(
    hub: TaskHub, where: InstanceQuery, on_purge: Callable[[InstanceId], None]
) -> Purged:
    """Delete every instance that matches, and how much there was."""
    instances = rows = 0
    continuation: str | None = None
    limit = Semaphore(CONCURRENT_PURGES_MAX)
    while True:
        page = await hub.instances.page(where, top=PAGE_ROWS, continuation=continuation)
        for record in page.records:
            on_purge(record.instance_id)
        deleted = await together(_delete_limited(hub, r.instance_id, limit) for r in page.records)
        instances += len(deleted)
        rows += sum(deleted)
        continuation = page.continuation
        if continuation is None:
            return Purged(instances=instances, rows=rows)


async def _delete_limited(hub: TaskHub, instance: InstanceId, limit: Semaphore) -> int:
    async with limit:
        return await _delete_all(hub, instance)


async def _delete_all(hub: TaskHub, instance: InstanceId) -> int:
    """History and blobs first, the row last: a purge that is cut short can be repeated. How many rows there were."""
    for prefix in {f"{instance}/", f"{escape(instance)}/"}:
        for name in await hub.payloads.names(prefix):
            await hub.payloads.delete(name)
    rows = await hub.history.rows(instance)
    for start in range(0, len(rows), TRANSACTION_OPERATIONS_MAX):
        keys = [row.key for row in rows[start : start + TRANSACTION_OPERATIONS_MAX]]
        await _delete_rows(hub, keys)
    await hub.instances.delete(instance)
    return len(rows)


async def _delete_rows(hub: TaskHub, keys: list[RowKey]) -> None:
    writes = [Write(kind=WriteKind.DELETE, key=key) for key in keys]
    try:
        await hub.storage.tables.transact(hub.names.history, writes)
    except NotFoundError:
        for write in writes:
            await _delete_row(hub, write)


async def _delete_row(hub: TaskHub, write: Write) -> None:
    try:
        await hub.storage.tables.write(hub.names.history, write)
    except NotFoundError:
        return
