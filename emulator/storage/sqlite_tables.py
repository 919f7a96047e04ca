"""Tables in the embedded store."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from emulator.core.instant import Instant
from emulator.errors import EmulatorError, NotFoundError
from emulator.storage.filters import key_range, matches
from emulator.storage.ports import (
    PAGE_ROWS_MAX,
    Columns,
    ETag,
    Filter,
    Int64,
    Row,
    RowKey,
    RowPage,
    Value,
    Write,
    WriteKind,
)
from emulator.storage.rules import (
    apply_write,
    check_transaction,
    continuation_key,
    continuation_of,
    reraise_at,
)
from emulator.storage.sources import Clock
from emulator.storage.sqlite_runner import Runner

_SELECT: Final = "SELECT pk, rk, etag, stamp, columns FROM rows WHERE tbl = ?"
_ORDER: Final = " ORDER BY pk, rk"
_REPLACE: Final = (
    "INSERT INTO rows (tbl, pk, rk, etag, stamp, columns) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tbl, pk, rk) "
    "DO UPDATE SET etag = excluded.etag, stamp = excluded.stamp, columns = excluded.columns"
)
"""A row that is there keeps its number."""
_MERGES: Final = frozenset({WriteKind.MERGE, WriteKind.UPSERT_MERGE})
"""Only these need to know the columns that are there."""
_PLAIN: Final = frozenset({str, bool, int, float})
"""What JSON has; not the classes derived from them."""


class SqliteTables:
    """The Table service in a file (storage.ports.TablePort)."""

    def __init__(self, file: Runner, clock: Clock) -> None:
        """Work on an open file."""
        self._file = file
        self._clock = clock

    async def create_table(self, table: str) -> bool:
        """See TablePort."""

        def run(db: sqlite3.Connection) -> bool:
            found = db.execute("INSERT OR IGNORE INTO tables (name) VALUES (?)", (table,))
            return found.rowcount > 0

        return await self._file.run(run)

    async def delete_table(self, table: str) -> bool:
        """See TablePort."""

        def run(db: sqlite3.Connection) -> bool:
            number = _find_table(db, table)
            if number is None:
                return False
            db.execute("DELETE FROM rows WHERE tbl = ?", (number,))
            db.execute("DELETE FROM tables WHERE number = ?", (number,))
            return True

        return await self._file.run(run)

    async def list_tables(self) -> tuple[str, ...]:
        """See TablePort."""

        def run(db: sqlite3.Connection) -> tuple[str, ...]:
            return tuple(name for (name,) in db.execute("SELECT name FROM tables ORDER BY name"))

        return await self._file.run(run)

    async def get(self, table: str, key: RowKey) -> Row | None:
        """See TablePort."""

        def run(db: sqlite3.Connection) -> Row | None:
            number = _table(db, table)
            found = db.execute(
                f"{_SELECT} AND pk = ? AND rk = ?", (number, key.partition, key.row)
            ).fetchone()
            return _row(found, None) if found is not None else None

        return await self._file.run(run)

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
        start = continuation_key(continuation) if continuation is not None else None
        limit = PAGE_ROWS_MAX if top is None else min(top, PAGE_ROWS_MAX)

        def run(db: sqlite3.Connection) -> RowPage:
            number = _table(db, table)
            if continuation is not None and start is None:
                return RowPage(rows=(), continuation=None)
            rows: list[Row] = []
            for found in _scan(db, number, where, start):
                row = _row(found, None)
                if where is not None and not matches(where, row.key, row.columns):
                    continue
                if len(rows) == limit:
                    return RowPage(rows=tuple(rows), continuation=continuation_of(row.key))
                rows.append(row if select is None else _row(found, select))
            return RowPage(rows=tuple(rows), continuation=None)

        return await self._file.run(run)

    async def write(self, table: str, write: Write) -> ETag | None:
        """See TablePort."""
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> ETag | None:
            number = _table(db, table)
            return self._carry_out(db, number, (_check(db, number, write),), now)[0]

        return await self._file.run(run)

    async def transact(self, table: str, writes: Sequence[Write]) -> tuple[ETag | None, ...]:
        """See TablePort."""
        check_transaction(writes)
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> tuple[ETag | None, ...]:
            number = _table(db, table)
            checked: list[_Checked] = []
            for index, write in enumerate(writes):
                try:
                    checked.append(_check(db, number, write))
                except EmulatorError as error:
                    reraise_at(error, index)
            return self._carry_out(db, number, checked, now)

        return await self._file.run(run)

    def _carry_out(
        self, db: sqlite3.Connection, number: int, checked: Sequence[_Checked], now: Instant
    ) -> tuple[ETag | None, ...]:
        """Rows that are replaced whatever is there go to the file in one call."""
        replaced: list[tuple[int, str, str, int, int, str]] = []
        tags: list[ETag | None] = []
        for each in checked:
            if each.columns is None:
                db.execute("DELETE FROM rows WHERE number = ?", (each.row,))
                tags.append(None)
                continue
            tag, text, key = self._file.next_tag(), _encode(each.columns), each.write.key
            tags.append(_etag(tag))
            if each.row is None:
                replaced.append((number, key.partition, key.row, tag, int(now), text))
            else:
                db.execute(
                    "UPDATE rows SET etag = ?, stamp = ?, columns = ? WHERE number = ?",
                    (tag, int(now), text, each.row),
                )
        db.executemany(_REPLACE, replaced)
        return tuple(tags)


def _find_table(db: sqlite3.Connection, table: str) -> int | None:
    found = db.execute("SELECT number FROM tables WHERE name = ?", (table,)).fetchone()
    return None if found is None else int(found[0])


def _table(db: sqlite3.Connection, table: str) -> int:
    number = _find_table(db, table)
    if number is None:
        raise NotFoundError(f"there is no table {table!r}")
    return number


def _scan(
    db: sqlite3.Connection, number: int, where: Filter | None, start: RowKey | None
) -> Iterator[tuple[Any, ...]]:
    """Rows that may match, in order of their keys."""
    keys = key_range(where)
    text, values = _SELECT, [number]
    conditions: list[tuple[str, tuple[str, ...]]] = []
    if keys.exact:
        conditions.append(("pk = ?", (keys.low,)))
    elif keys.low:
        conditions.append(("pk >= ?", (keys.low,)))
    if keys.high is not None:
        conditions.append(("pk < ?", (keys.high,)))
    if start is not None:
        conditions.append(("(pk, rk) >= (?, ?)", (start.partition, start.row)))
    parameters: list[Any] = [*values]
    for condition, arguments in conditions:
        text += f" AND {condition}"
        parameters.extend(arguments)
    return iter(db.execute(text + _ORDER, parameters))


@dataclass(frozen=True, slots=True)
class _Stored:
    etag: ETag
    columns: Columns


@dataclass(frozen=True, slots=True)
class _Checked:
    """A write that may be carried out: the row's columns after it, None if it is deleted; its number, if it exists."""

    write: Write
    columns: Columns | None
    row: int | None = None


def _check(db: sqlite3.Connection, number: int, write: Write) -> _Checked:
    if write.kind is WriteKind.UPSERT_REPLACE:  # whatever is there
        return _Checked(write, apply_write(write, None))
    found = db.execute(
        "SELECT number, etag, columns FROM rows WHERE tbl = ? AND pk = ? AND rk = ?",
        (number, write.key.partition, write.key.row),
    ).fetchone()
    if found is None:
        return _Checked(write, apply_write(write, None))
    kept = _decode(found[2]) if write.kind in _MERGES else {}
    return _Checked(write, apply_write(write, _Stored(_etag(found[1]), kept)), found[0])


def _etag(tag: int) -> ETag:
    return ETag(f'W/"{tag}"')


def _row(found: tuple[Any, ...], select: Sequence[str] | None) -> Row:
    partition, row, tag, stamp, text = found
    columns = _decode(text)
    if select is not None:
        columns = {name: columns[name] for name in select if name in columns}
    return Row(
        key=RowKey(partition=partition, row=row),
        etag=_etag(tag),
        timestamp=Instant(stamp),
        columns=columns,
    )


def _encode(columns: Columns) -> str:
    """Columns as JSON; types that JSON does not have are one-member objects."""
    plain = {
        name: value if type(value) in _PLAIN else _encode_value(value)
        for name, value in columns.items()
    }
    return _to_json(plain)


def _encode_value(value: Value) -> object:
    match value:
        case Instant():
            return {"t": int(value)}
        case Int64():
            return {"l": int(value)}
        case bytes():
            return {"b": base64.b64encode(value).decode()}
        case _:
            return value


def _decode(text: str) -> dict[str, Value]:
    return cast("dict[str, Value]", _from_json(text))


def _decode_value(item: dict[str, Any]) -> object:
    if len(item) == 1:
        ((kind, value),) = item.items()
        if kind == "t" and isinstance(value, int):
            return Instant(value)
        if kind == "l" and isinstance(value, int):
            return Int64(value)
        if kind == "b" and isinstance(value, str):
            return base64.b64decode(value)
    return item


_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_from_json: Final = json.JSONDecoder(object_hook=_decode_value).decode
"""Made once: `json.dumps` and `json.loads` make a coder for each call that has options."""
