"""Deals out the control queues by leases on blobs, as hosts with extension 2.x do ("safe" partition management).

Each queue has two leases. The intent says who is to read it, and is taken, or taken away from others, for an even
share. The ownership says who reads it. It is never taken away: whoever has lost the intent lets running work end, and
gives it up. Source: reference azure-storage-provider.md 9.2; what is done differently:
docs/decisions/0003-leases-on-blobs.md.
"""

from __future__ import annotations

from typing import Final

from emulator.engine.clock import Clock
from emulator.engine.held_leases import HeldLeases
from emulator.engine.reading import Reading
from emulator.engine.table_passes import SOON_S
from emulator.errors import StorageError
from emulator.hub.task_hub import TaskHub
from emulator.hub.together import together
from emulator.log import fields, get_logger

_log = get_logger(__name__)
PASS_S: Final = 5.0
"""Pause between passes. Source: SafePartitionManager, acquire interval of ownership leases."""


class BlobPasses:
    """The leases of one worker (partition_manager.Passes)."""

    def __init__(self, hub: TaskHub, reading: Reading, clock: Clock) -> None:
        """Own nothing yet."""
        self._worker = hub.settings.worker_id
        self._queues = [queue.name for queue in hub.control_queues]
        self._interval_s = min(PASS_S, hub.settings.lease_acquire_interval.total_seconds())
        self._reading = reading
        self._intents = HeldLeases(hub.intents, hub.settings, clock)
        self._ownerships = HeldLeases(hub.ownerships, hub.settings, clock)
        self._has_adopted = False
        self.is_shared = False

    async def make(self) -> float:
        """See Passes."""
        await self._renew()
        await self._adopt()
        await self._take_intents()
        await self._give_back()
        await self._take_ownerships()
        for name in sorted(self._ownerships.names & self._intents.names):
            await self._reading.begin(name, self._ownerships.until(name))
        is_draining = bool(self._ownerships.names - self._intents.names)
        return min(SOON_S, self._interval_s) if is_draining else self._interval_s

    async def _renew(self) -> None:
        await together([self._intents.renew(), self._ownerships.renew()])
        self._lose()
        for name in sorted(self._ownerships.names):
            self._reading.hold(name, self._ownerships.until(name))

    def _lose(self) -> None:
        """A queue whose ownership is lost is lost at once; one whose intent is lost is given up in peace."""
        for name in sorted(self._reading.names - self._ownerships.names):
            self._reading.lose(name)

    async def _adopt(self) -> None:
        """In the first pass."""
        if not self._has_adopted:
            await self._intents.adopt(self._queues)
            await self._ownerships.adopt(self._queues)
            self._has_adopted = True

    async def _take_intents(self) -> None:
        leases = await self._intents.read(self._queues)
        self.is_shared = any(
            lease.is_held and lease.owner not in (None, self._worker) for lease in leases
        )
        if self._reading.is_stopping:
            return
        for name in await self._intents.take_share(leases):
            _log.info("partition %s asked for", name, extra=fields("partition_stolen"))

    async def _give_back(self) -> None:
        """Drain what somebody else is to read, and give up what is drained."""
        for name in sorted(self._ownerships.names - self._intents.names):
            self._reading.begin_to_drain(name)
            if name not in self._reading.names | self._reading.busy:
                await self._release(name)

    async def _release(self, name: str) -> None:
        await self._ownerships.release(name)
        _log.info("partition %s released", name, extra=fields("partition_released"))

    async def _take_ownerships(self) -> None:
        """Of what ours is to read and nobody reads."""
        if self._reading.is_stopping:
            return
        lacking = sorted(self._intents.names - self._ownerships.names)
        for lease in await self._ownerships.read(lacking):
            if not lease.is_held:
                await self._ownerships.take(lease)

    async def give_up(self) -> None:
        """See Passes. A lease that cannot be given up just now keeps none of the others."""
        failed: list[StorageError] = []
        for held in (self._intents, self._ownerships):
            await together([_released(held, name, failed) for name in sorted(held.names)])
        if failed:
            raise failed[0]


async def _released(held: HeldLeases, name: str, failed: list[StorageError]) -> None:
    try:
        await held.release(name)
    except StorageError as error:
        failed.append(error)
