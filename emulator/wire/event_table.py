"""The members of every history event: one table for messages, contexts and rows.

Each entry names the JSON member (and column), the attribute, and how it is written. The order is that of the wire:
members that are fields in .NET come before EventType, then EventType, the rest, then EventId, IsPlayed, Timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from emulator.core import events as e


class Kind(Enum):
    """How a member is written."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    TIME = auto()
    STATUS = auto()
    TAGS = auto()
    INSTANCE = auto()
    PARENT = auto()
    TRACE = auto()
    FAILURE = auto()
    RAW = auto()
    """JSON text that is passed on."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an event."""

    name: str
    attribute: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """How one class of events is written."""

    cls: type[e.HistoryEvent]
    number: int
    name: str
    """EventType in a row."""
    before: tuple[Member, ...] = ()
    members: tuple[Member, ...] = ()

    @property
    def type_name(self) -> str:
        """`$type` in a message."""
        suffix = "" if self.cls is e.GenericEvent else "Event"
        return f"DurableTask.Core.History.{self.name}{suffix}"


def _text(name: str, attribute: str) -> Member:
    return Member(name, attribute, Kind.TEXT)


_NAME: Final = _text("Name", "name")
_VERSION: Final = _text("Version", "version")
_INPUT: Final = _text("Input", "input")
_RESULT: Final = _text("Result", "result")
_REASON: Final = _text("Reason", "reason")
_DETAILS: Final = _text("Details", "details")
_TAGS: Final = Member("Tags", "tags", Kind.TAGS)
_TRACE: Final = Member("ParentTraceContext", "parent_trace_context", Kind.TRACE)
_FAILURE: Final = Member("FailureDetails", "failure_details", Kind.FAILURE)
_TASK_SCHEDULED_ID: Final = Member("TaskScheduledId", "task_scheduled_id", Kind.NUMBER)
_FIRE_AT: Final = Member("FireAt", "fire_at", Kind.TIME)
_INSTANCE_ID: Final = _text("InstanceId", "instance_id")

SPECS: Final = (
    EventSpec(
        cls=e.ExecutionStarted,
        number=0,
        name="ExecutionStarted",
        before=(Member("OrchestrationInstance", "instance", Kind.INSTANCE),),
        members=(
            Member("ParentInstance", "parent", Kind.PARENT),
            _NAME,
            _VERSION,
            _INPUT,
            _TAGS,
            _text("Correlation", "correlation"),
            _TRACE,
            Member("ScheduledStartTime", "scheduled_start", Kind.TIME),
            Member("Generation", "generation", Kind.NUMBER),
            Member("GenerateNewTrace", "generate_new_trace", Kind.FLAG),
        ),
    ),
    EventSpec(
        cls=e.ExecutionCompleted,
        number=1,
        name="ExecutionCompleted",
        members=(Member("OrchestrationStatus", "status", Kind.STATUS), _RESULT, _FAILURE),
    ),
    EventSpec(
        cls=e.ExecutionTerminated,
        number=3,
        name="ExecutionTerminated",
        members=(_text("Input", "reason"),),
    ),
    EventSpec(
        cls=e.TaskScheduled,
        number=4,
        name="TaskScheduled",
        members=(_NAME, _VERSION, _INPUT, _TRACE, _TAGS),
    ),
    EventSpec(
        cls=e.TaskCompleted, number=5, name="TaskCompleted", members=(_TASK_SCHEDULED_ID, _RESULT)
    ),
    EventSpec(
        cls=e.TaskFailed,
        number=6,
        name="TaskFailed",
        members=(_TASK_SCHEDULED_ID, _REASON, _DETAILS, _FAILURE),
    ),
    EventSpec(
        cls=e.SubOrchestrationCreated,
        number=7,
        name="SubOrchestrationInstanceCreated",
        members=(
            _NAME,
            _VERSION,
            _INSTANCE_ID,
            _INPUT,
            _text("ClientSpanId", "client_span_id"),
            _TAGS,
        ),
    ),
    EventSpec(
        cls=e.SubOrchestrationCompleted,
        number=8,
        name="SubOrchestrationInstanceCompleted",
        members=(_TASK_SCHEDULED_ID, _RESULT),
    ),
    EventSpec(
        cls=e.SubOrchestrationFailed,
        number=9,
        name="SubOrchestrationInstanceFailed",
        members=(_TASK_SCHEDULED_ID, _REASON, _DETAILS, _FAILURE),
    ),
    EventSpec(cls=e.TimerCreated, number=10, name="TimerCreated", members=(_FIRE_AT,)),
    EventSpec(
        cls=e.TimerFired,
        number=11,
        name="TimerFired",
        members=(Member("TimerId", "timer_id", Kind.NUMBER), _FIRE_AT),
    ),
    EventSpec(cls=e.OrchestratorStarted, number=12, name="OrchestratorStarted"),
    EventSpec(cls=e.OrchestratorCompleted, number=13, name="OrchestratorCompleted"),
    EventSpec(cls=e.EventSent, number=14, name="EventSent", members=(_INSTANCE_ID, _NAME, _INPUT)),
    EventSpec(cls=e.EventRaised, number=15, name="EventRaised", members=(_NAME, _INPUT, _TRACE)),
    EventSpec(cls=e.GenericEvent, number=17, name="GenericEvent", before=(_text("Data", "data"),)),
    EventSpec(
        cls=e.HistoryState,
        number=18,
        name="HistoryState",
        members=(Member("State", "state", Kind.RAW),),
    ),
    EventSpec(cls=e.ExecutionSuspended, number=19, name="ExecutionSuspended", members=(_REASON,)),
    EventSpec(cls=e.ExecutionResumed, number=20, name="ExecutionResumed", members=(_REASON,)),
    EventSpec(
        cls=e.ExecutionRewound,
        number=21,
        name="ExecutionRewound",
        members=(
            _REASON,
            _text("ParentExecutionId", "parent_execution_id"),
            _INSTANCE_ID,
            _TRACE,
        ),
    ),
)

BY_CLASS: Final = {spec.cls: spec for spec in SPECS}
BY_NAME: Final = {spec.name: spec for spec in SPECS}
BY_TYPE_NAME: Final = {spec.type_name: spec for spec in SPECS}
EVENT_NUMBERS: Final = {spec.name: spec.number for spec in SPECS}
