"""Hosts on one store: what one of them watches the others do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from emulator.errors import TransientStorageError
from emulator.listeners.singleton import HOSTS_CONTAINER, LEASE_S, RETRY_S, Singleton
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.functions import ScriptedInvoker, surroundings

LOCK = "locks/app/Host.Functions.work.Listener"
Scene = Callable[["Bench"], Awaitable[None]]


class Bench:
    """Two hosts that want the same lock."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.storage = MemoryStorage(VirtualClock(asyncio.get_running_loop()), SeededIds())
        self.group = group
        self.working: set[str] = set()
        self.worked_max = 0

    def start(self, name: str, seed: int) -> asyncio.Task[None]:
        around = surroundings(ScriptedInvoker(), ids=SeededIds(seed))
        singleton = Singleton(self.storage.blobs, "work", around)

        async def work() -> None:
            self.working.add(name)
            self.worked_max = max(self.worked_max, len(self.working))
            try:
                await asyncio.sleep(10**9)
            finally:
                self.working.discard(name)

        return self.group.create_task(singleton.run(work), name=name)


def play(scene: Scene) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            bench = Bench(group)
            await scene(bench)
            assert bench.worked_max == 1, "never two at a time"

    run_virtually(main())


def test_one_host_works_and_the_other_takes_over_when_it_stops() -> None:
    async def scene(bench: Bench) -> None:
        first, second = bench.start("first", 1), bench.start("second", 2)
        await asyncio.sleep(1000)
        assert bench.working == {"first"}
        first.cancel()
        await asyncio.sleep(RETRY_S + 0.1)
        assert bench.working == {"second"}
        second.cancel()

    play(scene)


def test_a_lock_that_was_taken_away_ends_the_work() -> None:
    async def scene(bench: Bench) -> None:
        host = bench.start("first", 1)
        await asyncio.sleep(1)
        await bench.storage.blobs.delete_container(HOSTS_CONTAINER)
        await bench.storage.blobs.create_container(HOSTS_CONTAINER)
        await bench.storage.blobs.upload(HOSTS_CONTAINER, LOCK, b"")
        other = SeededIds(9).guid()
        await bench.storage.blobs.acquire_lease(
            HOSTS_CONTAINER, LOCK, lease_id=other, duration_s=60
        )
        await asyncio.sleep(LEASE_S)
        assert bench.working == set()
        await asyncio.sleep(60)
        assert bench.working == {"first"}, "the other's lease has run out"
        host.cancel()

    play(scene)


class Deaf:
    """Blobs of a store that stops answering."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._blobs = storage.blobs
        self.deaf = False

    def __getattr__(self, name: str) -> object:
        if self.deaf:
            raise TransientStorageError("no answer")
        return getattr(self._blobs, name)


def test_work_ends_before_the_lease_can_have_run_out_unseen() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        blobs = Deaf(MemoryStorage(VirtualClock(loop), SeededIds()))
        around = surroundings(ScriptedInvoker(), ids=SeededIds(1))
        singleton = Singleton(blobs, "work", around)  # type: ignore[arg-type]
        ended: list[float] = []

        async def work() -> None:
            blobs.deaf = True
            began = loop.time()
            try:
                await asyncio.sleep(10**9)
            finally:
                ended.append(loop.time() - began)

        async with asyncio.TaskGroup() as group:
            running = group.create_task(singleton.run(work))
            await asyncio.sleep(60)
            running.cancel()
        assert len(ended) == 1
        assert ended[0] <= LEASE_S

    run_virtually(main())
