"""Gathers all that is stored about one instance, without touching any of it."""

from __future__ import annotations

from dataclasses import replace

from emulator.core.events import TaskScheduled
from emulator.core.ids import InstanceId
from emulator.core.instance import InstanceRecord
from emulator.core.instant import Instant
from emulator.core.waiting import SeenMessage, Situation, open_children, open_entity_calls
from emulator.hub.census import leases_of
from emulator.hub.message_queue import Peeked
from emulator.hub.task_hub import TaskHub
from emulator.storage.ports import QueueMessage
from emulator.wire.queue_message import Envelope


async def situation_of(
    hub: TaskHub, record: InstanceRecord, now: Instant, *, hub_flag: str
) -> Situation:
    """History, messages, lease and relatives of an instance.

    Args:
        hub_flag: how suggested commands name the hub.

    Raises:
        DecodeError: a row of its history cannot be read.
    """
    instance = record.instance_id
    queue = hub.control_queues[hub.control_queue_of(instance)]
    peeked = [await queue.peek(), await hub.work_items.peek()]
    leases = {lease.control_queue: lease for lease in await leases_of(hub, now)}
    situation = Situation(
        record=record,
        events=(await hub.history.load(instance)).events,
        messages=tuple(
            seen for peek in peeked for seen in _messages_of(instance, peek, hub.work_items.name)
        ),
        hidden={peek.queue: peek.others for peek in peeked},
        control_queue=queue.name,
        work_items=hub.work_items.name,
        lease=leases.get(queue.name),
        now=now,
        hub_flag=hub_flag,
    )
    related: set[str] = {
        *(child.instance_id for child in open_children(situation.events)),
        *(call.instance_id for call in open_entity_calls(situation.events)),
    }
    found: dict[str, InstanceRecord | None] = {
        name: await hub.instances.get(InstanceId(name)) for name in sorted(related)
    }
    return replace(situation, related=found)


def _messages_of(instance: InstanceId, peek: Peeked, work_items: str) -> list[SeenMessage]:
    return [
        _seen(peek.queue, message, envelope)
        for message, envelope in peek.readable
        if envelope.task_message.target.instance_id == instance
        and (peek.queue != work_items or isinstance(envelope.task_message.event, TaskScheduled))
    ]


def _seen(queue: str, message: QueueMessage, envelope: Envelope) -> SeenMessage:
    return SeenMessage(
        queue=queue,
        message=envelope.task_message,
        sender=envelope.sender.instance_id if envelope.sender else "",
        inserted_at=message.inserted_at,
        dequeue_count=message.dequeue_count,
    )
