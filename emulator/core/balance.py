"""Which partitions a worker takes, keeps, steals and gives up.

Values in, changes out: one pass over the rows of the Partitions table as the real table manager makes it. Source:
reference azure-storage-provider.md 9.1, without its quirk of listening after a steal or a release.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from emulator.core.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLease:
    """One row: who owns a control queue, and who is about to."""

    control_queue: str
    owner: str | None = None
    next_owner: str | None = None
    owned_since: Instant | None = None
    last_renewal: Instant | None = None
    expires_at: Instant | None = None
    is_draining: bool = False
    etag: str | None = None


class Move(StrEnum):
    """What a worker does to a lease."""

    CLAIM = "claim"
    RENEW = "renew"
    DRAIN = "drain"
    RELEASE = "release"
    STEAL = "steal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A lease as it is to be written, and why."""

    move: Move
    lease: PartitionLease


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What this worker is still doing: queues with running sessions, and queues that have none left."""

    busy: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The outcome of one pass."""

    changes: tuple[Change, ...]
    lost: frozenset[str]
    """Queues that this worker must stop reading at once: the row names someone else."""
    waiting: bool
    """Whether the next pass should come soon: something is draining or about to become ours."""
    is_shared: bool
    """Whether other workers own partitions, or are about to."""


def plan(
    leases: Sequence[PartitionLease],
    *,
    worker: str,
    now: Instant,
    lease_interval: timedelta,
    drained: Drained,
    stopping: bool = False,
) -> Pass:
    """Look at every row and decide.

    Args:
        worker: our name; unique among all processes on the hub.
        lease_interval: how long a renewed lease lasts.
        drained: the state of the queues that this worker reads.
        stopping: give everything up, take nothing.
    """
    changes: list[Change] = []
    lost: set[str] = set()
    for lease in leases:
        change = _change(lease, worker, now, lease_interval, drained, stopping=stopping)
        if change is not None:
            changes.append(change)
        elif lease.owner != worker and lease.control_queue in drained.busy | drained.idle:
            lost.add(lease.control_queue)
    if not stopping:
        changes.extend(_steals(_after(leases, changes), worker))
    after = _after(leases, changes)
    waiting = any(
        (lease.owner == worker and lease.is_draining) or lease.next_owner == worker
        for lease in after
    )
    return Pass(
        changes=tuple(changes),
        lost=frozenset(lost),
        waiting=waiting,
        is_shared=any({lease.owner, lease.next_owner} - {None, worker} for lease in after),
    )


def _change(
    lease: PartitionLease,
    worker: str,
    now: Instant,
    lease_interval: timedelta,
    drained: Drained,
    *,
    stopping: bool,
) -> Change | None:
    expired = _is_expired(lease, now)
    free = lease.owner is None and lease.next_owner in (None, worker)
    if lease.owner == worker:
        return _own(lease, now, lease_interval, drained, stopping=stopping)
    if stopping:
        return None
    if free or expired:
        return Change(move=Move.CLAIM, lease=_claimed(lease, worker, now, lease_interval))
    if lease.is_draining and lease.next_owner is None:
        return Change(move=Move.STEAL, lease=replace(lease, next_owner=worker))
    return None


def _is_expired(lease: PartitionLease, now: Instant) -> bool:
    """A row that names an owner but no time, because nobody can read it, would bind its queue for ever."""
    if lease.expires_at is None:
        return lease.owner is not None
    return now >= lease.expires_at


def _own(
    lease: PartitionLease,
    now: Instant,
    lease_interval: timedelta,
    drained: Drained,
    *,
    stopping: bool,
) -> Change:
    renewed = replace(lease, last_renewal=now, expires_at=now.plus(lease_interval))
    if not stopping and lease.next_owner is None:
        return Change(move=Move.RENEW, lease=replace(renewed, is_draining=False))
    if lease.control_queue in drained.busy or not lease.is_draining:
        return Change(move=Move.DRAIN, lease=replace(renewed, is_draining=True))
    return Change(move=Move.RELEASE, lease=replace(lease, owner=None, is_draining=False))


def _claimed(
    lease: PartitionLease, worker: str, now: Instant, lease_interval: timedelta
) -> PartitionLease:
    return replace(
        lease,
        owner=worker,
        next_owner=None,
        owned_since=now,
        last_renewal=now,
        expires_at=now.plus(lease_interval),
        is_draining=False,
    )


def _after(leases: Iterable[PartitionLease], changes: Iterable[Change]) -> list[PartitionLease]:
    changed: Mapping[str, PartitionLease] = {c.lease.control_queue: c.lease for c in changes}
    return [changed.get(lease.control_queue, lease) for lease in leases]


def _steals(leases: Sequence[PartitionLease], worker: str) -> list[Change]:
    """Even the counts out: at balance they differ by at most one."""
    counts = Counter(lease.next_owner or lease.owner for lease in leases)
    others = [name for name in counts if name not in (None, worker)]
    if not others:
        return []
    average = len(leases) // (len(others) + 1)
    mine = counts[worker]
    changes: list[Change] = []
    for other in others:
        want = average - mine
        excess = counts[other] - average
        if want < 0 or excess <= 0:
            continue
        if want == 0 and excess > 1:
            want = 1
        theirs = [lease for lease in leases if lease.owner == other and lease.next_owner is None]
        for lease in theirs[: min(want, excess)]:
            changes.append(Change(move=Move.STEAL, lease=replace(lease, next_owner=worker)))
            mine += 1
    return changes
