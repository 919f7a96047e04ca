"""A host of ours beside one that deals its queues out at the pace of the real provider, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from emulator.core.blob_balance import BlobLease, wanted
from emulator.errors import LeaseLostError
from emulator.hub.blob_leases import LeaseBlobs
from emulator.hub.task_hub import TaskHub
from emulator.testing.virtual_loop import run_virtually
from tests.engine.test_blob_passes import LEASE_S, PASS_S, RENEW_S, SETTINGS, Scene

QUEUES = 4
INTENTS_EVERY_S = 10.0
OWNERSHIPS_EVERY_S = 5.0
LOOK_EVERY_S = 0.1


class RealHost:
    """The safe manager's four loops; a session never takes time. Source: reference azure-storage-provider.md 9.2.

    It steals one intent in a pass, finds out at its renewal that it has lost one, and lets the ownership lapse.
    """

    def __init__(self, hub: TaskHub, name: str = "real") -> None:
        self._hub = hub
        self._name = name
        self._intents: dict[str, BlobLease] = {}
        self._ownerships: dict[str, BlobLease] = {}

    @property
    def reads(self) -> set[int]:
        return {int(queue[-2:]) for queue in self._ownerships.keys() & self._intents.keys()}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for every_s, work in (
                (OWNERSHIPS_EVERY_S, self._take_ownerships),
                (INTENTS_EVERY_S, self._take_intents),
                (RENEW_S, self._renew_intents),
                (RENEW_S, self._renew_ownerships),
            ):
                group.create_task(_again_and_again(work, every_s))

    async def _take_intents(self) -> None:
        found = wanted(await self._hub.intents.all(), self._name)
        for lease in (*found.free[: found.share], *found.steals[:1]):
            await self._take(self._hub.intents, lease, self._intents)

    async def _take_ownerships(self) -> None:
        for lease in await self._hub.ownerships.all():
            if lease.control_queue in self._intents and not lease.is_held:
                await self._take(self._hub.ownerships, lease, self._ownerships)

    async def _take(self, folder: LeaseBlobs, lease: BlobLease, held: dict[str, BlobLease]) -> None:
        try:
            held[lease.control_queue] = await folder.take(lease, self._name, duration_s=LEASE_S)
        except LeaseLostError:
            return

    async def _renew_intents(self) -> None:
        await self._renew(self._hub.intents, self._intents)

    async def _renew_ownerships(self) -> None:
        for queue in self._ownerships.keys() - self._intents.keys():
            del self._ownerships[queue]
        await self._renew(self._hub.ownerships, self._ownerships)

    async def _renew(self, folder: LeaseBlobs, held: dict[str, BlobLease]) -> None:
        for queue, lease in list(held.items()):
            if not await folder.renew(lease):
                del held[queue]

    async def leave(self) -> None:
        for folder, held in (
            (self._hub.intents, self._intents),
            (self._hub.ownerships, self._ownerships),
        ):
            for lease in held.values():
                await folder.release(lease)
            held.clear()


async def _again_and_again(work: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await work()
        await asyncio.sleep(every_s)


class Pair:
    """Both on one hub. That no queue is read by both is looked at all the time."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.ours = Scene(group, replace(SETTINGS, partition_count=QUEUES))
        self.real = RealHost(self.ours.other)
        self._group = group
        self._running: asyncio.Task[None] | None = None

    async def start_real(self) -> None:
        await self.ours.other.ensure(self.ours.clock.now())
        self._running = self._group.create_task(self.real.run())

    async def kill_real(self) -> None:
        assert self._running is not None
        self._running.cancel()

    async def until(self, real: int, ours: int, *, within_s: float) -> float:
        """Seconds until both read so many queues."""
        began = self.ours.now
        while (len(self.real.reads), len(self.ours.reads)) != (real, ours):
            assert not self.real.reads & self.ours.reads
            assert self.ours.now - began <= within_s, (self.real.reads, self.ours.reads)
            await asyncio.sleep(LOOK_EVERY_S)
        return self.ours.now - began


def play(scene: Callable[[Pair], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            pair = Pair(group)
            await scene(pair)
            await pair.kill_real()
            await pair.ours.end()

    run_virtually(main())


def test_ours_comes_to_a_real_one_and_both_read_half() -> None:
    """It has to hear of it, and its ownerships have to lapse."""

    async def scene(pair: Pair) -> None:
        await pair.start_real()
        await pair.until(QUEUES, 0, within_s=INTENTS_EVERY_S)
        await asyncio.sleep(37)
        await pair.ours.start()
        await pair.until(2, 2, within_s=RENEW_S + LEASE_S + PASS_S)
        await _stays(pair, 2, 2)

    play(scene)


def test_a_real_one_comes_to_ours_and_both_read_half() -> None:
    """It steals one queue in each of its passes, and has each as soon as ours has given it up."""

    async def scene(pair: Pair) -> None:
        await pair.ours.start()
        await pair.until(0, QUEUES, within_s=1)
        await asyncio.sleep(37)
        await pair.start_real()
        await pair.until(2, 2, within_s=INTENTS_EVERY_S + PASS_S + OWNERSHIPS_EVERY_S + 1)
        await _stays(pair, 2, 2)

    play(scene)


async def _stays(pair: Pair, real: int, ours: int) -> None:
    for _ in range(60):
        await asyncio.sleep(1)
        assert (len(pair.real.reads), len(pair.ours.reads)) == (real, ours)


@pytest.mark.parametrize("is_killed", [True, False])
def test_what_a_real_one_leaves_is_read_by_ours(*, is_killed: bool) -> None:
    async def scene(pair: Pair) -> None:
        await pair.start_real()
        await pair.ours.start()
        await pair.until(2, 2, within_s=90)
        await pair.kill_real()
        if is_killed:
            pair.real = RealHost(pair.ours.other)
        else:
            await pair.real.leave()
        await pair.until(0, QUEUES, within_s=PASS_S + 1 + (LEASE_S if is_killed else 0))

    play(scene)


def test_what_ours_leaves_is_read_by_a_real_one() -> None:
    async def scene(pair: Pair) -> None:
        await pair.start_real()
        await pair.ours.start()
        await pair.until(2, 2, within_s=90)
        await pair.ours.manager.stop()
        await pair.until(QUEUES, 0, within_s=INTENTS_EVERY_S + OWNERSHIPS_EVERY_S + 1)

    play(scene)
