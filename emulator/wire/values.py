"""Nested values of events: to plain JSON objects and back. Source: reference azure-storage-provider.md 2.5."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from emulator.core.events import FailureDetails, OrchestrationInstance, ParentInstance, TraceContext
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.core.json_text import compact, loads
from emulator.core.status import STATUS_BY_NUMBER, STATUS_NUMBERS, RuntimeStatus
from emulator.errors import DecodeError
from emulator.wire.event_table import Kind, Member

TYPE: Final = "$type"
DICTIONARY_TYPE: Final = (
    "System.Collections.Generic.Dictionary`2[[System.String, System.Private.CoreLib],"
    "[System.String, System.Private.CoreLib]]"
)
Json = Mapping[str, object]


def to_json(value: object, kind: Kind, *, typed: bool) -> object:
    """A member's value as JSON; `typed` puts `$type` first in every object."""
    writer = _WRITERS.get(kind)
    return value if value is None or writer is None else writer(value, typed)


def instance_json(value: OrchestrationInstance, *, typed: bool) -> Json:
    """An instance and its execution."""
    members = {"InstanceId": value.instance_id, "ExecutionId": value.execution_id}
    return _object("DurableTask.Core.OrchestrationInstance", members, typed=typed)


def _object(type_name: str, members: Mapping[str, object], *, typed: bool) -> Json:
    return {TYPE: type_name, **members} if typed else members


def _parent_json(value: ParentInstance, *, typed: bool) -> Json:
    members = {
        "Name": value.name,
        "OrchestrationInstance": instance_json(value.instance, typed=typed),
        "TaskScheduleId": value.task_schedule_id,
        "Version": value.version,
    }
    return _object("DurableTask.Core.ParentInstance", members, typed=typed)


def _trace_json(value: TraceContext, *, typed: bool) -> Json:
    members = {
        "TraceParent": value.trace_parent,
        "TraceState": value.trace_state,
        "Id": value.id,
        "SpanId": value.span_id,
        "ActivityStartTime": value.activity_start_time,
    }
    return _object("DurableTask.Core.Tracing.DistributedTraceContext", members, typed=typed)


def _failure_json(value: FailureDetails, *, typed: bool) -> Json:
    inner = value.inner_failure
    members = {
        "ErrorType": value.error_type,
        "ErrorMessage": value.error_message,
        "StackTrace": value.stack_trace,
        "InnerFailure": _failure_json(inner, typed=typed) if inner else None,
        "IsNonRetriable": value.is_non_retriable,
        "Properties": dict(value.properties) if value.properties is not None else None,
    }
    return _object("DurableTask.Core.FailureDetails", members, typed=typed)


# --- reading ------------------------------------------------------------------------------------------------------


def from_json(value: object, kind: Kind, where: str) -> object:
    """The value of a member, from JSON with or without `$type`.

    Raises:
        DecodeError: it is of another shape; `where` says whose member it is.
    """
    if value is None:
        return None
    try:
        return _from_json(value, kind, where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DecodeError(f"{where} has an unreadable value {value!r}") from error


def _from_json(value: object, kind: Kind, where: str) -> object:
    reader = _READERS.get(kind)
    if reader is None:
        raise DecodeError(f"{where} is of a kind that is not read")
    return reader(value)


def read_status(value: object) -> RuntimeStatus:
    """A state by its number (messages) or name (rows)."""
    if isinstance(value, int):
        return STATUS_BY_NUMBER[value]
    return RuntimeStatus(str(value))


def read_instance(value: object) -> OrchestrationInstance:
    """An instance and its execution."""
    members = cast(Json, value)
    execution = members.get("ExecutionId")
    return OrchestrationInstance(
        instance_id=InstanceId(str(members["InstanceId"])),
        execution_id=None if execution is None else ExecutionId(str(execution)),
    )


def _read_parent(members: Json) -> ParentInstance:
    return ParentInstance(
        name=str(members["Name"]),
        instance=read_instance(members["OrchestrationInstance"]),
        task_schedule_id=int(cast(int, members["TaskScheduleId"])),
        version=_text(members.get("Version")),
    )


def _read_trace(members: Json) -> TraceContext:
    return TraceContext(
        trace_parent=_text(members.get("TraceParent")),
        trace_state=_text(members.get("TraceState")),
        id=_text(members.get("Id")),
        span_id=_text(members.get("SpanId")),
        activity_start_time=_text(members.get("ActivityStartTime")),
    )


def _read_failure(members: Json) -> FailureDetails:
    inner = members.get("InnerFailure")
    properties = members.get("Properties")
    return FailureDetails(
        error_type=_text(members.get("ErrorType")),
        error_message=_text(members.get("ErrorMessage")),
        stack_trace=_text(members.get("StackTrace")),
        inner_failure=_read_failure(cast(Json, inner)) if inner is not None else None,
        is_non_retriable=bool(members.get("IsNonRetriable", False)),
        properties=None if properties is None else dict(cast(Json, properties)),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def attributes(
    values: Mapping[str, object], members: tuple[Member, ...], where: str
) -> dict[str, object]:
    """Constructor arguments of an event from its members."""
    return {
        member.attribute: from_json(
            values.get(member.name), member.kind, f"{where}, {member.name},"
        )
        for member in members
    }


_WRITERS: Final[Mapping[Kind, Callable[[Any, bool], object]]] = {
    Kind.TIME: lambda value, _: value.text(),
    Kind.STATUS: lambda value, _: STATUS_NUMBERS[value],
    Kind.TAGS: lambda value, typed: _object(DICTIONARY_TYPE, dict(value), typed=typed),
    Kind.INSTANCE: lambda value, typed: instance_json(value, typed=typed),
    Kind.PARENT: lambda value, typed: _parent_json(value, typed=typed),
    Kind.TRACE: lambda value, typed: _trace_json(value, typed=typed),
    Kind.FAILURE: lambda value, typed: _failure_json(value, typed=typed),
    Kind.RAW: lambda value, _: loads(value),
}
"""How each kind is written; the kinds not named are JSON already."""

_READERS: Final[Mapping[Kind, Callable[[Any], object]]] = {
    Kind.TEXT: str,
    Kind.NUMBER: int,
    Kind.FLAG: bool,
    Kind.TIME: lambda value: value if isinstance(value, Instant) else Instant.parse(value),
    Kind.STATUS: read_status,
    Kind.TAGS: lambda value: {k: str(v) for k, v in value.items() if k != TYPE},
    Kind.INSTANCE: read_instance,
    Kind.PARENT: _read_parent,
    Kind.TRACE: _read_trace,
    Kind.FAILURE: _read_failure,
    Kind.RAW: lambda value: value if isinstance(value, str) else compact(value),
}
