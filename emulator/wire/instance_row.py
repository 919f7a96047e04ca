"""Rows of the Instances table: reading them, and the columns of each kind of write.

Source: DurableTask.AzureStorage, AzureTableTrackingStore; reference azure-storage-provider.md 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from emulator.core.events import (
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instance import InstanceRecord
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.json_text import compact, loads
from emulator.core.status import RuntimeStatus
from emulator.errors import DecodeError
from emulator.wire.history_row import Columns, Value

NULL: Final = "null"
"""What CustomStatus and Tags hold when there is nothing."""

_ORDER: Final = (
    "CustomStatus",
    "ExecutionId",
    "LastUpdatedTime",
    "TaskHubName",
    "Name",
    "Version",
    "CreatedTime",
    "RuntimeStatus",
    "Tags",
    "Generation",
    "ScheduledStartTime",
    "Input",
    "CompletedTime",
    "Output",
)


_SHOWN: Final = (
    ExecutionStarted,
    ExecutionCompleted,
    ExecutionTerminated,
    ExecutionSuspended,
    ExecutionResumed,
)
"""Events that change the row."""


def decode(instance: InstanceId, columns: Columns, *, etag: str | None = None) -> InstanceRecord:
    """Read a row. Columns that old writers left out are None; an unknown state is an error.

    Raises:
        DecodeError: the state is unknown or a time is missing.
    """
    status = columns.get("RuntimeStatus")
    try:
        runtime_status = RuntimeStatus(str(status))
    except ValueError as error:
        raise DecodeError(
            f"the Instances row of {instance!r} has the unknown RuntimeStatus {status!r}"
        ) from error
    created = _time(columns, "CreatedTime") or MIN_INSTANT
    custom_status = _text(columns, "CustomStatus")
    execution = _text(columns, "ExecutionId")
    generation = columns.get("Generation")
    return InstanceRecord(
        instance_id=instance,
        name=_text(columns, "Name") or "",
        version=_text(columns, "Version"),
        execution_id=ExecutionId(execution) if execution is not None else None,
        status=runtime_status,
        created_at=created,
        last_updated_at=_time(columns, "LastUpdatedTime") or created,
        completed_at=_time(columns, "CompletedTime"),
        scheduled_start=_time(columns, "ScheduledStartTime"),
        input=_text(columns, "Input"),
        output=_text(columns, "Output"),
        custom_status=None if custom_status == NULL else custom_status,
        generation=generation if isinstance(generation, int) else None,
        tags=_tags(columns.get("Tags")),
        task_hub=_text(columns, "TaskHubName"),
        etag=etag,
    )


def created_columns(start: ExecutionStarted, *, task_hub: str, now: Instant) -> dict[str, Value]:
    """The row that a client writes for a new instance."""
    columns: dict[str, Value | None] = {
        "Input": start.input,
        "CreatedTime": start.timestamp,
        "Name": start.name,
        "Version": start.version,
        "RuntimeStatus": str(RuntimeStatus.PENDING),
        "LastUpdatedTime": now,
        "TaskHubName": task_hub,
        "ScheduledStartTime": start.scheduled_start,
        "ExecutionId": start.instance.execution_id,
        "Generation": start.generation,
        "Tags": _tags_text(start.tags),
    }
    return {key: value for key, value in columns.items() if value is not None}


def checkpoint_columns(
    events: Sequence[HistoryEvent],
    *,
    execution: ExecutionId,
    custom_status: str | None,
    task_hub: str,
    now: Instant,
) -> dict[str, Value]:
    """What a checkpoint merges into the row: the projection of its new events, later ones over earlier ones."""
    columns: dict[str, Value | None] = {
        "CustomStatus": custom_status if custom_status is not None else NULL,
        "ExecutionId": execution,
        "LastUpdatedTime": events[-1].timestamp if events else now,
        "TaskHubName": task_hub,
    }
    for event in events:
        columns.update(_projection(event, now))
    return {key: value for key in _ORDER if (value := columns.get(key)) is not None}


def shows(events: Sequence[HistoryEvent]) -> bool:
    """Whether any of the events changes the row, beside its time."""
    return any(isinstance(event, _SHOWN) for event in events)


def _projection(event: HistoryEvent, now: Instant) -> Mapping[str, Value | None]:
    match event:
        case ExecutionStarted():
            return {
                "Name": event.name,
                "Version": event.version,
                "CreatedTime": event.timestamp,
                "RuntimeStatus": str(RuntimeStatus.RUNNING),
                "Tags": _tags_text(event.tags),
                "Generation": event.generation,
                "ScheduledStartTime": event.scheduled_start,
                "Input": event.input,
            }
        case ExecutionCompleted():
            failure = event.failure_details
            output = f"{failure.error_type}: {failure.error_message}" if failure else event.result
            return {"RuntimeStatus": str(event.status), "CompletedTime": now, "Output": output}
        case ExecutionTerminated():
            return {
                "RuntimeStatus": str(RuntimeStatus.TERMINATED),
                "CompletedTime": now,
                "Output": event.reason,
            }
        case ExecutionSuspended():
            return {"RuntimeStatus": str(RuntimeStatus.SUSPENDED), "Output": event.reason}
        case ExecutionResumed():
            return {"RuntimeStatus": str(RuntimeStatus.RUNNING), "Output": event.reason}
        case _:
            return {}


def large_columns(
    events: Sequence[HistoryEvent], urls: Mapping[tuple[int, str], str]
) -> dict[str, Value]:
    """Input and Output of a checkpoint whose values lie in blobs: their addresses.

    Args:
        urls: address by (place of the event, history column).
    """
    columns: dict[str, Value] = {}
    for place, event in enumerate(events):
        match event:
            case ExecutionStarted() if (place, "Input") in urls:
                columns["Input"] = urls[place, "Input"]
            case ExecutionCompleted() if (place, "Result") in urls and not event.failure_details:
                columns["Output"] = urls[place, "Result"]
            case ExecutionTerminated() if (place, "Input") in urls:
                columns["Output"] = urls[place, "Input"]
            case ExecutionSuspended() | ExecutionResumed() if (place, "Reason") in urls:
                columns["Output"] = urls[place, "Reason"]
            case _:
                pass
    return columns


def touched_columns(now: Instant) -> dict[str, Value]:
    """What is merged for episodes that changed nothing but the time."""
    return {"LastUpdatedTime": now}


def terminated_columns(
    event: ExecutionTerminated, now: Instant, *, failure: str | None = None
) -> dict[str, Value]:
    """What is merged when an instance is terminated before it ever ran.

    Args:
        failure: the output of one that counts as failed instead.
    """
    status = RuntimeStatus.TERMINATED if failure is None else RuntimeStatus.FAILED
    columns: dict[str, Value] = {
        "RuntimeStatus": str(status),
        "LastUpdatedTime": event.timestamp,
        "CompletedTime": now,
    }
    output = failure if failure is not None else event.reason
    if output is not None:
        columns["Output"] = output
    return columns


def rewound_columns(now: Instant) -> dict[str, Value]:
    """What is merged when an instance is rewound."""
    return {"RuntimeStatus": str(RuntimeStatus.PENDING), "LastUpdatedTime": now}


def _tags_text(tags: Mapping[str, str] | None) -> str:
    return NULL if tags is None else compact(dict(tags))


def _tags(value: Value | None) -> Mapping[str, str] | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        tags = loads(value)
    except ValueError:
        return None
    if not isinstance(tags, dict):
        return None
    return {k: str(v) for k, v in cast("dict[str, object]", tags).items()}


def _text(columns: Columns, name: str) -> str | None:
    value = columns.get(name)
    return value if isinstance(value, str) else None


def _time(columns: Columns, name: str) -> Instant | None:
    value = columns.get(name)
    return value if isinstance(value, Instant) else None
