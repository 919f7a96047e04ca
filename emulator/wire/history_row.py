"""An event as a row of the History table.

Objects become JSON text without `$type`; a null object is the text `null`, any other null an absent column. Source:
DurableTask.AzureStorage, TableEntityConverter; reference azure-storage-provider.md 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from emulator.core.events import HistoryEvent
from emulator.core.ids import ExecutionId
from emulator.core.instant import Instant
from emulator.core.json_text import compact, loads
from emulator.core.status import RuntimeStatus
from emulator.errors import DecodeError
from emulator.wire.event_table import BY_CLASS, BY_NAME, SPECS, Kind, Member
from emulator.wire.queue_message import build_event
from emulator.wire.values import to_json

Value = str | bool | int | float | Instant | bytes
Columns = Mapping[str, Value]

_OBJECTS: Final = frozenset({Kind.TAGS, Kind.INSTANCE, Kind.PARENT, Kind.TRACE, Kind.FAILURE})
_NULL: Final = "null"


def encode(event: HistoryEvent, execution: ExecutionId) -> dict[str, Value]:
    """Columns of a row, keys apart."""
    spec = BY_CLASS[type(event)]
    columns: dict[str, Value] = {}
    for name, attribute, kind in _CELLS[type(event)]:
        value = getattr(event, attribute)
        if kind is not None:
            columns[name] = _cell(value, kind)
        elif value is not None:
            columns[name] = value
    columns["EventId"] = event.event_id
    columns["IsPlayed"] = event.is_played
    columns["_Timestamp"] = event.timestamp
    columns["EventType"] = spec.name
    columns["ExecutionId"] = execution
    return columns


def _cell(value: object, kind: Kind) -> Value:
    if kind is Kind.STATUS:
        return str(cast(RuntimeStatus, value))
    return _NULL if value is None else compact(to_json(value, kind, typed=False))


_CELLS: Final = {
    spec.cls: tuple(
        (
            member.name,
            member.attribute,
            member.kind if member.kind in _OBJECTS or member.kind is Kind.STATUS else None,
        )
        for member in (*spec.members, *spec.before)
    )
    for spec in SPECS
}
"""Of each class of events: the columns in their order, where their values come from, and how they are written if not
as they are."""


def decode(columns: Columns, where: str) -> HistoryEvent:
    """Read a row whose large columns have been put back; unknown columns are ignored.

    Raises:
        DecodeError: the event type is unknown, or a column cannot be read.
    """
    name = columns.get("EventType")
    spec = BY_NAME.get(name) if isinstance(name, str) else None
    if spec is None:
        raise DecodeError(f"the history row of instance {where} has the unknown EventType {name!r}")
    members: dict[str, object] = {
        member.name: _member(columns, member, where) for member in (*spec.before, *spec.members)
    }
    members["EventId"] = columns.get("EventId", -1)
    members["IsPlayed"] = columns.get("IsPlayed", False)
    members["Timestamp"] = columns.get("_Timestamp")
    return build_event(spec, members, f"the history row of instance {where}")


def _member(columns: Columns, member: Member, where: str) -> object:
    value = columns.get(member.name)
    if member.kind not in _OBJECTS or value is None:
        return value
    try:
        return loads(str(value))
    except ValueError as error:
        raise DecodeError(
            f"the history row of instance {where} has no JSON in its column {member.name}"
        ) from error


HANDLED: Final = "HandledEvents"
"""A column of our own on the sentinel, which the real provider neither writes nor reads: what earlier executions have
received, so that a message that comes again after a continue-as-new is known. There only if there is any."""


def sentinel_columns(
    execution: ExecutionId, completed_at: Instant | None, handled: Sequence[str] = ()
) -> dict[str, Value]:
    """Columns of the row that guards an instance. No completion time: more of the checkpoint follows."""
    columns: dict[str, Value] = {
        "ExecutionId": execution,
        "IsCheckpointComplete": completed_at is not None,
    }
    if completed_at is not None:
        columns["CheckpointCompletedTimestamp"] = completed_at
    if handled:
        columns[HANDLED] = ",".join(handled)
    return columns


def handled(sentinel: Columns) -> tuple[str, ...]:
    """What the sentinel remembers, oldest first."""
    text = sentinel.get(HANDLED)
    return tuple(text.split(",")) if isinstance(text, str) and text else ()
