"""Brings an Instances row back in line with its history.

A process that dies between the two leaves the row behind. The messages that caused the episode come again, are
found to be known, and then the row is compared. The real provider does this for finished instances only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instance import InstanceRecord
from emulator.core.instant import Instant
from emulator.core.state import RuntimeState
from emulator.core.status import TERMINAL, RuntimeStatus
from emulator.engine.session import Loaded
from emulator.errors import EtagMismatchError
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger
from emulator.storage.ports import Value
from emulator.wire import instance_row

_log = get_logger(__name__)
COMPARISONS_MAX: Final = 5
_COMPARED: Final[Mapping[str, str]] = {
    "ExecutionId": "execution_id",
    "Name": "name",
    "RuntimeStatus": "status",
    "CustomStatus": "custom_status",
}
"""Columns that tell whether the last checkpoint has reached the row, and where a record holds them."""


async def mend(
    hub: TaskHub, instance: InstanceId, loaded: Loaded, custom_status: str | None, now: Instant
) -> str | None:
    """Compare and, if they differ, write the row anew from the history.

    Only if the history is still the one that was loaded, and only over the row that was compared: a process that was
    held up in between must not write what is old by then. A row that changes meanwhile is compared again.

    Returns:
        Tag of the row, which is known to be right now; None if it belongs to a later start.

    Raises:
        EtagMismatchError: another worker has gone on with the instance, or the row does not come to rest.
    """
    for _ in range(COMPARISONS_MAX):
        row = await hub.instances.get(instance, payloads=False)
        if row is not None and _is_of_later_start(row, loaded.execution.state):
            return None
        columns = _columns(hub, loaded, custom_status, now)
        if row is not None and not _differs(row, columns):
            return row.etag
        if await hub.history.tag(instance) != loaded.etag:
            raise EtagMismatchError(f"{instance!r} has been gone on with meanwhile")
        tag = await hub.instances.project(instance, columns, etag=row.etag if row else None)
        if tag is not None:
            _log.info(
                "the status of instance %r was behind its history and has been mended",
                instance,
                extra=fields("instance_mended", instance_id=instance),
            )
            return tag
    raise EtagMismatchError(f"the row of {instance!r} has been written again and again meanwhile")


def _columns(
    hub: TaskHub, loaded: Loaded, custom_status: str | None, now: Instant
) -> dict[str, Value]:
    """The row as the history wants it."""
    state = loaded.execution.state
    columns = instance_row.checkpoint_columns(
        state.events,
        execution=state.execution_id or ExecutionId(""),
        custom_status=custom_status,
        task_hub=hub.name,
        now=now,
    )
    urls = {place: hub.payloads.url(name) for place, name in (loaded.spilled or {}).items()}
    columns.update(instance_row.large_columns(state.events, urls))
    return columns


def _is_of_later_start(row: InstanceRecord, state: RuntimeState) -> bool:
    """Somebody has started the instance anew meanwhile: the row belongs to that start, which has not run yet.

    Times alone do not tell: those of two executions come from the clocks of two workers. A row that shows an execution
    at work is not of a later start, since that would have replaced the history first.
    """
    return (
        state.started is not None
        and row.execution_id != state.execution_id
        and not state.has_followed(row.execution_id)
        and (row.status is RuntimeStatus.PENDING or row.status in TERMINAL)
        and row.created_at > state.started.timestamp
    )


def _differs(row: InstanceRecord, columns: Mapping[str, Value]) -> bool:
    for column, attribute in _COMPARED.items():
        wanted = columns.get(column)
        found: object = getattr(row, attribute)
        if (None if wanted == instance_row.NULL else wanted) != found:
            return True
    return False
