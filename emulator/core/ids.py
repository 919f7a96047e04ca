"""Names for the kinds of identifier that must not be mixed up."""

from __future__ import annotations

from typing import NewType

InstanceId = NewType("InstanceId", str)
"""Id of an orchestration instance or, as `@name@key`, of an entity. Any text."""

ExecutionId = NewType("ExecutionId", str)
"""One generation of an instance: GUID with dashes (client start) or 32 hex digits (child, continue-as-new)."""

TaskId = NewType("TaskId", int)
"""Number that an orchestrator's execution gives to what it starts: 0, 1, 2, ..."""
