"""Who may write an Instances row: whoever knows the row that is there."""

from __future__ import annotations

import pytest

from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.errors import NotFoundError
from emulator.hub.instances import InstanceTable
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Value
from tests.support.clocks import BEGINNING, CountedIds, ManualClock

INSTANCE = InstanceId("i")
COLUMNS: dict[str, Value] = {
    "Name": "f",
    "RuntimeStatus": "Pending",
    "CreatedTime": Instant(BEGINNING),
    "LastUpdatedTime": Instant(BEGINNING),
}


@pytest.fixture
async def table() -> InstanceTable:
    ids = CountedIds()
    hub = TaskHub(MemoryStorage(ManualClock(), ids), HubSettings(hub_name="Hub"), ids.hex32)
    await hub.ensure(Instant(BEGINNING))
    return hub.instances


async def test_a_row_is_written_only_over_the_one_that_is_known(table: InstanceTable) -> None:
    first = await table.project(INSTANCE, COLUMNS, etag=None)
    assert first is not None
    assert await table.project(INSTANCE, COLUMNS, etag=None) is None
    second = await table.project(INSTANCE, {"RuntimeStatus": "Running"}, etag=first)
    assert second == await table.tag(INSTANCE)
    assert await table.project(INSTANCE, {"RuntimeStatus": "Failed"}, etag=first) is None
    assert await table.create(INSTANCE, COLUMNS, etag=None) is None
    assert await table.create(INSTANCE, COLUMNS, etag=second) is not None


async def test_a_row_that_was_purged_meanwhile_is_told_to_who_begins_anew(
    table: InstanceTable,
) -> None:
    known = await table.create(INSTANCE, COLUMNS, etag=None)
    assert await table.delete(INSTANCE)
    assert await table.project(INSTANCE, COLUMNS, etag=known) is None
    with pytest.raises(NotFoundError):
        await table.create(INSTANCE, COLUMNS, etag=known)
