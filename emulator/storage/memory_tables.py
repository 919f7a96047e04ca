"""Tables in memory."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence

from emulator.core.instant import Instant
from emulator.errors import EmulatorError, NotFoundError
from emulator.storage.filters import KeyRange, key_range, matches
from emulator.storage.ports import (
    PAGE_ROWS_MAX,
    Columns,
    ETag,
    Filter,
    Row,
    RowKey,
    RowPage,
    Write,
)
from emulator.storage.rules import (
    apply_write,
    check_transaction,
    continuation_key,
    continuation_of,
    reraise_at,
)
from emulator.storage.sources import Clock


class _Cell:
    """A row as it is stored; never changed."""

    __slots__ = ("columns", "etag", "timestamp")

    def __init__(self, etag: ETag, timestamp: Instant, columns: Columns) -> None:
        self.etag = etag
        self.timestamp = timestamp
        self.columns = columns


class _Partition:
    """Rows of one partition, their keys sorted."""

    __slots__ = ("keys", "rows")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.rows: dict[str, _Cell] = {}

    def set(self, row: str, cell: _Cell) -> None:
        if row not in self.rows:
            bisect.insort(self.keys, row)
        self.rows[row] = cell

    def remove(self, row: str) -> None:
        del self.rows[row]
        del self.keys[bisect.bisect_left(self.keys, row)]


class _Table:
    __slots__ = ("keys", "name", "partitions")

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: list[str] = []
        self.partitions: dict[str, _Partition] = {}

    def cell(self, key: RowKey) -> _Cell | None:
        partition = self.partitions.get(key.partition)
        return partition.rows.get(key.row) if partition else None

    def set(self, key: RowKey, cell: _Cell | None) -> None:
        partition = self.partitions.get(key.partition)
        if cell is not None:
            if partition is None:
                partition = self.partitions[key.partition] = _Partition()
                bisect.insort(self.keys, key.partition)
            partition.set(key.row, cell)
        elif partition is not None:
            partition.remove(key.row)
            if not partition.rows:
                del self.partitions[key.partition]
                del self.keys[bisect.bisect_left(self.keys, key.partition)]

    def scan(self, keys: KeyRange, start: RowKey | None) -> Iterator[tuple[RowKey, _Cell]]:
        first = max(keys.low, start.partition if start else "")
        for index in range(bisect.bisect_left(self.keys, first), len(self.keys)):
            name = self.keys[index]
            if not keys.holds(name):
                return
            partition = self.partitions[name]
            begin = 0
            if start is not None and name == start.partition:
                begin = bisect.bisect_left(partition.keys, start.row)
            for row in partition.keys[begin:]:
                yield RowKey(partition=name, row=row), partition.rows[row]


class MemoryTables:
    """The Table service in memory (storage.ports.TablePort)."""

    def __init__(self, clock: Clock) -> None:
        """Begin without tables."""
        self._clock = clock
        self._tables: dict[str, _Table] = {}
        self._tags = itertools.count(1)

    async def create_table(self, table: str) -> bool:
        """See TablePort."""
        if table.lower() in self._tables:
            return False
        self._tables[table.lower()] = _Table(table)
        return True

    async def delete_table(self, table: str) -> bool:
        """See TablePort."""
        return self._tables.pop(table.lower(), None) is not None

    async def list_tables(self) -> tuple[str, ...]:
        """See TablePort."""
        return tuple(sorted(table.name for table in self._tables.values()))

    async def get(self, table: str, key: RowKey) -> Row | None:
        """See TablePort."""
        cell = self._table(table).cell(key)
        return _row(key, cell, None) if cell is not None else None

    async def query(
        self,
        table: str,
        where: Filter | None,
        *,
        select: Sequence[str] | None = None,
        top: int | None = None,
        continuation: str | None = None,
    ) -> RowPage:
        """See TablePort."""
        found = self._table(table)
        start = continuation_key(continuation) if continuation is not None else None
        if continuation is not None and start is None:
            return RowPage(rows=(), continuation=None)
        limit = PAGE_ROWS_MAX if top is None else min(top, PAGE_ROWS_MAX)
        rows: list[Row] = []
        for key, cell in found.scan(key_range(where), start):
            if where is not None and not matches(where, key, cell.columns):
                continue
            if len(rows) == limit:
                return RowPage(rows=tuple(rows), continuation=continuation_of(key))
            rows.append(_row(key, cell, select))
        return RowPage(rows=tuple(rows), continuation=None)

    async def write(self, table: str, write: Write) -> ETag | None:
        """See TablePort."""
        found = self._table(table)
        cell = self._after(found, write, self._clock.now())
        found.set(write.key, cell)
        return cell.etag if cell is not None else None

    async def transact(self, table: str, writes: Sequence[Write]) -> tuple[ETag | None, ...]:
        """See TablePort."""
        found = self._table(table)
        check_transaction(writes)
        now = self._clock.now()
        cells: list[_Cell | None] = []
        for index, write in enumerate(writes):
            try:
                cells.append(self._after(found, write, now))
            except EmulatorError as error:
                reraise_at(error, index)
        for write, cell in zip(writes, cells, strict=True):
            found.set(write.key, cell)
        return tuple(cell.etag if cell is not None else None for cell in cells)

    def _after(self, table: _Table, write: Write, now: Instant) -> _Cell | None:
        columns = apply_write(write, table.cell(write.key))
        if columns is None:
            return None
        return _Cell(ETag(f'W/"{next(self._tags)}"'), now, columns)

    def _table(self, name: str) -> _Table:
        found = self._tables.get(name.lower())
        if found is None:
            raise NotFoundError(f"there is no table {name!r}")
        return found


def _row(key: RowKey, cell: _Cell, select: Sequence[str] | None) -> Row:
    columns = cell.columns
    names = columns if select is None else select
    chosen = {name: columns[name] for name in names if name in columns}
    return Row(key=key, etag=cell.etag, timestamp=cell.timestamp, columns=chosen)
