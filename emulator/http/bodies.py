"""JSON bodies of the management API. Pure. Source: reference http-api.md 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, timedelta, tzinfo
from typing import Final

from emulator.core.events import (
    ExecutionCompleted,
    HistoryEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from emulator.core.instance import InstanceRecord
from emulator.core.instant import TICKS_PER_SECOND, Instant
from emulator.core.json_text import compact
from emulator.core.lenient_json import LenientJsonError, Parsed, parse_first
from emulator.core.status import RuntimeStatus
from emulator.wire.event_json import spec_of, to_members

JSON_TYPE: Final = "application/json; charset=utf-8"
_REMOVED: Final = {
    "ExecutionStarted": ("Name", "OrchestrationInstance", "ParentInstance", "Version", "Tags"),
    "TaskScheduled": ("Version",),
    "TaskCompleted": ("TaskScheduledId",),
    "TaskFailed": ("TaskScheduledId",),
    "SubOrchestrationInstanceCreated": ("Version",),
    "SubOrchestrationInstanceCompleted": ("TaskScheduledId",),
    "SubOrchestrationInstanceFailed": ("TaskScheduledId",),
    "TimerFired": ("TimerId",),
}
"""Members that each event loses, beside EventId and IsPlayed."""


def stored_value(text: str | None) -> object:
    """Stored text as the API shows it: the first JSON value in it, or the text itself.

    The real reader is lenient and stops after the first value, so a reason `42 is the answer` is the number 42. Where
    the real writer fails or writes what is no JSON (a comment, `undefined`), the text is shown.
    """
    return _read_stored(text).value


def _read_stored(text: str | None) -> Parsed:
    if text is None:
        return Parsed(value=None)
    if not text.strip():
        return Parsed(value="")
    try:
        parsed = parse_first(text)
    except LenientJsonError:
        return Parsed(value=text)
    return parsed if parsed.is_writable else replace(parsed, value=text)


def first_value(text: str) -> str:
    """The first JSON value of a text, written anew.

    Raises:
        LenientJsonError: it does not begin with one.
    """
    return compact(parse_first(text).value)


def second_text(instant: Instant) -> str:
    """A time in whole seconds, cut."""
    return Instant(instant // TICKS_PER_SECOND * TICKS_PER_SECOND).text()


def zoned_text(instant: Instant, zone: tzinfo) -> str:
    """A time with the offset that a zone has at that time."""
    local = instant.to_datetime().astimezone(zone)
    offset = local.utcoffset() or timedelta()
    shown = instant.plus(offset).text().removesuffix("Z")
    minutes = offset // timedelta(minutes=1)
    return f"{shown}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def status_object(
    record: InstanceRecord,
    *,
    show_input: bool,
    on_unwritable: Callable[[str], None] | None = None,
    history: list[object] | None = None,
) -> dict[str, object]:
    """The status of an instance, members in their fixed order.

    Args:
        on_unwritable: told of a member whose text the real writer fails on, or writes as what is no JSON.
    """

    def shown(member: str, text: str | None) -> object:
        stored = _read_stored(text)
        if not stored.is_writable and on_unwritable is not None:
            on_unwritable(member)
        return stored.value

    status: dict[str, object] = {
        "name": record.name,
        "instanceId": record.instance_id,
        "runtimeStatus": str(record.status),
        "input": shown("input", record.input if show_input else None),
        "customStatus": shown("customStatus", record.custom_status),
        "output": shown("output", record.output),
        "createdTime": second_text(record.created_at),
        "lastUpdatedTime": second_text(record.last_updated_at),
    }
    if history is not None:
        status["historyEvents"] = history
    return status


# --- history ------------------------------------------------------------------------------------------------------


def history_objects(
    events: Sequence[HistoryEvent], *, show_input: bool, show_output: bool, zone: tzinfo = UTC
) -> list[object]:
    """History as the status shows it: episodes left out, scheduled events folded into their completion.

    Args:
        zone: the host's time zone, in which a folded event tells when its work was scheduled.
    """
    scheduled = {
        event.event_id: event
        for event in events
        if isinstance(event, TaskScheduled | SubOrchestrationCreated)
    }
    answered = {
        event.task_scheduled_id
        for event in events
        if isinstance(
            event, TaskCompleted | TaskFailed | SubOrchestrationCompleted | SubOrchestrationFailed
        )
    }
    shown: list[object] = []
    for event in events:
        if isinstance(event, OrchestratorStarted | OrchestratorCompleted):
            continue
        if event.event_id in answered and scheduled.get(event.event_id) is event:
            continue
        shown.append(
            _history_object(
                event, scheduled, show_input=show_input, show_output=show_output, zone=zone
            )
        )
    return shown


def _history_object(
    event: HistoryEvent,
    scheduled: Mapping[int, TaskScheduled | SubOrchestrationCreated],
    *,
    show_input: bool,
    show_output: bool,
    zone: tzinfo,
) -> dict[str, object]:
    name = spec_of(event).name
    members = to_members(event)
    members["EventType"] = name
    for removed in ("EventId", "IsPlayed", *_REMOVED.get(name, ())):
        members.pop(removed, None)
    match event:
        case TaskCompleted() | SubOrchestrationCompleted() | ExecutionCompleted():
            if show_output:
                members["Result"] = stored_value(event.result)
            else:
                del members["Result"]
        case _:
            pass
    if isinstance(event, ExecutionCompleted):
        members["OrchestrationStatus"] = str(event.status)
    if not show_input:
        members.pop("Input", None)
    members.update(_added(event, scheduled, show_input=show_input, zone=zone))
    return members


def _added(
    event: HistoryEvent,
    scheduled: Mapping[int, TaskScheduled | SubOrchestrationCreated],
    *,
    show_input: bool,
    zone: tzinfo,
) -> dict[str, object]:
    """What an event gains from the one that it answers."""
    if spec_of(event).name == "ExecutionStarted":
        return {"FunctionName": getattr(event, "name", None)}
    task_id: object = getattr(event, "task_scheduled_id", None)
    start = scheduled.get(task_id) if isinstance(task_id, int) else None
    if start is None:
        return {}
    added: dict[str, object] = {
        "ScheduledTime": zoned_text(start.timestamp, zone),
        "FunctionName": start.name,
    }
    if show_input:
        added["Input"] = start.input
    if start.tags:
        added["Tags"] = dict(start.tags)
    return added


# --- errors and small bodies --------------------------------------------------------------------------------------


def message_body(text: str) -> str:
    """`{"Message": ...}`."""
    return compact({"Message": text})


def exception_body(
    message: str, exception_message: str, exception_type: str, detail: str = ""
) -> str:
    """The body of an error that carries an exception.

    Args:
        detail: what is known beyond the real product's text; it takes the place of the stack.
    """
    return compact(
        {
            "Message": message,
            "ExceptionMessage": exception_message,
            "ExceptionType": exception_type,
            "StackTrace": detail or "   at emulator.http.management",
        }
    )


def entity_object(record: InstanceRecord, state: object) -> dict[str, object]:
    """One element of an entity list."""
    name, _, key = record.instance_id[1:].partition("@")
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": record.created_at.text(),
        "state": state,
    }


LIVE_CODES: Final[Mapping[RuntimeStatus, int]] = {
    RuntimeStatus.PENDING: 202,
    RuntimeStatus.RUNNING: 202,
    RuntimeStatus.CONTINUED_AS_NEW: 202,
    RuntimeStatus.SUSPENDED: 202,
    RuntimeStatus.COMPLETED: 200,
    RuntimeStatus.FAILED: 200,
    RuntimeStatus.TERMINATED: 200,
    RuntimeStatus.CANCELED: 200,
}
"""HTTP status of a status query."""
