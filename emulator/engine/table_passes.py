"""Deals out the control queues by the rows of the Partitions table. The rules of a pass are core.balance."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from emulator.core.balance import Change, Drained, Move, PartitionLease, plan
from emulator.core.instant import Instant
from emulator.engine.clock import Clock
from emulator.engine.reading import Reading
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger

_log = get_logger(__name__)
SOON_S: Final = 1.0
"""Pause between passes while something is draining or about to become ours."""
END_LOOK_MIN_S: Final = 0.1
"""Shortest pause before a pass that comes because another's lease ends then."""


class TablePasses:
    """The rows of one worker (partition_manager.Passes)."""

    def __init__(self, hub: TaskHub, reading: Reading, clock: Clock) -> None:
        """Own nothing yet."""
        self._hub = hub
        self._reading = reading
        self._clock = clock
        self.is_shared = False

    async def make(self) -> float:
        """See Passes."""
        leases = await self._hub.partitions.read()
        now = self._clock.now()
        outcome = plan(
            [lease for lease in leases if self._reading.knows(lease.control_queue)],
            worker=self._hub.settings.worker_id,
            now=now,
            lease_interval=self._hub.settings.lease_interval,
            drained=self._drained(),
        )
        self.is_shared = outcome.is_shared
        for name in outcome.lost:
            self._reading.lose(name)
        for change in outcome.changes:
            await self._write(change)
        interval = self._hub.settings.lease_acquire_interval.total_seconds()
        if outcome.waiting or _takes_over(leases, outcome.changes):
            return min(SOON_S, interval)
        return min(interval, self._first_end_s(leases, now))

    def _first_end_s(self, leases: list[PartitionLease], now: Instant) -> float:
        """Until the first lease of another ends. Renewed in time, none ends before the next pass is due anyway."""
        ends = [
            lease.expires_at.minus(now).total_seconds()
            for lease in leases
            if lease.owner not in (None, self._hub.settings.worker_id)
            and lease.expires_at is not None
            and lease.expires_at > now
        ]
        return max(END_LOOK_MIN_S, min(ends, default=inf))

    async def _write(self, change: Change) -> None:
        lease = await self._hub.partitions.write(change.lease)
        name = lease.control_queue
        match change.move:
            case Move.CLAIM | Move.RENEW:
                await self._reading.begin(name, lease.expires_at)
            case Move.DRAIN:
                self._reading.hold(name, lease.expires_at)
                self._reading.begin_to_drain(name)
            case Move.RELEASE:
                _log.info("partition %s released", name, extra=fields("partition_released"))
            case Move.STEAL:
                _log.info("partition %s asked for", name, extra=fields("partition_stolen"))

    def _drained(self) -> Drained:
        busy = self._reading.busy
        return Drained(busy=busy, idle=self._reading.names - busy)

    async def give_up(self) -> None:
        """See Passes. Two passes: the first marks the rows as draining, the second gives them up."""
        for _ in range(2):
            outcome = plan(
                await self._hub.partitions.read(),
                worker=self._hub.settings.worker_id,
                now=self._clock.now(),
                lease_interval=self._hub.settings.lease_interval,
                drained=Drained(),
                stopping=True,
            )
            for change in outcome.changes:
                await self._hub.partitions.write(change.lease)


def _takes_over(leases: Iterable[PartitionLease], changes: Iterable[Change]) -> bool:
    """Whether a queue is claimed that another has left behind: others that are left may ask for their share at once."""
    owners = {lease.control_queue: lease.owner for lease in leases}
    return any(
        change.move is Move.CLAIM and owners[change.lease.control_queue] is not None
        for change in changes
    )
