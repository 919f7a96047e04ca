"""The History table: load an execution's rows, append an episode's under the sentinel's ETag.

Source: DurableTask.AzureStorage, AzureTableTrackingStore (UpdateStateAsync, GetHistoryEventsAsync); reference
azure-storage-provider.md 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from emulator.core.events import HistoryEvent
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.errors import ConflictError, DecodeError, EtagMismatchError, NotFoundError
from emulator.hub.payloads import PayloadStore
from emulator.storage.pages import all_rows
from emulator.storage.ports import (
    Columns,
    Comparison,
    Condition,
    ETag,
    Row,
    RowKey,
    TablePort,
    Value,
    Write,
    WriteKind,
)
from emulator.wire import history_row
from emulator.wire.keys import SENTINEL, escape, history_row_key
from emulator.wire.spill import SPILLABLE_COLUMNS, blob_tag, history_blob_name, is_oversized

BATCH_ROWS_MAX: Final = 99
"""Rows of one transaction beside the sentinel."""

BATCH_BYTES_MAX: Final = 3 * 1024 * 1024
"""A transaction is sent when its estimated size exceeds this."""

ROW_BYTES_BASE: Final = 1024
"""What a row is estimated at without its long texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHistory:
    """What the table holds of an instance's current execution.

    Attributes:
        etag: of the sentinel; None for an instance that never had one.
        blobs: large payloads that the rows refer to, rows of an unfinished checkpoint included.
        spilled: their names by (place of the event, column).
        handled: keys of events that earlier executions have received, oldest first (core.state.received_key()).
        must_run: the worker that continued the execution as new died before it had stored all of the new one's
            first decisions: run it, whatever the messages are.
        is_read: it comes from the table; what a new instance is taken to have does not.
    """

    events: tuple[HistoryEvent, ...]
    execution_id: ExecutionId | None
    etag: ETag | None
    blobs: tuple[str, ...]
    spilled: Mapping[tuple[int, str], str]
    handled: tuple[str, ...] = ()
    must_run: bool = False
    is_read: bool = True


NO_HISTORY: Final = StoredHistory(events=(), execution_id=None, etag=None, blobs=(), spilled={})
UNREAD_HISTORY: Final = replace(NO_HISTORY, is_read=False)
"""Of an instance that is taken to be new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The sentinel's new tag, and the large payloads written."""

    etag: ETag
    blobs: tuple[str, ...]
    spilled: dict[tuple[int, str], str]
    """Blob name by (place in the appended events, column)."""


class HistoryTable:
    """Rows of all instances of one hub."""

    def __init__(
        self, name: str, tables: TablePort, payloads: PayloadStore, unique: Callable[[], str]
    ) -> None:
        """Name the table.

        Args:
            unique: gives 32 hex digits that nobody else has.
        """
        self._unique = unique
        self.name = name
        self._tables = tables
        self._payloads = payloads

    async def load(self, instance: InstanceId) -> StoredHistory:
        """Read the rows of the current execution up to its last whole checkpoint, large payloads included.

        Raises:
            DecodeError: a row cannot be read, or its payload is gone; the message names the instance and the row.
        """
        rows = await self.rows(instance)
        if not rows:
            return NO_HISTORY
        sentinel = rows.pop() if rows[-1].key.row == SENTINEL else None
        execution = (sentinel or rows[0]).columns.get("ExecutionId")
        others = (i for i, row in enumerate(rows) if row.columns.get("ExecutionId") != execution)
        rows = rows[: next(others, len(rows))]
        is_whole = sentinel is None or sentinel.columns.get("IsCheckpointComplete") is not False
        end, must_run = _end(rows, is_whole=is_whole)
        etag = sentinel.etag if sentinel else None
        try:
            events = [await self._event(instance, row) for row in rows[:end]]
        except DecodeError:
            if await self.tag(instance) == etag:
                raise
            return await self.load(instance)  # replaced meanwhile, and its payloads deleted
        names = {
            (place, column): name
            for place, row in enumerate(rows)
            for column, name in _blob_names(row.columns)
        }
        return StoredHistory(
            events=tuple(events),
            execution_id=ExecutionId(str(execution)) if execution else None,
            etag=etag,
            blobs=tuple(names.values()),
            spilled=names,
            handled=history_row.handled(sentinel.columns) if sentinel else (),
            must_run=must_run,
        )

    async def _event(self, instance: InstanceId, row: Row) -> HistoryEvent:
        where = f"{instance!r}, row {row.key.row}"
        try:
            columns = await self._unspilled(row.columns)
        except NotFoundError as error:
            raise DecodeError(f"the history row of instance {where}: {error}") from error
        return history_row.decode(columns, where=where)

    async def tag(self, instance: InstanceId) -> ETag | None:
        """The sentinel's tag as it is now; None if there is no sentinel."""
        row = await self._tables.get(self.name, RowKey(partition=escape(instance), row=SENTINEL))
        return row.etag if row is not None else None

    async def rows(self, instance: InstanceId) -> list[Row]:
        """All rows of an instance as they are stored, left-overs of older executions included."""
        where = Condition("PartitionKey", Comparison.EQ, escape(instance))
        return [row async for row in all_rows(self._tables, self.name, where)]

    async def append(
        self,
        instance: InstanceId,
        execution: ExecutionId,
        events: Sequence[HistoryEvent],
        *,
        first: int,
        etag: ETag | None,
        now: Instant,
        handled: Sequence[str] = (),
    ) -> Appended:
        """Append one episode's events after the rows already stored.

        Args:
            events: 1..n, oldest first; sent in transactions of at most 99 rows plus the sentinel.
            first: place of the first one in its execution.
            etag: the sentinel's tag from load(); None for an instance without a sentinel.
            handled: see StoredHistory; stored with the sentinel if there are any.

        Raises:
            EtagMismatchError: another worker committed first; drop the session, do not retry. Rows of an
                unfinished append are overwritten by whoever wins.
        """
        partition = escape(instance)
        spilled: dict[tuple[int, str], str] = {}
        batch: list[Write] = []
        size = 0
        for place, event in enumerate(events):
            key = RowKey(partition=partition, row=history_row_key(first + place))
            columns = await self._columns(event, execution, key, place, spilled)
            batch.append(Write(kind=WriteKind.UPSERT_REPLACE, key=key, columns=columns))
            size += _estimate(columns)
            last = place == len(events) - 1
            if not last and (len(batch) == BATCH_ROWS_MAX or size > BATCH_BYTES_MAX):
                sentinel = history_row.sentinel_columns(execution, None, handled)
                etag = await self._flush(batch, partition, sentinel, etag)
                batch, size = [], 0
        sentinel = history_row.sentinel_columns(execution, now, handled)
        etag = await self._flush(batch, partition, sentinel, etag)
        return Appended(etag=etag, blobs=tuple(spilled.values()), spilled=spilled)

    async def _flush(
        self,
        batch: list[Write],
        partition: str,
        columns: Columns,
        etag: ETag | None,
    ) -> ETag:
        key = RowKey(partition=partition, row=SENTINEL)
        if etag is None:
            sentinel = Write(kind=WriteKind.INSERT, key=key, columns=columns)
        else:
            sentinel = Write(kind=WriteKind.MERGE, key=key, columns=columns, etag=etag)
        try:
            tags = await self._tables.transact(self.name, [*batch, sentinel])
        except (ConflictError, NotFoundError) as error:
            raise EtagMismatchError(f"the history of {partition!r} was changed: {error}") from error
        new_etag = tags[-1]
        assert new_etag is not None
        return new_etag

    async def _columns(
        self,
        event: HistoryEvent,
        execution: ExecutionId,
        key: RowKey,
        place: int,
        spilled: dict[tuple[int, str], str],
    ) -> dict[str, Value]:
        columns = history_row.encode(event, execution)
        for column in [name for name in SPILLABLE_COLUMNS if name in columns]:
            value = columns[column]
            if isinstance(value, str) and is_oversized(value):
                kind = str(columns["EventType"])
                unique = blob_tag(self._unique())
                name = history_blob_name(key.partition, key.row, kind, column, unique)
                await self._payloads.upload(name, value)
                columns[column] = ""
                columns[f"{column}BlobName"] = name
                spilled[place, column] = name
        return columns

    async def _unspilled(self, columns: Columns) -> Columns:
        present = _blob_names(columns)
        if not present:
            return columns
        whole: dict[str, Value] = dict(columns)
        for column, name in present:
            whole[column] = await self._payloads.download(name)
        return whole


def _blob_names(columns: Columns) -> list[tuple[str, str]]:
    """Columns whose text lies in a blob, with its name."""
    names = [(column, columns.get(f"{column}BlobName")) for column in SPILLABLE_COLUMNS]
    return [(column, name) for column, name in names if isinstance(name, str) and name]


def _end(rows: Sequence[Row], *, is_whole: bool) -> tuple[int, bool]:
    """How many rows count, and whether the execution must run without being asked.

    A checkpoint of several transactions may have been cut short. Its rows are overwritten by the next one, but for
    those of an execution that was continued as new: its start is nowhere else. Rows of a longer checkpoint that was
    cut short may also follow a whole one.
    """
    kinds = [row.columns.get("EventType") for row in rows]
    last_start = _last(kinds, "OrchestratorStarted")
    last_end = _last(kinds, "OrchestratorCompleted")
    if is_whole:
        return (last_end + 1 if last_end >= 0 else len(rows)), False
    if last_end > last_start:
        return last_end + 1, True
    return max(last_start, 0), False


def _last(kinds: Sequence[object], kind: str) -> int:
    """Place of the last row of a kind, -1 if there is none."""
    return max((place for place, found in enumerate(kinds) if found == kind), default=-1)


def _estimate(columns: Columns) -> int:
    size = ROW_BYTES_BASE
    for column in SPILLABLE_COLUMNS:
        if column in columns and isinstance(value := columns[column], str):
            size += 2 * len(value)
    return size
