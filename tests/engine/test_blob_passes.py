"""A host among others whose control queues are dealt out by leases on blobs, in virtual time.

The other host is played by hand here, as the real provider behaves: it does what is recorded, and nothing sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from emulator.core.blob_balance import BlobLease
from emulator.core.ids import InstanceId
from emulator.engine.blob_passes import PASS_S
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.partition_manager import PartitionManager
from emulator.errors import EtagMismatchError
from emulator.hub.blob_leases import LeaseBlobs
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.faults import Call, Effect, Fault, FaultyStorage, Injector
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.partitions import idle_loops

SETTINGS = HubSettings(
    hub_name="Hub",
    worker_id="ours",
    partition_count=2,
    use_app_lease=False,
    use_table_partition_management=False,
)
LEASE_S = int(SETTINGS.lease_interval.total_seconds())
RENEW_S = SETTINGS.lease_renew_interval.total_seconds()
SLACK_S = 1.5
"""A pass that comes soon, and what looking takes."""
LIMIT_S = 300.0


@dataclass(frozen=True)
class Seen:
    at: float
    operation: str
    blob: str


class Scene:
    """A hub in memory with one host of ours; `other` is the same hub, seen by whoever plays the other host."""

    def __init__(self, group: asyncio.TaskGroup, settings: HubSettings = SETTINGS) -> None:
        self.group = group
        self.clock = VirtualClock(asyncio.get_running_loop())
        ids = SeededIds()
        self.storage = MemoryStorage(self.clock, ids)
        self.other = TaskHub(self.storage, settings, ids.hex32)
        self.is_cut_off = False
        self.stops_at: str | None = None
        """Queue at whose creation, before it is read, the host is told to stop; that call takes long."""
        self.stopping: asyncio.Task[None] | None = None
        self.seen: list[Seen] = []
        injector = Injector(plan=self._plan, observe=self._observe)
        self._hub = TaskHub(FaultyStorage(self.storage, injector), settings, ids.hex32)
        self.outage = Outage("memory", self.clock)
        self.manager = PartitionManager(
            self._hub,
            idle_loops(self._hub, clock=self.clock, ids=SeededIds(), outage=self.outage),
            clock=self.clock,
            outage=self.outage,
            on_change=lambda: None,
        )
        self._task: asyncio.Task[None] | None = None

    def _plan(self, call: Call) -> Fault | None:
        if call.operation == "create_queue" and call.target == self.stops_at and self._task:
            self.stopping = self.group.create_task(self.manager.stop())
            return Fault.SLOW
        return Fault.REFUSED if self.is_cut_off else None

    def _observe(self, effect: Effect) -> None:
        blob = str(effect.arguments[0]) if effect.arguments else ""
        self.seen.append(Seen(self.now, effect.call.operation, blob))

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def start(self) -> None:
        await self._hub.ensure(self.clock.now())
        self._task = self.group.create_task(self.manager.run())

    async def end(self) -> None:
        assert self._task is not None
        self._task.cancel()

    @property
    def reads(self) -> set[int]:
        return {loop.index for loop in self.manager.owned}

    def loop(self, index: int) -> PartitionLoop:
        return next(loop for loop in self.manager.owned if loop.index == index)

    async def until(self, reads: set[int]) -> float:
        """When ours reads these queues and no others."""
        return await self.until_true(lambda: self.reads == reads, f"ours reads {reads}")

    async def until_true(self, holds: Callable[[], bool], what: str) -> float:
        began = self.now
        while not holds():
            assert self.now - began < LIMIT_S, f"never: {what}; ours reads {self.reads}"
            await asyncio.sleep(0.1)
        return self.now

    async def take(self, folder: LeaseBlobs, index: int, worker: str = "other") -> BlobLease:
        lease = (await folder.all())[index]
        return await folder.take(lease, worker, duration_s=LEASE_S)

    async def is_free(self, index: int) -> bool:
        return not (await self.other.ownerships.all())[index].is_held

    async def until_free(self, index: int) -> float:
        began = self.now
        while not await self.is_free(index):
            assert self.now - began < LIMIT_S
            await asyncio.sleep(0.1)
        return self.now


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            made = Scene(group)
            await scene(made)
            await made.end()

    run_virtually(main())


def test_a_host_alone_reads_everything_at_once() -> None:
    async def scene(it: Scene) -> None:
        await it.start()
        assert await it.until({0, 1}) < 1
        assert not it.manager.is_shared
        leases = [*await it.other.intents.all(), *await it.other.ownerships.all()]
        assert {(lease.owner, lease.epoch, lease.is_held) for lease in leases} == {
            ("ours", 1, True)
        }

    play(scene)


def test_intents_are_taken_before_ownerships_and_given_up_before_them() -> None:
    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        await it.manager.stop()
        moved = [
            (seen.operation.removesuffix("_lease"), seen.blob.partition("/")[0])
            for seen in it.seen
            if seen.operation in ("acquire_lease", "release_lease")
        ]
        assert moved == [
            *2 * [("acquire", "intent")],
            *2 * [("acquire", "ownership")],
            *2 * [("release", "intent")],
            *2 * [("release", "ownership")],
        ]
        leases = [*await it.other.intents.all(), *await it.other.ownerships.all()]
        assert {(lease.owner, lease.token, lease.epoch, lease.is_held) for lease in leases} == {
            (None, None, 1, False)
        }

    play(scene)


def test_a_host_that_stops_takes_nothing_while_it_drains() -> None:
    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        it.loop(0).sessions.get(InstanceId("i")).busy = True
        stopping = it.group.create_task(it.manager.stop())
        await asyncio.sleep(1)
        for folder in (it.other.intents, it.other.ownerships):
            lease = (await folder.all())[1]
            await folder.release(lease)
        await asyncio.sleep(3 * PASS_S)
        assert [lease.is_held for lease in await it.other.ownerships.all()] == [True, False]
        assert [lease.is_held for lease in await it.other.intents.all()] == [True, False]
        it.loop(0).sessions.get(InstanceId("i")).busy = False
        await stopping
        assert await it.is_free(0)

    play(scene)


def test_a_queue_that_was_about_to_be_read_when_the_host_stopped_is_not_read() -> None:
    """Its lease is given up with the others: nobody would drain what begins now."""

    async def scene(it: Scene) -> None:
        it.stops_at = "hub-control-01"
        await it.start()
        await it.until_true(lambda: it.stopping is not None and it.stopping.done(), "it stopped")
        assert it.reads == set()
        assert [await it.is_free(index) for index in (0, 1)] == [True, True]

    play(scene)


def test_a_queue_whose_intent_is_stolen_is_given_up_when_its_work_has_ended() -> None:
    """The thief waits for the ownership; meanwhile it is renewed, for as long as the work takes."""

    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        it.loop(1).sessions.get(InstanceId("i")).busy = True
        stolen = await it.take(it.other.intents, 1)
        assert await it.until_true(lambda: it.loop(1).is_stopping, "it drains") < it.now + 1
        assert it.now <= PASS_S + SLACK_S
        keeping = it.now + LEASE_S + RENEW_S
        while it.now < keeping:
            assert not await it.is_free(1)
            assert await it.other.intents.renew(stolen)
            await asyncio.sleep(1)
        it.loop(1).sessions.get(InstanceId("i")).busy = False
        began = it.now
        assert await it.until_free(1) - began < SLACK_S
        assert it.reads == {0}
        owned = (await it.other.ownerships.all())[1]
        assert (owned.owner, owned.token, owned.epoch) == (None, None, 1)
        assert it.manager.is_shared

    play(scene)


def test_an_intent_that_comes_back_lets_the_queue_be_read_again() -> None:
    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        stolen = await it.take(it.other.intents, 0)
        await it.until_free(0)
        await it.other.intents.release(stolen)
        began = it.now
        assert await it.until({0, 1}) - began <= PASS_S + SLACK_S
        assert (await it.other.ownerships.all())[0].epoch == 2

    play(scene)


def test_a_queue_of_a_host_that_only_lets_its_ownership_lapse_is_read_in_the_next_pass() -> None:
    """So the real provider gives a queue up whose intent was stolen; nobody reads it meanwhile."""

    async def scene(it: Scene) -> None:
        await it.other.ensure(it.clock.now())
        owned = []
        for index in (0, 1):
            owned.append(await it.take(it.other.ownerships, index))
            await it.take(it.other.intents, index)
        await it.start()
        await it.until_true(lambda: len(it.seen) > 0, "ours has begun")
        await asyncio.sleep(1)
        intents = await it.other.intents.all()
        assert sorted(lease.owner or "" for lease in intents) == ["other", "ours"]
        mine = next(i for i, lease in enumerate(intents) if lease.owner == "ours")
        renewed_at = it.now
        assert await it.other.ownerships.renew(owned[mine])
        while it.now < renewed_at + LEASE_S - 0.2:
            assert it.reads == set()
            await it.other.intents.renew(intents[1 - mine])
            await it.other.ownerships.renew(owned[1 - mine])
            await asyncio.sleep(0.1)
        assert await it.until({mine}) <= renewed_at + LEASE_S + PASS_S + SLACK_S

    play(scene)


async def _may_commit(loop: PartitionLoop) -> bool:
    """Whether a commit would be begun now."""
    try:
        async with asyncio.timeout(0.01):
            await loop.check_lease()
    except (TimeoutError, EtagMismatchError):
        return False
    return True


def test_a_host_that_is_cut_off_stops_before_its_lease_ends_and_another_reads_after() -> None:
    """Only the owner commits: from the last moment of ours to the first of the other there is never an overlap."""

    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        loops = it.manager.owned
        await asyncio.sleep(3 * RENEW_S)
        it.is_cut_off = True
        while await _may_commit(loops[0]):
            assert not await it.is_free(0)
            await asyncio.sleep(0.05)
        await it.until_free(0)
        for folder in (it.other.intents, it.other.ownerships):
            await it.take(folder, 0)
        it.is_cut_off = False
        await it.until({1})
        with pytest.raises(EtagMismatchError):
            await loops[0].check_lease()
        await loops[1].check_lease()

    play(scene)


def test_a_host_that_was_cut_off_goes_on_if_nobody_took_its_queues() -> None:
    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        loops = it.manager.owned
        it.is_cut_off = True
        await asyncio.sleep(LEASE_S + 1)
        assert not await _may_commit(loops[0])
        it.is_cut_off = False
        await asyncio.sleep(10)
        assert it.manager.owned == loops
        assert await _may_commit(loops[0])

    play(scene)


def test_work_that_does_not_end_in_time_is_not_committed_any_more() -> None:
    """After a minute the queue is given up all the same."""

    async def scene(it: Scene) -> None:
        await it.start()
        await it.until({0, 1})
        loop = it.loop(0)
        loop.sessions.get(InstanceId("i")).busy = True
        stolen = await it.take(it.other.intents, 0)
        renewing = it.group.create_task(_renew(it.other.intents, stolen))
        await it.until_free(0)
        assert not await _may_commit(loop)
        renewing.cancel()

    play(scene)


async def _renew(leases: LeaseBlobs, lease: BlobLease) -> None:
    while await leases.renew(lease):  # noqa: ASYNC110 - what a host does
        await asyncio.sleep(5)


def test_a_host_of_the_same_name_has_the_queues_of_its_predecessor_at_once() -> None:
    async def scene(it: Scene) -> None:
        await it.other.ensure(it.clock.now())
        for folder in (it.other.intents, it.other.ownerships):
            for index in (0, 1):
                await it.take(folder, index, "ours")
        await it.start()
        assert await it.until({0, 1}) < 1
        assert {lease.epoch for lease in await it.other.ownerships.all()} == {1}

    play(scene)


def test_leases_of_queues_beyond_the_hubs_are_left_alone() -> None:
    """Blobs remain of a time when the hub had more queues."""

    async def scene(it: Scene) -> None:
        await it.other.ensure(it.clock.now())
        await it.other.intents.add("hub-control-02")
        await it.other.ownerships.add("hub-control-02")
        await it.start()
        await it.until({0, 1})
        await asyncio.sleep(3 * PASS_S)
        assert [lease.owner for lease in await it.other.intents.all()] == ["ours", "ours", None]

    play(scene)
