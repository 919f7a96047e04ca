"""A hub as a whole."""

from __future__ import annotations

from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from tests.support.clocks import CountedIds, ManualClock


async def test_whoever_deletes_a_hub_is_told_how_far_it_is() -> None:
    clock, ids = ManualClock(), CountedIds()
    hub = TaskHub(MemoryStorage(clock, ids), HubSettings(partition_count=3), ids.hex32)
    await hub.ensure(clock.now())
    told: list[int] = []
    await hub.delete(told.append)
    queues, tables, containers = 3 + 1, 3, 3
    assert told == list(range(1, queues + tables + containers + 1))
    assert not await hub.storage.queues.list_queues(hub.names.prefix)


async def test_the_container_of_the_app_lease_goes_with_the_hub() -> None:
    """The real product cannot delete it, since it holds the lease itself."""
    clock, ids = ManualClock(), CountedIds()
    hub = TaskHub(MemoryStorage(clock, ids), HubSettings(), ids.hex32)
    await hub.ensure(clock.now())
    assert await hub.app_lease.acquire()
    assert hub.names.app_lease in await hub.storage.blobs.list_containers()
    await hub.delete()
    assert await hub.storage.blobs.list_containers() == ()
