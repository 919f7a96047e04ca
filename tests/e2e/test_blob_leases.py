"""Two hosts whose control queues are dealt out by leases on blobs, as processes: they share, and take over."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from azurite import Azurite
from emulator.core.queue_lease import QueueLease
from emulator.engine.blob_passes import PASS_S
from emulator.engine.clock import SystemClock
from emulator.hub.census import leases_of
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from tests.support.hosts import (
    BY_BLOBS,
    SOON_VISIBLE,
    Caller,
    Place,
    eventually,
    hosting,
    hub_at,
    new_place,
    ready,
)

APP = Path(__file__).parent / "apps" / "shared_out"
HUB = HubSettings()
MOVED_S = 4 * PASS_S
"""Within this time queues move between hosts that are up: a few passes."""
TAKEN_S = HUB.lease_interval.total_seconds() + MOVED_S
"""And those of one that was killed."""


@pytest.fixture
def shared(lasting_place: Place) -> Place:
    return replace(lasting_place, settings=BY_BLOBS | SOON_VISIBLE)


async def until_read(hub: TaskHub, hosts: int, *, within_s: float) -> tuple[QueueLease, ...]:
    """The leases once every queue is read, by so many hosts, each of which has its even share."""
    queues = hub.settings.partition_count

    async def look() -> tuple[QueueLease, ...] | None:
        found = await leases_of(hub, SystemClock().now())
        owners = [lease.owner for lease in found if lease.is_held and not lease.is_draining]
        shares = [owners.count(owner) for owner in set(owners)]
        return found if shares == [queues // hosts] * hosts else None

    return await eventually(look, f"{hosts} hosts read {queues} queues", within_s=within_s)


async def results(*callers: Caller, count: int = 8) -> list[list[int]]:
    """Of instances that are started at each host in turn; their ids spread them over all queues."""
    ids = [
        (caller, await caller.start("spread", {"count": 1, "seconds": 0}))
        for caller in callers
        for _ in range(count)
    ]
    return [await caller.result(instance) for caller, instance in ids]


async def test_hosts_share_the_queues_and_one_that_stops_leaves_all_to_the_other(
    shared: Place, tmp_path: Path
):
    async with (
        hub_at(shared, APP) as hub,
        ready(APP, shared, tmp_path / "first") as (_, first),
    ):
        await until_read(hub, 1, within_s=MOVED_S)
        async with ready(APP, shared, tmp_path / "second") as (host, second):
            await until_read(hub, 2, within_s=MOVED_S)
            assert all(len(found) == 1 for found in await results(first, second))
            ids = [await second.start("spread", {"count": 4, "seconds": 0.2}) for _ in range(8)]
            host.send(signal.SIGTERM)
            assert await host.ended() == 0, host.output
        leases = await until_read(hub, 1, within_s=MOVED_S)
        assert [await first.result(instance) for instance in ids]
        assert len({lease.owner for lease in leases}) == 1
        assert hub.names.partitions not in await hub.storage.tables.list_tables()


@pytest.mark.slow
@pytest.mark.azurite
async def test_the_queues_of_a_host_that_was_killed_are_read_when_its_leases_have_ended(
    azurite: Azurite, tmp_path: Path
):
    place = replace(
        new_place("azurite", tmp_path, lambda: azurite), settings=BY_BLOBS | SOON_VISIBLE
    )
    async with (
        hub_at(place, APP) as hub,
        ready(APP, place, tmp_path / "first") as (_, first),
        ready(APP, place, tmp_path / "second") as (host, second),
    ):
        before = await until_read(hub, 2, within_s=MOVED_S)
        ids = [await second.start("spread", {"count": 4, "seconds": 0.2}) for _ in range(8)]
        await host.kill()
        after = await until_read(hub, 1, within_s=TAKEN_S)
        [left] = {lease.owner for lease in after}
        assert [lease.owner for lease in before].count(left) == 2
        for instance in ids:
            assert len(await first.result(instance)) == 4
        assert all(len(found) == 1 for found in await results(first))


async def test_a_host_says_so_when_another_deals_the_queues_out_by_a_table(
    shared: Place, tmp_path: Path
):
    by_table = replace(shared, settings={})
    async with hosting(APP, by_table), ready(APP, shared, tmp_path / "log") as (host, _):
        told = await host.until_printed("They do not see each other")
        assert "leases its control queues by table, this one by blobs" in told
