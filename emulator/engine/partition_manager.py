"""Takes part in dealing out the control queues: makes passes over their leases, while this app may work on the hub.

What a pass does is table_passes or blob_passes, what reads the queues is reading; the app lease is taken first and
watched beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from emulator.engine.blob_passes import BlobPasses
from emulator.engine.clock import Clock
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.reading import Reading
from emulator.engine.table_passes import SOON_S, TablePasses
from emulator.errors import EtagMismatchError, StorageError
from emulator.hub.soundness import leased_otherwise
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger

_log = get_logger(__name__)
KEEPING: Final = "keeping the app lease"
RETRIES_MAX: Final = 9
"""Passes in a row without a pause after a failed one."""
_OWN_HUB: Final = (
    "give this app a hub of its own (host.json, extensions.durableTask.hubName), or set useAppLease to false if both "
    "are the same app"
)


class Passes(Protocol):
    """A way to deal out the control queues. One pass at a time."""

    is_shared: bool
    """Whether the last pass has seen other workers."""

    async def make(self) -> float:
        """Look at all leases, and take, keep, lose and give back; seconds until the next pass.

        Raises:
            EtagMismatchError: another worker was faster; make the pass again.
        """
        ...

    async def give_up(self) -> None:
        """Release every lease; nothing is read any more.

        Raises:
            EtagMismatchError: another worker was faster; do it again.
        """
        ...


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
        self._clock = clock
        self._outage = outage
        self._reading = Reading(hub, new_loop, on_change=on_change)
        by_table = hub.settings.use_table_partition_management
        self._passes: Passes = (TablePasses if by_table else BlobPasses)(hub, self._reading, clock)
        self._released = False
        self._lacks_app_lease = False
        self._passing = asyncio.Lock()
        self.ready = self._reading.ready
        """Set once a partition is read here, or a first pass has found that another worker has them all."""

    @property
    def owned(self) -> tuple[PartitionLoop, ...]:
        """The loops that read a queue now."""
        return self._reading.loops

    @property
    def is_shared(self) -> bool:
        """Whether the last pass has seen other workers."""
        return self._passes.is_shared

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
        async with asyncio.TaskGroup() as group:
            self._reading.group = group
            while True:
                if settings.use_app_lease and not await self._take_app_lease():
                    await asyncio.sleep(settings.app_lease_acquire_interval.total_seconds())
                    continue
                passes = group.create_task(self._make_passes(), name="partition passes")
                await self._keep_app_lease()
                passes.cancel()
                self._reading.lose_all()

    async def look_for_others(self) -> None:
        """Say so if hosts read the queues that do not see ours, nor ours them."""
        by_table = self._hub.settings.use_table_partition_management
        try:
            is_otherwise = await leased_otherwise(self._hub, self._clock.now(), by_table=by_table)
        except StorageError as error:
            self._outage.given_up("looking for hosts that lease partitions otherwise", error)
            return
        if is_otherwise:
            theirs, ours = ("blobs", "table") if by_table else ("table", "blobs")
            _log.warning(
                "task hub %s: another host leases its control queues by %s, this one by %s. They do not see each "
                "other, and both read the same queues: stop that host, or let useTablePartitionManagement be the same "
                "for all. If it was killed just now, this is over in %d s",
                self._hub.name,
                theirs,
                ours,
                self._hub.settings.lease_interval.total_seconds(),
                extra=fields("partitions_leased_otherwise"),
            )

    async def stop(self) -> None:
        """Drain and release every partition, and take none again. Call it after run() was cancelled or beside it.

        Passes go on until everything is drained, so that the leases do not end before; but they begin nothing.
        """
        await self._reading.drain_all()
        async with self._passing:
            self._released = True
            await self._release_all()

    async def _release_all(self) -> None:
        for _ in range(RETRIES_MAX):
            try:
                await self._passes.give_up()
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
                    pause_s = await self._make_pass()
                self._outage.worked("reading leases")
                failures = 0
            except EtagMismatchError:
                failures += 1
                pause_s = SOON_S
                if failures <= RETRIES_MAX:
                    continue
            except StorageError as error:
                self._outage.failed("reading leases", error)
                await self._outage.pause()
                continue
            self.ready.set()
            await asyncio.sleep(pause_s)

    async def _make_pass(self) -> float:
        if self._released:
            return self._hub.settings.lease_acquire_interval.total_seconds()
        return await self._passes.make()
