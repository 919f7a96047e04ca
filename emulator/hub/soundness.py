"""What of a hub nobody can read, and what was made under another layout than this program's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.core.instant import Instant
from emulator.core.status import TERMINAL
from emulator.errors import DecodeError
from emulator.hub.census import leases_in_blobs, leases_in_table, owners
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


async def leased_otherwise(hub: TaskHub, now: Instant, *, by_table: bool) -> bool:
    """Whether the control queues are dealt out another way than a host's: by blobs and not by a table, or reversely.

    Hosts of both ways do not see each other, so that each queue would have two readers. A hub that was dealt out both
    ways counts only while a host reads a queue the other way.

    Args:
        by_table: the way of the host.
    """
    in_table, in_blobs = await leases_in_table(hub, now), await leases_in_blobs(hub)
    ours, others = (in_table, in_blobs) if by_table else (in_blobs, in_table)
    return bool(owners(others)) or (bool(others) and not ours)
