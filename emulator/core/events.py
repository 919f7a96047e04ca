"""What happened to an execution: one frozen value per row of its history.

Field names follow the stored columns (`Name` -> `name`). `event_id` is the task id of things that the orchestrator
started and of its completion, and -1 for everything that reached it from outside. `is_played` is the stored flag:
true on received events of episodes that are over. Instances of these classes are never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.core.status import RuntimeStatus

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationInstance:
    """An instance and, if known, the execution that is meant (None: whichever is current)."""

    instance_id: InstanceId
    execution_id: ExecutionId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentInstance:
    """Who waits for a sub-orchestration, and under which task id."""

    name: str
    instance: OrchestrationInstance
    task_schedule_id: int
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """W3C trace context as stored (DistributedTraceContext)."""

    trace_parent: str | None
    trace_state: str | None
    id: str | None = None
    span_id: str | None = None
    activity_start_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDetails:
    """Structured failure of the other protocol; only carried through here."""

    error_type: str | None
    error_message: str | None
    stack_trace: str | None
    inner_failure: FailureDetails | None
    is_non_retriable: bool
    properties: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStarted:
    """An execution begins."""

    timestamp: Instant
    instance: OrchestrationInstance
    parent: ParentInstance | None = None
    name: str
    version: str | None
    input: str | None
    tags: Tags | None = None
    correlation: str | None = None
    parent_trace_context: TraceContext | None = None
    scheduled_start: Instant | None = None
    generation: int | None = None
    generate_new_trace: bool = False
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCompleted:
    """The execution ended: Completed, Failed or Terminated."""

    timestamp: Instant
    status: RuntimeStatus
    result: str | None
    failure_details: FailureDetails | None = None
    event_id: int
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionTerminated:
    """Someone asked for the end; `reason` is raw text."""

    timestamp: Instant
    reason: str | None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSuspended:
    """Someone asked for a pause."""

    timestamp: Instant
    reason: str | None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResumed:
    """The pause is over."""

    timestamp: Instant
    reason: str | None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRewound:
    """Rewind of newer frameworks; never produced here, only carried through."""

    timestamp: Instant
    reason: str | None
    parent_execution_id: str | None
    instance_id: str | None
    parent_trace_context: TraceContext | None = None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScheduled:
    """An activity was started. `input` is stored only if the settings say so."""

    timestamp: Instant
    name: str
    version: str | None
    input: str | None
    parent_trace_context: TraceContext | None = None
    tags: Tags | None = None
    event_id: int
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted:
    """An activity answered with JSON text, or None for a null result."""

    timestamp: Instant
    task_scheduled_id: int
    result: str | None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """An activity failed."""

    timestamp: Instant
    task_scheduled_id: int
    reason: str | None
    details: str | None
    failure_details: FailureDetails | None = None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationCreated:
    """A child was started (row SubOrchestrationInstanceCreated)."""

    timestamp: Instant
    name: str
    version: str | None
    instance_id: InstanceId
    input: str | None
    client_span_id: str | None = None
    tags: Tags | None = None
    event_id: int
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationCompleted:
    """A child completed."""

    timestamp: Instant
    task_scheduled_id: int
    result: str | None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationFailed:
    """A child failed or was terminated."""

    timestamp: Instant
    task_scheduled_id: int
    reason: str | None
    details: str | None
    failure_details: FailureDetails | None = None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerCreated:
    """A durable timer was set."""

    timestamp: Instant
    fire_at: Instant
    event_id: int
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """A durable timer is due. Its timestamp is that of its creation."""

    timestamp: Instant
    timer_id: int
    fire_at: Instant
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorStarted:
    """An episode begins; its timestamp is the orchestrator's current time."""

    timestamp: Instant
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorCompleted:
    """An episode is over."""

    timestamp: Instant
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSent:
    """The orchestrator sent an event, an entity call or an entity signal."""

    timestamp: Instant
    instance_id: InstanceId
    name: str
    input: str | None
    event_id: int
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRaised:
    """An external event, or the answer of an entity, arrived."""

    timestamp: Instant
    name: str
    input: str | None
    parent_trace_context: TraceContext | None = None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericEvent:
    """A row without effect: the wake-up of a rewind, or what a rewind took out."""

    timestamp: Instant
    data: str | None
    event_id: int = -1
    is_played: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryState:
    """Never produced by this provider; carried through. `state` is JSON text."""

    timestamp: Instant
    state: str | None
    event_id: int = -1
    is_played: bool = False


HistoryEvent = (
    ExecutionStarted
    | ExecutionCompleted
    | ExecutionTerminated
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionRewound
    | TaskScheduled
    | TaskCompleted
    | TaskFailed
    | SubOrchestrationCreated
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | TimerCreated
    | TimerFired
    | OrchestratorStarted
    | OrchestratorCompleted
    | EventSent
    | EventRaised
    | GenericEvent
    | HistoryState
)
