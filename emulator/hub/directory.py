"""Which task hubs an account has, and what can be seen of one from outside."""

from __future__ import annotations

from typing import Final

from emulator.storage.ports import Storage
from emulator.wire.names import HubNames

_INSTANCES: Final = "Instances"
_HISTORY: Final = "History"


async def hub_names(storage: Storage) -> tuple[str, ...]:
    """Names of the hubs, in order: whatever has both an Instances and a History table, in the case of its tables."""
    tables = await storage.tables.list_tables()
    present = {table.lower() for table in tables}
    return tuple(
        sorted(
            table.removesuffix(_INSTANCES)
            for table in tables
            if table.endswith(_INSTANCES)
            and f"{table.removesuffix(_INSTANCES)}{_HISTORY}".lower() in present
        )
    )


async def is_by_table(storage: Storage, names: HubNames) -> bool | None:
    """Whether a hub's control queues are dealt out by a table, and not by blobs; None if that cannot be seen."""
    tables = {table.lower() for table in await storage.tables.list_tables()}
    has_table = names.partitions.lower() in tables
    has_blobs = names.leases in await storage.blobs.list_containers(names.leases)
    return None if has_table == has_blobs else has_table
