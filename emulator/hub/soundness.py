"""What of a hub nobody can read, and what was made under another layout than this program's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.core.status import TERMINAL
from emulator.errors import DecodeError
from emulator.hub.task_hub import TaskHub

HISTORIES_MAX: Final = 1000
"""Histories that are read: those of instances that have not ended, in order of id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why a row, or the payload that it refers to, cannot be read; the text names instance and row."""

    table: str
    reason: str


async def unreadable_rows(hub: TaskHub, progress: Callable[[int], None]) -> tuple[Unreadable, ...]:
    """Rows of instances, and of the histories of those that have not ended. Nothing is touched.

    Args:
        progress: told of the number of instances looked at so far.
    """
    found: list[Unreadable] = []
    looked_at = histories = 0
    async for record in hub.instances.survey():
        looked_at += 1
        progress(looked_at)
        if isinstance(record, DecodeError):
            found.append(Unreadable(table=hub.instances.name, reason=str(record)))
        elif record.status not in TERMINAL and histories < HISTORIES_MAX:
            histories += 1
            try:
                await hub.history.load(record.instance_id)
            except DecodeError as error:
                found.append(Unreadable(table=hub.history.name, reason=str(error)))
    return tuple(found)


async def has_leases_in_blobs(hub: TaskHub) -> bool:
    """Whether the control queues are dealt out by leases on blobs, as older partition managers do, and not by rows."""
    containers = await hub.storage.blobs.list_containers(hub.names.leases)
    if hub.names.leases not in containers:
        return False
    tables = await hub.storage.tables.list_tables()
    return hub.names.partitions.lower() not in {table.lower() for table in tables}
