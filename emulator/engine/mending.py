"""Brings an Instances row back in line with its history.

A process that dies between the two leaves the row behind. The messages that caused the episode come again, are
found to be known, and then the row is compared. The real provider does this for finished instances only.
"""

from __future__ import annotations

from emulator.core.episode import Execution
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.core.state import RuntimeState
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger
from emulator.wire import instance_row

_log = get_logger(__name__)


async def mend(
    hub: TaskHub, instance: InstanceId, state: RuntimeState, execution: Execution, now: Instant
) -> bool:
    """Compare and, if they differ, write the row anew from the history; whether it was written."""
    row = await hub.instances.get(instance, payloads=False)
    if row is not None:
        other_execution = row.execution_id != state.execution_id
        finished_differs = state.is_terminal and row.status is not state.status
        never_projected = not state.is_terminal and row.status.value == "Pending"
        if (
            state.started is not None
            and other_execution
            and row.created_at > state.started.timestamp
        ):
            return False
        if not (other_execution or finished_differs or never_projected):
            return False
    columns = instance_row.checkpoint_columns(
        execution.state.events,
        execution=state.execution_id or ExecutionId(""),
        custom_status=row.custom_status if row else None,
        task_hub=hub.name,
        now=now,
    )
    await hub.instances.project(instance, columns)
    _log.info(
        "the status of instance %r was behind its history and has been mended",
        instance,
        extra=fields("instance_mended", instance_id=instance),
    )
    return True
