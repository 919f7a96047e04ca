"""Which task hubs an account has."""

from __future__ import annotations

from typing import Final

from emulator.storage.ports import Storage

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
