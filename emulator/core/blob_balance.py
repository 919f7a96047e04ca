"""Which leases on blobs a worker takes, so that the control queues are dealt out evenly.

Values in, decisions out. Source: reference azure-storage-provider.md 9.2 (LeaseCollectionBalancer), but that a pass
steals all that it wants, and not one: docs/decisions/0003-leases-on-blobs.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobLease:
    """A lease blob: what it says, and whether it is leased.

    Attributes:
        owner: who took the lease last; None: it was given back, or never taken.
        token: the id under which it is leased, as its owner wrote it down; whoever takes it does so a moment later.
        epoch: how often it was taken.
        is_held: whether the blob is leased now.
    """

    control_queue: str
    owner: str | None = None
    token: str | None = None
    epoch: int = 0
    is_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a worker tries to take in a pass.

    Attributes:
        free: leases that nobody holds, of which up to `share` are wanted.
        share: how many leases are lacking.
        steals: leases of others that are taken from them; none while any are free.
    """

    free: tuple[BlobLease, ...] = ()
    share: int = 0
    steals: tuple[BlobLease, ...] = ()


def wanted(leases: Sequence[BlobLease], worker: str) -> Wanted:
    """What is lacking for an even share: the number of leases by that of workers, rounded up."""
    counts = Counter(lease.owner for lease in leases if lease.is_held and lease.owner)
    counts[worker] += 0
    target = -(-len(leases) // len(counts))
    share = target - counts[worker]
    free = tuple(lease for lease in leases if not lease.is_held)
    if share <= 0:
        return Wanted()
    if free:
        return Wanted(free=free, share=share)
    return Wanted(steals=tuple(_steals(leases, counts, worker, target)))


def _steals(
    leases: Sequence[BlobLease], counts: Counter[str], worker: str, target: int
) -> list[BlobLease]:
    """One after the other from whoever has most then."""
    left = {name: [lease for lease in leases if lease.owner == name] for name in counts}
    mine = len(left.pop(worker))
    found: list[BlobLease] = []
    while left and mine < target:
        richest = max(left.values(), key=len)
        if len(richest) <= target - (1 if target - mine > 1 else 0):
            break
        found.append(richest.pop(0))
        mine += 1
    return found
