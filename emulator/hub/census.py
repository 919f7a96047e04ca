"""What a task hub holds: how many instances in which state, which messages, who reads what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from emulator.core.balance import PartitionLease
from emulator.core.blob_balance import BlobLease
from emulator.core.entity_messages import is_entity_id
from emulator.core.instance import InstanceQuery
from emulator.core.instant import Instant
from emulator.core.queue_lease import QueueLease
from emulator.errors import NotFoundError
from emulator.hub.task_hub import TaskHub


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """What can be seen of a queue.

    Attributes:
        hidden: messages that are held by someone or not due yet, or lie behind the first 32.
        unreadable: ids of messages that nobody can read, and why.
        dequeue_count_max: of the visible messages.
    """

    name: str
    visible: int
    hidden: int
    unreadable: tuple[tuple[str, str], ...]
    oldest: Instant | None
    dequeue_count_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A hub at a glance."""

    instances: dict[str, int]
    """By status, entities under `Entity`."""
    queues: tuple[QueueState, ...]
    leases: tuple[QueueLease, ...]


async def census(hub: TaskHub, now: Instant, progress: Callable[[int], None]) -> Census:
    """Look at everything, touch nothing.

    Args:
        progress: told of the number of instances counted so far.
    """
    return Census(
        instances=await _instances(hub, progress),
        queues=await queue_states(hub),
        leases=await leases_of(hub, now),
    )


async def _instances(hub: TaskHub, progress: Callable[[int], None]) -> dict[str, int]:
    where = InstanceQuery(created_from=Instant(1), fetch_input=False, fetch_output=False)
    counts: Counter[str] = Counter()
    continuation: str | None = None
    while True:
        page = await hub.instances.page(where, continuation=continuation)
        counts.update(
            "Entity" if is_entity_id(record.instance_id) else str(record.status)
            for record in page.records
        )
        progress(counts.total())
        continuation = page.continuation
        if continuation is None:
            return dict(sorted(counts.items()))


async def queue_states(hub: TaskHub) -> tuple[QueueState, ...]:
    """All queues of a hub that are there."""
    found: list[QueueState] = []
    for queue in (*hub.control_queues, hub.work_items):
        try:
            peek = await queue.peek()
        except NotFoundError:
            continue
        messages = [message for message, _ in (*peek.readable, *peek.unreadable)]
        found.append(
            QueueState(
                name=queue.name,
                visible=len(messages),
                hidden=peek.others,
                unreadable=tuple(
                    (message.handle.message_id, reason) for message, reason in peek.unreadable
                ),
                oldest=min((message.inserted_at for message in messages), default=None),
                dequeue_count_max=max((m.dequeue_count for m in messages), default=0),
            )
        )
    return tuple(found)


async def leases_of(hub: TaskHub, now: Instant) -> tuple[QueueLease, ...]:
    """Who reads which control queue, in order of queue name, whichever way the hub is dealt out.

    One that was dealt out both ways shows the leases that are in force, else those of the table.
    """
    by_table, by_blobs = await leases_in_table(hub, now), await leases_in_blobs(hub)
    found = {lease.control_queue: lease for lease in by_blobs}
    for lease in by_table:
        other = found.get(lease.control_queue)
        if lease.is_held or other is None or not other.is_held:
            found[lease.control_queue] = lease
    return tuple(found[name] for name in sorted(found))


async def leases_in_table(hub: TaskHub, now: Instant) -> tuple[QueueLease, ...]:
    """Those of a hub that is dealt out by a table; none of others."""
    try:
        rows = await hub.partitions.read()
    except NotFoundError:
        return ()
    return tuple(_of_row(row, now) for row in rows)


async def leases_in_blobs(hub: TaskHub) -> tuple[QueueLease, ...]:
    """Those of a hub that is dealt out by blobs; none of others."""
    try:
        intents = {lease.control_queue: lease for lease in await hub.intents.all()}
        return tuple(
            _of_blobs(lease, intents.get(lease.control_queue))
            for lease in await hub.ownerships.all()
        )
    except NotFoundError:
        return ()


def _of_row(row: PartitionLease, now: Instant) -> QueueLease:
    return QueueLease(
        control_queue=row.control_queue,
        owner=row.owner,
        next_owner=row.next_owner,
        is_held=row.owner is not None and row.expires_at is not None and row.expires_at > now,
        expires_at=row.expires_at,
        is_draining=row.is_draining,
    )


def _of_blobs(ownership: BlobLease, intent: BlobLease | None) -> QueueLease:
    intended = intent.owner if intent is not None and intent.is_held else None
    is_held = ownership.is_held and ownership.owner is not None
    return QueueLease(
        control_queue=ownership.control_queue,
        owner=ownership.owner,
        next_owner=intended if intended != ownership.owner else None,
        is_held=is_held,
        is_draining=is_held and intended is not None and intended != ownership.owner,
    )


def owners(leases: tuple[QueueLease, ...]) -> tuple[str, ...]:
    """Workers that read a control queue now."""
    return tuple(sorted({lease.owner for lease in leases if lease.owner and lease.is_held}))
