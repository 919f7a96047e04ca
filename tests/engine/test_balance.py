"""How long it takes until control queues are dealt out evenly when hosts come, leave and die; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from emulator.engine.clock import Clock
from emulator.engine.outage import Outage
from emulator.engine.partition_manager import PartitionManager
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.partitions import idle_loops

LOOK_EVERY_S = 0.1
SETTINGS = HubSettings(use_app_lease=False)
LEASE_S = SETTINGS.lease_interval.total_seconds()
PASS_S = SETTINGS.lease_acquire_interval.total_seconds()
SLACK_S = 4.0
"""Passes that come soon, until those that are left have evened out what one of them took; and what looking takes."""
LIMIT_S = 600
Way = Literal["table", "blobs"]
both_ways = pytest.mark.parametrize("way", ["table", "blobs"])


@dataclass
class Member:
    manager: PartitionManager
    task: asyncio.Task[None]

    @property
    def reads(self) -> frozenset[int]:
        return frozenset(loop.index for loop in self.manager.owned)


class Hosts:
    """Partition managers on one hub in memory."""

    def __init__(self, group: asyncio.TaskGroup, partitions: int, way: Way) -> None:
        self._group = group
        self._settings = replace(
            SETTINGS, partition_count=partitions, use_table_partition_management=way == "table"
        )
        self._clock: Clock = VirtualClock(asyncio.get_running_loop())
        self._ids = SeededIds()
        self._storage: Storage = MemoryStorage(self._clock, self._ids)
        self.partitions = partitions
        self.members: dict[str, Member] = {}
        self.read_twice: list[frozenset[int]] = []

    async def join(self, name: str) -> None:
        settings = replace(self._settings, worker_id=name)
        hub = TaskHub(self._storage, settings, self._ids.hex32)
        await hub.ensure(self._clock.now())

        outage = Outage("memory", self._clock)
        manager = PartitionManager(
            hub,
            idle_loops(hub, clock=self._clock, ids=self._ids, outage=outage),
            clock=self._clock,
            outage=outage,
            on_change=lambda: None,
        )
        self.members[name] = Member(manager, self._group.create_task(manager.run(), name=name))

    async def leave(self, name: str) -> None:
        member = self.members.pop(name)
        await member.manager.stop()
        member.task.cancel()

    async def die(self, name: str) -> None:
        self.members.pop(name).task.cancel()

    def is_even(self) -> bool:
        """Every queue is read by one host, and no host reads two more than another."""
        reads = [member.reads for member in self.members.values()]
        counts = [len(each) for each in reads]
        return sum(counts) == self.partitions and max(counts) - min(counts) <= 1

    async def until_even(self) -> float:
        """Seconds until the queues are dealt out evenly, which they stay for a lease's length."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        even_since: float | None = None
        while loop.time() < began + LIMIT_S:
            self._look()
            even_since = (even_since or loop.time()) if self.is_even() else None
            if even_since is not None and loop.time() - even_since > LEASE_S:
                return even_since - began
            await asyncio.sleep(LOOK_EVERY_S)
        raise AssertionError(f"not even after {LIMIT_S} s")

    def _look(self) -> None:
        reads = [member.reads for member in self.members.values()]
        everything = [index for each in reads for index in each]
        if len(everything) != len(set(everything)):
            self.read_twice.append(frozenset(i for i in everything if everything.count(i) > 1))

    async def end(self) -> None:
        for name in list(self.members):
            await self.die(name)


Move = Callable[[Hosts, Iterable[str]], Awaitable[None]]


async def _each(what: Callable[[str], Awaitable[None]], names: Iterable[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(_as_coroutine(what, name))


async def _as_coroutine(what: Callable[[str], Awaitable[None]], name: str) -> None:
    await what(name)


@both_ways
@pytest.mark.parametrize("partitions", [1, 3, 4, 7, 16])
def test_queues_are_even_again_within_a_lease_when_hosts_come_and_leave(
    partitions: int, way: Way
) -> None:
    """1, 2, 4, 2, 1 hosts; who stays has everything back at the end."""

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            hosts = Hosts(group, partitions, way)
            for coming in (["a"], ["b"], ["c", "d"]):
                await _each(hosts.join, coming)
                assert await hosts.until_even() <= LEASE_S
            for leaving in (["a", "c"], ["b"]):
                await _each(hosts.leave, leaving)
                assert await hosts.until_even() <= LEASE_S
            assert not hosts.read_twice
            assert hosts.members["d"].reads == frozenset(range(partitions))
            await hosts.end()

    run_virtually(scene())


@both_ways
@pytest.mark.parametrize("partitions", [1, 4, 16])
def test_queues_of_hosts_that_died_are_taken_when_their_leases_end(
    partitions: int, way: Way
) -> None:
    """What nobody gave back is free when its lease has ended, and taken by one of those that are left."""

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            hosts = Hosts(group, partitions, way)
            await _each(hosts.join, ["a", "b", "c", "d"])
            await hosts.until_even()
            for dying in (["a", "b"], ["c"]):
                had = any(hosts.members[name].reads for name in dying)
                await _each(hosts.die, dying)
                took = await hosts.until_even()
                late_s = PASS_S / 2 if way == "blobs" else 0  # such a lease says not when it ends
                assert took <= LEASE_S + late_s + SLACK_S
                assert took >= (LEASE_S - PASS_S if had else 0)
            assert not hosts.read_twice
            assert hosts.members["d"].reads == frozenset(range(partitions))
            await hosts.end()

    run_virtually(scene())


@both_ways
def test_a_host_started_again_under_its_name_has_its_queues_back_at_once(way: Way) -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            hosts = Hosts(group, 4, way)
            await _each(hosts.join, ["a", "b"])
            await hosts.until_even()
            await hosts.die("a")
            await hosts.join("a")
            assert await hosts.until_even() <= 2 * LOOK_EVERY_S
            await hosts.end()

    run_virtually(scene())
