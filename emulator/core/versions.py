"""Which orchestration versions a host runs. Pure.

Source: DurableTask.Core, TaskOrchestrationVersioningUtils.CompareVersions and TaskOrchestrationDispatcher.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from emulator.core.events import FailureDetails

MISMATCH: Final = FailureDetails(
    error_type="VersionMismatch",
    error_message="Orchestration version did not comply with Worker Versioning",
    stack_trace=None,
    inner_failure=None,
    is_non_retriable=True,
)
"""What an instance fails with whose version is refused."""

MISMATCH_TEXT: Final = f"{MISMATCH.error_type}: {MISMATCH.error_message}"

_NUMBERED: Final = re.compile(r"\s*\d+\s*(?:\.\s*\d+\s*){1,3}")
"""What System.Version takes: two to four numbers."""


def compare(version: str | None, other: str | None) -> int:
    """Negative, zero or positive, as `version` is older than, equal to or newer than `other`; none is the oldest."""
    mine, theirs = (version or "").strip(), (other or "").strip()
    if not mine or not theirs:
        return bool(mine) - bool(theirs)
    if _NUMBERED.fullmatch(mine) and _NUMBERED.fullmatch(theirs):
        return _order(_numbers(mine), _numbers(theirs))
    return _order(mine.upper(), theirs.upper())


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _order(mine: tuple[int, ...] | str, theirs: tuple[int, ...] | str) -> int:
    return (mine > theirs) - (mine < theirs)  # type: ignore[operator]


_RULES: Final[Mapping[str, Callable[[str | None, str | None], bool]]] = {
    "None": lambda version, own: True,
    "Strict": lambda version, own: compare(version, own) == 0,
    "CurrentOrOlder": lambda version, own: compare(version, own) <= 0,
}


def is_accepted(version: str | None, own: str | None, *, match: str) -> bool:
    """Whether a host runs an orchestration of a version.

    Args:
        own: the host's defaultVersion.
        match: versionMatchStrategy of host.json.
    """
    return _RULES[match](version, own)
