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
