"""Removes what entities leave behind: instances of entities that are gone, and locks whose owner is.

Source: DurableTask.AzureStorage, EntityTrackingStoreQueries.CleanEntityStorageAsync.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from emulator.core.entity_messages import is_entity_id
from emulator.core.ids import InstanceId
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.instant import Instant
from emulator.core.json_text import loads
from emulator.core.status import RuntimeStatus
from emulator.hub.task_hub import TaskHub

ORPHANED_LOCK_ID: Final = "fix-orphaned-lock"
"""Id of a release whose lock request is not known."""
_PAGE: Final = 100
_OWNS: Final = frozenset({RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStatus:
    """What an entity's row tells without its state."""

    exists: bool
    queue_size: int
    locked_by: str | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be missed."""
        return not self.exists and self.locked_by is None and self.queue_size == 0


def read_status(record: InstanceRecord) -> EntityStatus:
    """The status in a scheduler's row; text that cannot be read counts as an entity that exists."""
    try:
        value = loads(record.custom_status or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return EntityStatus(exists=True, queue_size=0, locked_by=None)
    members = cast("dict[str, object]", value)
    owner, size = members.get("lockedBy"), members.get("queueSize", 0)
    return EntityStatus(
        exists=bool(members.get("entityExists", False)),
        queue_size=size if isinstance(size, int) else 0,
        locked_by=owner if isinstance(owner, str) else None,
    )


def is_removable(record: InstanceRecord, now: Instant, window: timedelta) -> bool:
    """Whether an entity does not exist, and no message sorter can still need what its row remembers."""
    return now.minus(record.last_updated_at) > window and read_status(record).is_empty


async def orphaned_by(hub: TaskHub, record: InstanceRecord) -> str | None:
    """Who holds an entity's lock without being there any more; None if its lock is in order."""
    owner = read_status(record).locked_by
    if owner is None:
        return None
    found = await hub.instances.get(InstanceId(owner), payloads=False)
    return None if found is not None and found.status in _OWNS else owner


async def all_entities(hub: TaskHub) -> AsyncIterator[InstanceRecord]:
    """Every entity's row, without its state."""
    where = InstanceQuery(prefix="@", fetch_input=False, fetch_output=False)
    async for record in hub.instances.all(where, page_rows=_PAGE):
        if is_entity_id(record.instance_id):
            yield record
