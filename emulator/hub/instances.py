"""The Instances table: one row per instance, a projection of its history.

Source: DurableTask.AzureStorage, AzureTableTrackingStore and OrchestrationInstanceStatusQueryCondition; reference
azure-storage-provider.md 5.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from emulator.core.ids import InstanceId
from emulator.core.instance import InstancePage, InstanceQuery, InstanceRecord
from emulator.errors import ConflictError, DecodeError, EtagMismatchError, NotFoundError
from emulator.hub.payloads import PayloadStore
from emulator.storage.pages import all_rows
from emulator.storage.ports import (
    ANY,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    ETag,
    Filter,
    Row,
    RowKey,
    TablePort,
    Value,
    Write,
    WriteKind,
)
from emulator.wire import instance_row
from emulator.wire.keys import escape, unescape
from emulator.wire.queue_message import decode_envelope
from emulator.wire.spill import blob_tag, instance_blob_name, is_oversized, looks_like_url

START_BLOB_SUFFIX: Final = "ExecutionStarted.json.gz"
"""End of the address of an input that lies in a whole start message."""

COLUMNS: Final = (
    "ExecutionId",
    "Name",
    "Version",
    "Input",
    "Output",
    "CustomStatus",
    "CreatedTime",
    "LastUpdatedTime",
    "CompletedTime",
    "RuntimeStatus",
    "ScheduledStartTime",
    "Generation",
    "Tags",
)


class InstanceTable:
    """Rows of one hub's instances."""

    def __init__(
        self,
        name: str,
        tables: TablePort,
        payloads: PayloadStore,
        unique: Callable[[], str],
        *,
        fetch_large: bool,
    ) -> None:
        """Name the table.

        Args:
            unique: gives 32 hex digits that nobody else has.
            fetch_large: put payloads in the place of the addresses that stand for them.
        """
        self.name = name
        self._tables = tables
        self._payloads = payloads
        self._fetch_large = fetch_large
        self._unique = unique

    async def tag(self, instance: InstanceId) -> ETag | None:
        """The tag of a row as it is now; None if there is none."""
        where = Condition("PartitionKey", Comparison.EQ, escape(instance))
        page = await self._tables.query(self.name, where, select=["ExecutionId"], top=1)
        return page.rows[0].etag if page.rows else None

    async def get(self, instance: InstanceId, *, payloads: bool = True) -> InstanceRecord | None:
        """Read one row; None if there is none. Without payloads, the input is not read at all."""
        select = None if payloads else [column for column in COLUMNS if column != "Input"]
        where = Condition("PartitionKey", Comparison.EQ, escape(instance))
        page = await self._tables.query(self.name, where, select=select, top=1)
        if not page.rows:
            return None
        return await self._record(page.rows[0], payloads=payloads)

    async def create(
        self, instance: InstanceId, columns: Mapping[str, Value], *, etag: str | None
    ) -> ETag | None:
        """Write the row of a new instance, over the one that was read before if there was one.

        Returns:
            Its tag; None if someone else wrote it meanwhile: that row stands.

        Raises:
            NotFoundError: the row that was read is gone, or there is no such hub.
        """
        key = RowKey(partition=escape(instance), row="")
        written = await self._spill(key.partition, columns)
        kind = WriteKind.INSERT if etag is None else WriteKind.REPLACE
        return await self._write_over(kind, key, written, etag)

    async def project(
        self, instance: InstanceId, columns: Mapping[str, Value], *, etag: str | None
    ) -> ETag | None:
        """Merge columns into the row as it is known, or insert it if there was none.

        Returns:
            Its new tag; None if someone else wrote it meanwhile: that row stands.
        """
        key = RowKey(partition=escape(instance), row="")
        kind = WriteKind.INSERT if etag is None else WriteKind.MERGE
        try:
            return await self._write_over(kind, key, columns, etag)
        except NotFoundError:
            return None

    async def _write_over(
        self, kind: WriteKind, key: RowKey, columns: Mapping[str, Value], etag: str | None
    ) -> ETag | None:
        known = ETag(etag) if etag else ANY
        try:
            return await self._tables.write(
                self.name, Write(kind=kind, key=key, columns=columns, etag=known)
            )
        except (ConflictError, EtagMismatchError):
            return None

    async def merge(self, instance: InstanceId, columns: Mapping[str, Value]) -> None:
        """Merge columns into the row that is there.

        Raises:
            NotFoundError: there is none.
        """
        key = RowKey(partition=escape(instance), row="")
        written = await self._spill(key.partition, columns)
        await self._tables.write(self.name, Write(kind=WriteKind.MERGE, key=key, columns=written))

    async def delete(self, instance: InstanceId) -> bool:
        """Delete the row; False if there was none."""
        key = RowKey(partition=escape(instance), row="")
        try:
            await self._tables.write(self.name, Write(kind=WriteKind.DELETE, key=key))
        except NotFoundError:
            return False
        return True

    async def page(
        self, query: InstanceQuery, *, top: int | None = None, continuation: str | None = None
    ) -> InstancePage:
        """One page of rows, in order of id. Inputs are left out only where a condition is set, as recorded."""
        where = filter_of(query)
        select: list[str] | None = None
        if where is not None and not (query.fetch_input and query.fetch_output):
            left_out = {"Input"} if not query.fetch_input else set[str]()
            left_out |= {"Output"} if not query.fetch_output else set[str]()
            select = [column for column in COLUMNS if column not in left_out]
        page = await self._tables.query(
            self.name, where, select=select, top=top, continuation=continuation
        )
        records = [await self._record(row, payloads=query.fetch_input) for row in page.rows]
        return InstancePage(records=tuple(records), continuation=page.continuation)

    async def all(
        self, query: InstanceQuery, *, page_rows: int | None = None
    ) -> AsyncIterator[InstanceRecord]:
        """Every row that matches, in order of id; `page_rows` are read at a time."""
        continuation: str | None = None
        while True:
            page = await self.page(query, top=page_rows, continuation=continuation)
            for record in page.records:
                yield record
            continuation = page.continuation
            if continuation is None:
                return

    async def survey(self) -> AsyncIterator[InstanceRecord | DecodeError]:
        """Every row, without what lies in blobs, or why it cannot be read; in order of id."""
        async for row in all_rows(self._tables, self.name, None):
            try:
                yield await self._record(row, payloads=False)
            except DecodeError as error:
                yield error

    async def _record(self, row: Row, *, payloads: bool) -> InstanceRecord:
        columns: dict[str, Value] = dict(row.columns)
        if payloads and self._fetch_large:
            for column in ("Input", "Output"):
                await self._fetch(columns, column)
        return instance_row.decode(unescape(row.key.partition), columns, etag=row.etag)

    async def _fetch(self, columns: dict[str, Value], column: str) -> None:
        """Put a payload in the place of its address. Text that only looks like an address stays as it is.

        So does an address behind which there is nothing: someone purges the instance, or a person wrote it.
        """
        name = self._payload_name(columns, column)
        if name is None:
            return
        try:
            text = await self._payloads.download(name)
        except NotFoundError:
            return
        if column == "Input" and name.endswith(START_BLOB_SUFFIX):
            event = decode_envelope(text).task_message.event
            text = getattr(event, "input", None) or ""
        columns[column] = text

    def _payload_name(self, columns: Mapping[str, Value], column: str) -> str | None:
        value, spilled = columns.get(column), columns.get(f"{column}BlobName")
        if value == "" and isinstance(spilled, str):
            return spilled
        is_address = isinstance(value, str) and looks_like_url(value)
        return self._payloads.name_of(str(value)) if is_address else None

    async def _spill(self, partition: str, columns: Mapping[str, Value]) -> dict[str, Value]:
        """Move texts that a column cannot hold into blobs, as the client and a termination do."""
        written: dict[str, Value] = dict(columns)
        for column in ("Input", "Output", "Tags"):
            value = columns.get(column)
            if not isinstance(value, str) or not is_oversized(value):
                continue
            name = instance_blob_name(partition, column, blob_tag(self._unique()))
            await self._payloads.upload(name, value)
            if column == "Output":
                written[column] = self._payloads.url(name)
            else:
                written[column] = ""
                written[f"{column}BlobName"] = name
        return written


def filter_of(query: InstanceQuery) -> Filter | None:
    """The conditions of a query, in the order in which the real provider writes them."""
    parts: list[Filter] = []
    if query.created_from is not None:
        parts.append(Condition("CreatedTime", Comparison.GE, query.created_from))
    if query.created_to is not None:
        parts.append(Condition("CreatedTime", Comparison.LE, query.created_to))
    if query.statuses:
        wanted = sorted(query.statuses)
        parts.append(
            AnyOf(tuple(Condition("RuntimeStatus", Comparison.EQ, str(s)) for s in wanted))
        )
    if query.prefix:
        low = escape(InstanceId(query.prefix))
        high = low[:-1] + chr(ord(low[-1]) + 1)
        parts.append(Condition("PartitionKey", Comparison.GE, low))
        parts.append(Condition("PartitionKey", Comparison.LT, high))
    elif query.exclude_entities:
        below = Condition("PartitionKey", Comparison.LT, "@")
        above = Condition("PartitionKey", Comparison.GE, "A")
        parts.append(AnyOf((below, above)))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
