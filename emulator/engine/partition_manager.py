"""Takes part in dealing out the control queues: passes over the Partitions table, and starts and stops loops.

The rules of a pass are core.balance; the app lease is taken first and watched beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from emulator.core.balance import Change, Drained, Move, PartitionLease, plan
from emulator.engine.clock import Clock
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.errors import EtagMismatchError, StorageError
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger

_log = get_logger(__name__)
KEEPING: Final = "keeping the app lease"
SOON_S: Final = 1.0
"""Pause between passes while something is draining or about to become ours."""
RETRIES_MAX: Final = 9
"""Passes in a row without a pause after a failed one."""
BUSY_LOOK_S: Final = 0.05
_OWN_HUB: Final = (
    "give this app a hub of its own (host.json, extensions.durableTask.hubName), or set useAppLease to false if both "
    "are the same app"
)


class PartitionManager:
    """The partitions of one process."""

    def __init__(
        self,
        hub: TaskHub,
        new_loop: Callable[[int], PartitionLoop],
        *,
        clock: Clock,
        outage: Outage,
        on_change: Callable[[], None],
    ) -> None:
        """Own nothing yet.

        Args:
            new_loop: makes the loop of a partition.
            on_change: called when a loop was started or stopped.
        """
        self._hub = hub
        self._new_loop = new_loop
        self._clock = clock
        self._outage = outage
        self._on_change = on_change
        self._loops: dict[str, PartitionLoop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._draining: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._index = {queue.name: i for i, queue in enumerate(hub.control_queues)}
        self._stopping = False
        """Passes go on until everything is drained, so that the leases do not end before; but they start nothing."""
        self._released = False
        self._lacks_app_lease = False
        self._passing = asyncio.Lock()
        self.is_shared = False
        """Whether the last pass has seen other workers."""
        self.ready = asyncio.Event()
        """Set once a partition is read here, or a first pass has found that another worker has them all."""

    @property
    def owned(self) -> tuple[PartitionLoop, ...]:
        """The loops that read a queue now."""
        return tuple(self._loops.values())

    @property
    def awaited(self) -> str | None:
        """What has to come before a partition can be read, and its cure; None once one is read, here or elsewhere."""
        if self.ready.is_set():
            return None
        if self._lacks_app_lease:
            return f"the app lease of task hub {self._hub.name}, which another app has: {_OWN_HUB}"
        return f"a partition of task hub {self._hub.name} on {self._hub.storage.description}"

    async def run(self) -> None:
        """Take the app lease, then make passes until cancelled; stop reading when the app lease is lost."""
        settings = self._hub.settings
        if not settings.use_table_partition_management:
            _log.warning(
                "useTablePartitionManagement is false, but this host shares partitions by the table %sPartitions only. "
                "Beside a worker that leases them by blobs, each queue of task hub %s would have two readers: stop "
                "that worker, or set useTablePartitionManagement to true for all",
                self._hub.name,
                self._hub.name,
                extra=fields("partitions_by_table"),
            )
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                if settings.use_app_lease and not await self._take_app_lease():
                    await asyncio.sleep(settings.app_lease_acquire_interval.total_seconds())
                    continue
                passes = group.create_task(self._make_passes(), name="partition passes")
                await self._keep_app_lease()
                passes.cancel()
                self._drop_all()

    async def stop(self) -> None:
        """Drain and release every partition, and take none again. Call it after run() was cancelled or beside it."""
        self._stopping = True
        for name in list(self._loops):
            await self._drain(name)
        async with self._passing:
            self._released = True
            await self._release_all()

    async def _release_all(self) -> None:
        for _ in range(RETRIES_MAX):
            try:
                await self._give_up()
                return
            except EtagMismatchError:
                continue
            except StorageError as error:
                self._outage.given_up("releasing partitions", error)
                return

    # --- the app lease ----------------------------------------------------------------------------------------

    async def _take_app_lease(self) -> bool:
        if await self._outage.outlast(KEEPING, self._hub.app_lease.acquire):
            _log.info("app lease taken", extra=fields("app_lease_acquired"))
            self._lacks_app_lease = False
            return True
        self._lacks_app_lease = True
        _log.warning(
            "another app works on task hub %s (its app lease is taken); this one waits for it and runs only "
            "activities: %s",
            self._hub.name,
            _OWN_HUB,
            extra=fields("app_lease_waiting"),
        )
        return False

    async def _keep_app_lease(self) -> None:
        settings = self._hub.settings
        while True:
            await asyncio.sleep(settings.app_lease_renew_interval.total_seconds())
            if not settings.use_app_lease:
                continue
            if not await self._outage.outlast(KEEPING, self._hub.app_lease.renew):
                _log.warning("app lease lost", extra=fields("app_lease_lost"))
                return

    # --- passes -----------------------------------------------------------------------------------------------

    async def _make_passes(self) -> None:
        failures = 0
        while True:
            try:
                async with self._passing:
                    waiting = await self._make_pass()
                self._outage.worked("reading leases")
                failures = 0
            except EtagMismatchError:
                failures += 1
                waiting = True
                if failures <= RETRIES_MAX:
                    continue
            except StorageError as error:
                self._outage.failed("reading leases", error)
                await self._outage.pause()
                continue
            self.ready.set()
            interval = self._hub.settings.lease_acquire_interval.total_seconds()
            await asyncio.sleep(min(SOON_S, interval) if waiting else interval)

    async def _make_pass(self) -> bool:
        if self._released:
            return False
        leases = await self._hub.partitions.read()
        outcome = plan(
            [lease for lease in leases if lease.control_queue in self._index],
            worker=self._hub.settings.worker_id,
            now=self._clock.now(),
            lease_interval=self._hub.settings.lease_interval,
            drained=self._drained(),
        )
        self.is_shared = outcome.is_shared
        for name in outcome.lost:
            _log.warning(
                "partition %s is owned by someone else now", name, extra=fields("partition_lost")
            )
            self._lose(name)
        for change in outcome.changes:
            await self._write(change)
        return outcome.waiting

    async def _write(self, change: Change) -> None:
        lease = await self._hub.partitions.write(change.lease)
        match change.move:
            case Move.CLAIM | Move.RENEW:
                await self._start_reading(lease)
            case Move.DRAIN:
                if lease.control_queue in self._loops:
                    self._loops[lease.control_queue].hold_until(lease.expires_at)
                self._start_draining(lease.control_queue)
            case Move.RELEASE:
                _log.info(
                    "partition %s released",
                    lease.control_queue,
                    extra=fields("partition_released"),
                )
            case Move.STEAL:
                _log.info(
                    "partition %s asked for", lease.control_queue, extra=fields("partition_stolen")
                )

    def _drained(self) -> Drained:
        busy = {n for n, loop in self._loops.items() if loop.has_running_sessions}
        busy |= {n for n, task in self._draining.items() if not task.done()}
        return Drained(busy=frozenset(busy), idle=frozenset(self._loops) - frozenset(busy))

    async def _start_reading(self, lease: PartitionLease) -> None:
        name = lease.control_queue
        if name in self._loops:
            self._loops[name].hold_until(lease.expires_at)
            return
        if self._group is None or self._stopping:
            return
        self._draining.pop(name, None)
        await self._hub.storage.queues.create_queue(name)
        loop = self._loops[name] = self._new_loop(self._index[name])
        loop.hold_until(lease.expires_at)
        self._tasks[name] = self._group.create_task(loop.run(), name=f"partition {name}")
        _log.info("partition %s claimed", name, extra=fields("partition_claimed"))
        self.ready.set()
        self._on_change()

    def _start_draining(self, name: str) -> None:
        if name in self._loops and name not in self._draining and self._group is not None:
            self._draining[name] = self._group.create_task(self._drain(name), name=f"drain {name}")

    async def _drain(self, name: str) -> None:
        loop = self._loops.get(name)
        if loop is None:
            return
        await loop.drain(_look_again)
        self._stop_reading(name)

    def _stop_reading(self, name: str) -> None:
        loop = self._loops.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        if loop is not None:
            loop.sessions.close()
            self._on_change()

    def _lose(self, name: str) -> None:
        """Stop reading at once what is not ours any more, even if it was being drained."""
        loop = self._loops.get(name)
        draining = self._draining.pop(name, None)
        if draining is not None:
            draining.cancel()
        self._stop_reading(name)
        if loop is not None and self._group is not None:
            self._group.create_task(loop.lose(), name=f"lose {name}")

    def _drop_all(self) -> None:
        for name in list(self._loops):
            self._lose(name)

    async def _give_up(self) -> None:
        """Two passes: the first marks the rows as draining, the second gives them up."""
        worker = self._hub.settings.worker_id
        for _ in range(2):
            outcome = plan(
                await self._hub.partitions.read(),
                worker=worker,
                now=self._clock.now(),
                lease_interval=self._hub.settings.lease_interval,
                drained=Drained(),
                stopping=True,
            )
            for change in outcome.changes:
                await self._hub.partitions.write(change.lease)


async def _look_again() -> None:
    await asyncio.sleep(BUSY_LOOK_S)
