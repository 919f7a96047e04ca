"""The states of an instance and the sets that rules are written in."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RuntimeStatus(StrEnum):
    """State of an instance, spelled as in the Instances table and on HTTP."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    CONTINUED_AS_NEW = "ContinuedAsNew"
    FAILED = "Failed"
    CANCELED = "Canceled"
    TERMINATED = "Terminated"
    PENDING = "Pending"
    SUSPENDED = "Suspended"


STATUS_NUMBERS: Final = {status: number for number, status in enumerate(RuntimeStatus)}
"""The number of each state in queue messages and contexts (DurableTask.Core OrchestrationStatus)."""

STATUS_BY_NUMBER: Final = {number: status for status, number in STATUS_NUMBERS.items()}

TERMINAL: Final = frozenset(
    {
        RuntimeStatus.COMPLETED,
        RuntimeStatus.FAILED,
        RuntimeStatus.CANCELED,
        RuntimeStatus.TERMINATED,
    }
)
"""States that an instance does not leave unless it is started again or rewound."""

LIVE: Final = frozenset(RuntimeStatus) - TERMINAL
