"""What the engine asks of user functions, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core.ids import InstanceId
from emulator.errors import AppError


class AbandonedError(AppError):
    """The function could not be run to an answer (the host is stopping); its message goes back to the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCall:
    """One activity to run. `input` is the message's text: a JSON array of one element, or None."""

    name: str
    instance_id: InstanceId
    task_id: int
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCompleted:
    """The activity answered: JSON text, or None for a null."""

    result: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFailed:
    """The activity raised; the texts of TaskFailed (reference out-of-process-protocol.md, 4.3)."""

    reason: str
    details: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a batch. `input` is the request's text; `id` is that of the request."""

    name: str | None
    input: str | None
    is_signal: bool
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityBatch:
    """Operations that an entity's function runs in one call. `state` is JSON text, None if there never was one."""

    name: str
    key: str
    exists: bool
    state: str | None
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationResult:
    """JSON text of what an operation returned, or of the error's text."""

    is_error: bool
    result: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySignal:
    """An operation that an entity sends to another."""

    name: str
    key: str
    operation: str
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityResult:
    """What became of a batch: one result per operation, in their order."""

    exists: bool
    state: str | None
    results: tuple[OperationResult, ...]
    signals: tuple[EntitySignal, ...] = ()


def every_operation_fails(batch: EntityBatch, text: str) -> EntityResult:
    """The same error for every operation; the state stays what it was."""
    failed = OperationResult(is_error=True, result=text)
    return EntityResult(
        exists=batch.exists, state=batch.state, results=(failed,) * len(batch.operations)
    )


class BatchFailedError(AppError):
    """A batch failed as a whole; nothing of it counts, and it is given again."""
