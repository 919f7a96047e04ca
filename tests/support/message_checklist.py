"""What a message must be so that the real product can read it (see tests.support.checklist)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from emulator.core.ids import InstanceId
from emulator.core.partition import partition_of
from emulator.wire.event_table import BY_TYPE_NAME, EventSpec, Kind
from emulator.wire.names import HubNames

Json = dict[str, Any]
EXECUTION_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The framework writes GUIDs without dashes; starts by the extension have them (recorded)."""
_ENVELOPE: Final = (
    "$type", "ActivityId", "TaskMessage", "CompressedBlobName", "SequenceNumber", "Episode",
    "Sender", "SerializableTraceContext",
)  # fmt: skip
_TASK_MESSAGE: Final = (
    "$type", "Event", "SequenceNumber", "OrchestrationInstance", "OrchestrationExecutionContext",
)  # fmt: skip


def message_breaches(
    text: str, queue: str, names: HubNames, partition_count: int = 4
) -> Iterator[str]:
    """Everything that is wrong with one message in a queue, but for what it has laid in a blob."""
    if not text.startswith("{"):
        yield "it is not plain JSON"
        return
    envelope = json.loads(text)
    if envelope.get("CompressedBlobName"):
        if envelope["TaskMessage"] is not None or envelope["Sender"] is not None:
            yield "it names a blob, and holds a message all the same"
        return
    yield from envelope_breaches(envelope)
    is_work, target = _destination(envelope)
    index = partition_of(InstanceId(target), partition_count)
    wanted = names.work_items if is_work else names.control_queue(index)
    if queue != wanted:
        yield f"it belongs into {wanted}"


def _destination(envelope: Json) -> tuple[bool, str]:
    """Whether it is for the queue of activities, and the instance that it is for."""
    message = envelope["TaskMessage"]
    is_work = message["Event"]["$type"].endswith("TaskScheduledEvent")
    return is_work, message["OrchestrationInstance"]["InstanceId"]


def envelope_breaches(envelope: Json) -> Iterator[str]:
    """Everything that is wrong with a message, wherever it lies."""
    expected = [name for name in _ENVELOPE if name in envelope]
    if [*envelope] != expected or set(_ENVELOPE) - {*envelope, "Episode"}:
        yield f"its members are {[*envelope]}"
    sender = envelope["Sender"]
    if [*(sender or {})] != ["InstanceId", "ExecutionId"]:
        yield f"its sender is {sender}"
    yield from _task_message(envelope["TaskMessage"])


def _task_message(message: Json) -> Iterator[str]:
    event, execution = message["Event"], message["OrchestrationInstance"]["ExecutionId"]
    spec = BY_TYPE_NAME[event["$type"]]
    if tuple(message) != _TASK_MESSAGE:
        yield f"the members of its TaskMessage are {[*message]}"
    if execution is not None and not EXECUTION_ID.fullmatch(execution):
        yield f"its execution id is {execution}"
    is_asked_for = spec.name == "TaskScheduled" or event.get("ParentInstance")
    if bool(message["OrchestrationExecutionContext"]) != bool(is_asked_for):
        yield "only activities and children have an OrchestrationExecutionContext"
    yield from _wire_event(event, spec)


def _wire_event(event: Json, spec: EventSpec) -> Iterator[str]:
    before, members = [m.name for m in spec.before], [m.name for m in spec.members]
    if [*event] != ["$type", *before, "EventType", *members, "EventId", "IsPlayed", "Timestamp"]:
        yield f"the members of its event are {[*event]}"
    if event["EventType"] != spec.number or event["IsPlayed"]:
        yield "its event has another number, or is played"
    times = [m.name for m in spec.members if m.kind is Kind.TIME and event[m.name]]
    if any(not event[name].endswith("Z") for name in (*times, "Timestamp")):
        yield "a time of its event is not UTC"
