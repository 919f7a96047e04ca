"""What a replay decided: things to be done once, each under its task id."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core.ids import InstanceId
from emulator.core.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleActivity:
    """Run an activity."""

    task_id: int
    name: str
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Fire at an instant."""

    task_id: int
    fire_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChild:
    """Start a sub-orchestration."""

    task_id: int
    name: str
    version: str | None
    instance_id: InstanceId
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEvent:
    """Send an event to an instance, an entity included; `not_before` delays its delivery."""

    task_id: int
    instance_id: InstanceId
    name: str
    input: str | None
    not_before: Instant | None = None


Decision = ScheduleActivity | SetTimer | StartChild | SendEvent
