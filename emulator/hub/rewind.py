"""Takes the failures of an execution out of its history, so that the failed tasks run again.

Rows are not deleted but turned into GenericEvent rows, so that row keys stay contiguous; failed children are
rewound first. Source: DurableTask.AzureStorage, AzureTableTrackingStore.RewindHistoryAsync; reference
azure-storage-provider.md 8.7.
"""

from __future__ import annotations

from emulator.core.events import (
    GenericEvent,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    SubOrchestrationFailed,
)
from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.core.state import RuntimeState
from emulator.core.status import RuntimeStatus
from emulator.errors import InstanceNotFoundError, TransientStorageError
from emulator.hub.task_hub import TaskHub
from emulator.storage.ports import Row, Value, Write, WriteKind
from emulator.wire import instance_row
from emulator.wire.keys import SENTINEL


async def rewind_history(
    hub: TaskHub, instance: InstanceId, reason: str | None, now: Instant
) -> list[tuple[InstanceId, HistoryEvent]]:
    """Rewind an instance and, before it, its failed children.

    Returns:
        The deepest failed instances, each with the message that wakes it; the message is sent when all is rewound.

    Raises:
        InstanceNotFoundError: it has no history.
        TransientStorageError: a child has told its failure but not stored it yet; nothing was changed.
    """
    await _check_children(hub, instance)
    return await _rewind(hub, instance, reason, now)


async def _check_children(hub: TaskHub, instance: InstanceId) -> None:
    """A child tells its parent before its own history is stored: rewound in between, the parent would wait for ever."""
    events = (await hub.history.load(instance)).events
    children = {e.event_id: e.instance_id for e in events if isinstance(e, SubOrchestrationCreated)}
    for event in events:
        if not isinstance(event, SubOrchestrationFailed):
            continue
        child = children.get(event.task_scheduled_id)
        if child is None:
            continue
        state = RuntimeState((await hub.history.load(child)).events)
        if state.completed is None and not state.taken_back:
            raise TransientStorageError(
                f"the failure of the sub-orchestration {child!r} is not stored yet; rewind {instance!r} again soon"
            )
        if state.status is RuntimeStatus.FAILED:
            await _check_children(hub, child)


async def _rewind(
    hub: TaskHub, instance: InstanceId, reason: str | None, now: Instant
) -> list[tuple[InstanceId, HistoryEvent]]:
    rows = [row for row in await hub.history.rows(instance) if row.key.row != SENTINEL]
    execution = _latest_execution(rows)
    if execution is None:
        raise InstanceNotFoundError(f"instance {instance!r} has no history to rewind")
    current = [row for row in rows if row.columns.get("ExecutionId") == execution]
    leaves: list[tuple[InstanceId, HistoryEvent]] = []
    has_failed_child = False
    for row in current:
        match row.columns.get("EventType"):
            case "TaskFailed":
                await _undo_scheduled(hub, current, row, "TaskScheduled", generic=True)
                await _undo(hub, row)
            case "SubOrchestrationInstanceFailed":
                has_failed_child = True
                child = await _undo_scheduled(
                    hub, current, row, "SubOrchestrationInstanceCreated", generic=False
                )
                if child is not None:
                    leaves.extend(await _rewind_child(hub, instance, row, child, reason, now))
                await _undo(hub, row)
            case "ExecutionCompleted" if row.columns.get("OrchestrationStatus") == "Failed":
                await _undo(hub, row)
            case _:
                pass
    await hub.instances.merge(instance, instance_row.rewound_columns(now))
    if not has_failed_child:
        leaves.append((instance, GenericEvent(timestamp=now, data=reason)))
    return leaves


async def _rewind_child(
    hub: TaskHub,
    parent: InstanceId,
    failure: Row,
    child: InstanceId,
    reason: str | None,
    now: Instant,
) -> list[tuple[InstanceId, HistoryEvent]]:
    """Rewind a child that has failed. One that has not, or not any more, is not touched.

    A child's failure may be told twice, and the second time may fail its parent when the child has been rewound and
    has ended well: what it answered then was not heard, so it is said again.
    """
    state = RuntimeState((await hub.history.load(child)).events)
    if state.completed is None:
        return []
    if state.status is RuntimeStatus.FAILED:
        return await _rewind(hub, child, reason, now)
    task_id = int(str(failure.columns.get("TaskScheduledId")))
    result = state.completed.result
    if state.status is RuntimeStatus.COMPLETED:
        return [
            (
                parent,
                SubOrchestrationCompleted(timestamp=now, task_scheduled_id=task_id, result=result),
            )
        ]
    terminated = SubOrchestrationFailed(
        timestamp=now, task_scheduled_id=task_id, reason=result, details=None
    )
    return [(parent, terminated)]


def _latest_execution(rows: list[Row]) -> Value | None:
    """The execution of the last episode that began."""
    started = [row for row in rows if row.columns.get("EventType") == "OrchestratorStarted"]
    return started[-1].columns.get("ExecutionId") if started else None


async def _undo_scheduled(
    hub: TaskHub, rows: list[Row], failure: Row, event_type: str, *, generic: bool
) -> InstanceId | None:
    """Undo the row that started what failed; the child's id, if it started one."""
    task_id = failure.columns.get("TaskScheduledId")
    for row in rows:
        if row.columns.get("EventType") == event_type and row.columns.get("EventId") == task_id:
            await _replace(hub, row, f"Rewound: {event_type}", generic=generic)
            child = row.columns.get("InstanceId")
            return InstanceId(child) if isinstance(child, str) else None
    return None


async def _undo(hub: TaskHub, row: Row) -> None:
    await _replace(hub, row, f"Rewound: {row.columns.get('EventType')!s}", generic=True)


async def _replace(hub: TaskHub, row: Row, reason: str, *, generic: bool) -> None:
    columns: dict[str, Value] = {**row.columns, "Reason": reason}
    if generic:
        columns["EventType"] = "GenericEvent"
    write = Write(kind=WriteKind.REPLACE, key=row.key, columns=columns, etag=row.etag)
    await hub.storage.tables.write(hub.names.history, write)
