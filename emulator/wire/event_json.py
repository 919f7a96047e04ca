"""Events as the JSON objects in an orchestrator's context. Source: reference out-of-process-protocol.md 1.3."""

from __future__ import annotations

from emulator.core.events import HistoryEvent
from emulator.wire.event_table import BY_CLASS, EventSpec, Kind, Member
from emulator.wire.values import to_json

_PLAIN = (Kind.TEXT, Kind.NUMBER, Kind.FLAG)


def to_members(event: HistoryEvent) -> dict[str, object]:
    """All members in their order on the wire; nulls included."""
    spec = BY_CLASS[type(event)]
    members: dict[str, object] = {}
    for member in spec.before:
        members[member.name] = _value(event, member)
    members["EventType"] = spec.number
    for member in spec.members:
        members[member.name] = _value(event, member)
    members["EventId"] = event.event_id
    members["IsPlayed"] = event.is_played
    members["Timestamp"] = event.timestamp.text()
    return members


def spec_of(event: HistoryEvent) -> EventSpec:
    """The table entry of an event."""
    return BY_CLASS[type(event)]


def _value(event: HistoryEvent, member: Member) -> object:
    value: object = getattr(event, member.attribute)
    return value if member.kind in _PLAIN else to_json(value, member.kind, typed=False)
