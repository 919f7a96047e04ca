"""The commit order of one episode, and nothing else.

1. Outgoing messages. 2. The history rows, under the sentinel's ETag. From here on the episode is durable, and whoever
is to handle its messages may begin. 3. The Instances row, if the episode changes what it shows. 4. Blobs of the
execution that was replaced. 5. Deletion of the messages that caused the episode; nobody has to wait for that.

| dies            | what is left                                   | what happens then                              |
| --------------- | ---------------------------------------------- | ---------------------------------------------- |
| in or after 1   | messages whose rows do not exist                | the episode runs again and sends them again; a  |
|                 |                                                | duplicate answer finds its task answered         |
| in 2 (409, 412) | another worker's rows                          | that worker's episode stands; ours is dropped    |
| after 2         | an Instances row that is behind                 | the messages come again, are found to be known,  |
|                 |                                                | and the row is mended                            |
| after 3, 4      | messages that were dealt with                  | they come again, are found to be known, deleted  |

Deleting first would lose the episode; writing history first would lose what it sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from emulator.core.events import HistoryEvent
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.hub.history import Appended
from emulator.hub.task_hub import TaskHub
from emulator.storage.ports import ETag, Value
from emulator.wire import instance_row


class Outbox(Protocol):
    """Outgoing messages, ready to be sent."""

    async def send(self) -> None:
        """Put every message into its queue; all or an exception."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What one episode leaves.

    Attributes:
        events: the new rows, with IsPlayed as it is stored.
        first: place of the first of them in its execution; 0 for a new execution.
        etag: the sentinel's tag as it was loaded.
        handled: what earlier executions have received, for an execution that is stored for the first time.
        replaced_blobs: large payloads of the execution that this one replaces.
        before: the rows stored before, if the Instances row may not show them yet: it is written as a whole then.
        spilled: blobs of those rows' large values by (place, column).
    """

    instance: InstanceId
    execution: ExecutionId
    events: Sequence[HistoryEvent]
    first: int
    etag: ETag | None
    custom_status: str | None
    replaced_blobs: Sequence[str]
    handled: Sequence[str] = ()
    before: Sequence[HistoryEvent] = ()
    spilled: Mapping[tuple[int, str], str] = field(default_factory=dict[tuple[int, str], str])


async def record(hub: TaskHub, checkpoint: Checkpoint, outbox: Outbox, now: Instant) -> Appended:
    """Steps 1 and 2: make an episode durable.

    Raises:
        EtagMismatchError: another worker committed first; drop the session and give the messages back.
        TransientStorageError: it is not known how far it got; drop the session and load it again.
    """
    await outbox.send()
    return await hub.history.append(
        checkpoint.instance,
        checkpoint.execution,
        checkpoint.events,
        first=checkpoint.first,
        etag=checkpoint.etag,
        now=now,
        handled=checkpoint.handled,
    )


async def project(
    hub: TaskHub, checkpoint: Checkpoint, appended: Appended, row: str | None, now: Instant
) -> str | None:
    """Steps 3 and 4: show what was recorded.

    Args:
        row: tag of the Instances row as it was before the episode; None if there was none.

    Returns:
        The row's new tag; None if it is another now. A worker that was held up must not write what is old by then.

    Raises:
        TransientStorageError: the row may be behind; it is mended when the messages come again.
    """
    columns = _projection(hub, checkpoint, appended, now)
    tag = await hub.instances.project(checkpoint.instance, columns, etag=row)
    for blob in checkpoint.replaced_blobs:
        await hub.payloads.delete(blob)
    return tag


def _projection(
    hub: TaskHub, checkpoint: Checkpoint, appended: Appended, now: Instant
) -> Mapping[str, Value]:
    """Columns of the Instances row; large values are the addresses of their blobs."""
    events = (*checkpoint.before, *checkpoint.events)
    first = len(checkpoint.before)
    columns = dict(
        instance_row.checkpoint_columns(
            events,
            execution=checkpoint.execution,
            custom_status=checkpoint.custom_status,
            task_hub=hub.name,
            now=now,
        )
    )
    urls = {
        (first + place, column): hub.payloads.url(name)
        for (place, column), name in appended.spilled.items()
    }
    urls |= {place: hub.payloads.url(name) for place, name in checkpoint.spilled.items()}
    columns.update(instance_row.large_columns(events, urls))
    return columns
