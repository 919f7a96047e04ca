"""The text of a queue message: MessageData around a TaskMessage around a history event.

Source: DurableTask.AzureStorage, MessageData and MessageManager; reference azure-storage-provider.md 2.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final, cast

from emulator.core.events import HistoryEvent, OrchestrationInstance
from emulator.core.json_text import compact, loads, quote, quote_or_null
from emulator.core.messages import TaskMessage
from emulator.errors import DecodeError
from emulator.wire.event_table import BY_TYPE_NAME, SPECS, EventSpec, Kind, Member
from emulator.wire.values import (
    DICTIONARY_TYPE,
    Json,
    attributes,
    from_json,
    read_instance,
    to_json,
)

_MESSAGE_DATA: Final = '{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":"'
_TASK_MESSAGE: Final = '{"$type":"DurableTask.Core.TaskMessage","Event":'
_CONTEXT_TYPE: Final = "DurableTask.Core.OrchestrationExecutionContext"
EMPTY_GUID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What travels through a queue.

    Attributes:
        activity_id: a GUID, new for every message; also part of a large message's blob name.
        sequence_number: counter of the sending process.
        episode: of the sender; None for clients, -1 for an answer to a message without one.
        sender: who sent it; clients name themselves with empty texts.
    """

    activity_id: str
    task_message: TaskMessage
    compressed_blob_name: str | None = None
    sequence_number: int
    episode: int | None = None
    sender: OrchestrationInstance | None
    trace_context: str | None = None


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What lies in the queue when the message itself is in a blob."""

    blob_name: str


def encode_wrapper(wrapper: Wrapper) -> str:
    """Text of a reference to a blob."""
    return (
        f'{_MESSAGE_DATA}{EMPTY_GUID}","TaskMessage":null,'
        f'"CompressedBlobName":{quote_or_null(wrapper.blob_name)},"SequenceNumber":0,"Sender":null,'
        '"SerializableTraceContext":null}'
    )


def encode_envelope(envelope: Envelope) -> str:
    """Text of a message, to the byte as the real provider writes it."""
    episode = "" if envelope.episode is None else f',"Episode":{envelope.episode}'
    sender = envelope.sender
    sender_text = (
        "null"
        if sender is None
        else f'{{"InstanceId":{quote_or_null(sender.instance_id)},'
        f'"ExecutionId":{quote_or_null(sender.execution_id)}}}'
    )
    return (
        f'{_MESSAGE_DATA}{envelope.activity_id}","TaskMessage":'
        f"{_encode_task_message(envelope.task_message)},"
        f'"CompressedBlobName":{quote_or_null(envelope.compressed_blob_name)},'
        f'"SequenceNumber":{envelope.sequence_number}{episode},"Sender":{sender_text},'
        f'"SerializableTraceContext":{quote_or_null(envelope.trace_context)}}}'
    )


def _encode_task_message(message: TaskMessage) -> str:
    context = "null"
    if message.context_tags is not None:
        tags = {"$type": DICTIONARY_TYPE, **message.context_tags}
        context = compact({"$type": _CONTEXT_TYPE, "OrchestrationTags": tags})
    return (
        f"{_TASK_MESSAGE}{encode_event(message.event)},"
        f'"SequenceNumber":0,"OrchestrationInstance":{_instance_text(message.target)},'
        f'"OrchestrationExecutionContext":{context}}}'
    )


def encode_event(event: HistoryEvent) -> str:
    """Text of an event with `$type`."""
    head, before, number, members = _TEXTS[type(event)]
    parts = [
        head,
        *[_member_text(event, member) for member in before],
        number,
        *[_member_text(event, member) for member in members],
        f'"EventId":{event.event_id},"IsPlayed":{"true" if event.is_played else "false"},'
        f'"Timestamp":"{event.timestamp.text()}"}}',
    ]
    return ",".join(parts)


def _member_text(event: HistoryEvent, member: Member) -> str:
    value: object = getattr(event, member.attribute)
    if value is None:
        return f'"{member.name}":null'
    if member.kind is Kind.TEXT:
        return f'"{member.name}":{quote(cast(str, value))}'
    return f'"{member.name}":{compact(to_json(value, member.kind, typed=True))}'


_TEXTS: Final = {
    spec.cls: (
        f'{{"$type":"{spec.type_name}"',
        spec.before,
        f'"EventType":{spec.number}',
        spec.members,
    )
    for spec in SPECS
}
"""Of each class of events: its type, members that stand before the number of its kind, that number, and the rest."""


def _instance_text(instance: OrchestrationInstance) -> str:
    return (
        '{"$type":"DurableTask.Core.OrchestrationInstance",'
        f'"InstanceId":{quote_or_null(instance.instance_id)},'
        f'"ExecutionId":{quote_or_null(instance.execution_id)}}}'
    )


# --- reading ------------------------------------------------------------------------------------------------------


def decode_message(text: str) -> Envelope | Wrapper:
    """Read a queue message, plain or Base64.

    Raises:
        DecodeError: it is no such message; the text says what is wrong with it.
    """
    plain = text if text.startswith("{") else _from_base64(text)
    try:
        value = loads(plain)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"the message is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DecodeError("the message is no JSON object")
    members = cast(Json, value)
    blob = members.get("CompressedBlobName")
    if isinstance(blob, str) and blob and members.get("TaskMessage") is None:
        return Wrapper(blob)
    return _read_envelope(members)


def decode_envelope(text: str) -> Envelope:
    """Read the text of a message that is not a reference to a blob.

    Raises:
        DecodeError: it is no such message.
    """
    message = decode_message(text)
    if isinstance(message, Wrapper):
        raise DecodeError(f"the message refers to the blob {message.blob_name!r} once more")
    return message


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise DecodeError("the message is neither JSON nor Base64 of UTF-8 text") from error


def _read_envelope(members: Json) -> Envelope:
    task_message = members.get("TaskMessage")
    if not isinstance(task_message, dict):
        raise DecodeError("the message has no TaskMessage")
    try:
        sender = members.get("Sender")
        episode = members.get("Episode")
        trace = members.get("SerializableTraceContext")
        return Envelope(
            activity_id=str(members.get("ActivityId") or EMPTY_GUID),
            task_message=_read_task_message(cast(Json, task_message)),
            compressed_blob_name=cast("str | None", members.get("CompressedBlobName")),
            sequence_number=int(cast(int, members.get("SequenceNumber") or 0)),
            episode=None if episode is None else int(cast(int, episode)),
            sender=None if sender is None else read_instance(sender),
            trace_context=None if trace is None else str(trace),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DecodeError(f"the message is not of the expected shape: {error!r}") from error


def _read_task_message(members: Json) -> TaskMessage:
    event = members.get("Event")
    if not isinstance(event, dict):
        raise DecodeError("the message has no Event")
    context = members.get("OrchestrationExecutionContext")
    tags: object = None
    if isinstance(context, dict):
        tags = from_json(
            cast(Json, context).get("OrchestrationTags") or {}, Kind.TAGS, "OrchestrationTags"
        )
    return TaskMessage(
        event=read_event(cast(Json, event)),
        target=_read_target(members["OrchestrationInstance"]),
        context_tags=cast("dict[str, str] | None", tags),
    )


def _read_target(value: object) -> OrchestrationInstance:
    wanted = cast(Json, value).get("InstanceId")
    if not isinstance(wanted, str) or not wanted:
        raise DecodeError(f"the message is for the instance {wanted!r}, which is no id")
    return read_instance(value)


def read_event(members: Json) -> HistoryEvent:
    """An event from its JSON with `$type`.

    Raises:
        DecodeError: unknown type, or a member of the wrong shape.
    """
    type_name = str(members.get("$type") or "").partition(",")[0]
    spec = BY_TYPE_NAME.get(type_name)
    if spec is None:
        raise DecodeError(f"the event's $type {type_name!r} is unknown")
    return build_event(spec, members, spec.name)


def build_event(spec: EventSpec, members: Json, where: str) -> HistoryEvent:
    """An event from the values of its members, which may be JSON or already typed."""
    arguments: dict[str, Any] = attributes(members, (*spec.before, *spec.members), where)
    arguments["event_id"] = int(cast(int, members.get("EventId", -1)))
    arguments["is_played"] = bool(members.get("IsPlayed", False))
    arguments["timestamp"] = from_json(members.get("Timestamp"), Kind.TIME, f"{where}, Timestamp,")
    if arguments["timestamp"] is None:
        raise DecodeError(f"{where} has no timestamp")
    return spec.cls(**arguments)
