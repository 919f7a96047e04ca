"""The leases on blobs that this process holds in one folder, and until when they surely last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from emulator.core.blob_balance import BlobLease, Wanted, wanted
from emulator.core.instant import Instant
from emulator.engine.clock import Clock
from emulator.errors import LeaseLostError
from emulator.hub.blob_leases import LeaseBlobs
from emulator.hub.together import together
from emulator.settings import HubSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease of ours.

    Attributes:
        until: when it ends unless it is renewed, counted from before it was asked for. One that was taken from another
            (`is_due`) may end earlier, when his would have: it is to be renewed in the next pass.
    """

    lease: BlobLease
    until: Instant
    renewed_at: Instant
    is_due: bool = False


class HeldLeases:
    """Takes, renews and releases. Kept by control queue."""

    def __init__(self, blobs: LeaseBlobs, settings: HubSettings, clock: Clock) -> None:
        """Hold nothing yet."""
        self._blobs = blobs
        self._settings = settings
        self._clock = clock
        self._held: dict[str, Held] = {}

    @property
    def names(self) -> frozenset[str]:
        """Queues whose leases are ours."""
        return frozenset(self._held)

    def until(self, name: str) -> Instant:
        """When a lease of ours ends."""
        return self._held[name].until

    async def read(self, control_queues: Iterable[str]) -> list[BlobLease]:
        """The leases of some queues; what another has taken of ours meanwhile is ours no more."""
        leases = await self._blobs.read(control_queues)
        for lease in leases:
            held = self._held.get(lease.control_queue)
            if held is not None and held.lease.token != lease.token:
                del self._held[lease.control_queue]
        return leases

    async def adopt(self, control_queues: Iterable[str]) -> None:
        """Go on with what a process of our name has left, if it can still be renewed."""
        leases = await self._blobs.read(control_queues)
        ours = [lease for lease in leases if lease.owner == self._settings.worker_id]
        await together([self._renew(lease) for lease in ours if lease.token])

    async def renew(self) -> None:
        """Renew what is due; what turns out to be lost is ours no more."""
        now = self._clock.now()
        due = [
            held.lease
            for held in self._held.values()
            if held.is_due or now.minus(held.renewed_at) >= self._settings.lease_renew_interval
        ]
        await together([self._renew(lease) for lease in due])

    async def _renew(self, lease: BlobLease) -> None:
        now = self._clock.now()
        if await self._blobs.renew(lease):
            self._keep(lease, now)
        else:
            self._held.pop(lease.control_queue, None)

    def _keep(self, lease: BlobLease, now: Instant, *, is_due: bool = False) -> None:
        until = now.plus(self._settings.lease_interval)
        self._held[lease.control_queue] = Held(
            lease=replace(lease, is_held=True), until=until, renewed_at=now, is_due=is_due
        )

    async def take_share(self, leases: Iterable[BlobLease]) -> tuple[str, ...]:
        """Take what is lacking for an even share; the queues whose leases were taken away from others."""
        found: Wanted = wanted(list(leases), self._settings.worker_id)
        lacking = found.share
        for lease in found.free:
            if lacking and await self.take(lease):
                lacking -= 1
        return tuple([lease.control_queue for lease in found.steals if await self.take(lease)])

    async def take(self, lease: BlobLease) -> bool:
        """Take a lease; False if another worker was faster."""
        now = self._clock.now()
        try:
            taken = await self._blobs.take(
                lease,
                self._settings.worker_id,
                duration_s=int(self._settings.lease_interval.total_seconds()),
            )
        except LeaseLostError:
            return False
        self._keep(taken, now, is_due=lease.is_held)
        return True

    async def release(self, name: str) -> None:
        """Give a lease up."""
        held = self._held.get(name)
        if held is not None:
            await self._blobs.release(held.lease)
            self._held.pop(name, None)
