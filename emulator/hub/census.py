"""What a task hub holds: how many instances in which state, which messages, who reads what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from emulator.core.balance import PartitionLease
from emulator.core.instance import InstanceQuery
from emulator.core.instant import Instant
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
    leases: tuple[PartitionLease, ...]


async def census(hub: TaskHub, progress: Callable[[int], None]) -> Census:
    """Look at everything, touch nothing.

    Args:
        progress: told of the number of instances counted so far.
    """
    return Census(
        instances=await _instances(hub, progress),
        queues=await queue_states(hub),
        leases=await leases_of(hub),
    )


async def _instances(hub: TaskHub, progress: Callable[[int], None]) -> dict[str, int]:
    where = InstanceQuery(created_from=Instant(1), fetch_input=False, fetch_output=False)
    counts: Counter[str] = Counter()
    continuation: str | None = None
    while True:
        page = await hub.instances.page(where, continuation=continuation)
        counts.update(
            "Entity" if record.instance_id.startswith("@") else str(record.status)
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


async def leases_of(hub: TaskHub) -> tuple[PartitionLease, ...]:
    """Rows of the lease table; none if a host with the blob manager works here."""
    try:
        return tuple(await hub.partitions.read())
    except NotFoundError:
        return ()


def owners(leases: tuple[PartitionLease, ...], now: Instant) -> tuple[str, ...]:
    """Workers that read a control queue now."""
    return tuple(
        sorted(
            {
                lease.owner
                for lease in leases
                if lease.owner and lease.expires_at is not None and lease.expires_at > now
            }
        )
    )
