"""Table rows that a function is given, and rows that it adds.

Values are JSON, as the host hands them to a worker: an object for one row, a list for several. Rows are only added,
never changed. Source: WebJobs Tables extension.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Final, cast

from bindings.binding_type import BindingType
from bindings.expressions import expand
from emulator.core.json_text import compact
from emulator.errors import ConfigError, NotFoundError
from emulator.host.binding_api import (
    AllOf,
    BindingSpec,
    Comparison,
    Condition,
    Filter,
    InputSource,
    Instant,
    Int64,
    Invocation,
    OutputSink,
    Row,
    RowKey,
    Services,
    TablePort,
    Value,
    Write,
    WriteKind,
)
from emulator.host.odata import parse_filter

TAKE_DEFAULT: Final = 50
"""Rows without a `take` (Tables extension)."""
_INT32_MAX: Final = 2**31 - 1


def table_input(spec: BindingSpec, annotation: object, services: Services) -> InputSource:
    """What gives JSON text: a row if both keys are set (None if there is no such row), else the rows that match."""

    async def read(invocation: Invocation) -> str | None:
        table, partition, row = _place(spec, invocation, services)
        tables = (await services.storage(spec.text("connection"))).tables
        if partition is not None and row is not None:
            found = await _get(tables, table, RowKey(partition=partition, row=row))
            return None if found is None else compact(_as_json(found))
        where = _where(partition, _expanded(spec, "filter", invocation, services))
        limit = int(spec.text("take") or TAKE_DEFAULT)
        rows = [_as_json(item) async for item in _rows(tables, table, where, limit)]
        return compact(rows)

    return read


def table_output(spec: BindingSpec, services: Services) -> OutputSink:
    """What takes rows as JSON text, as dict or as a list of dict, and adds them."""

    async def add(value: object, invocation: Invocation) -> None:
        table, partition, row = _place(spec, invocation, services)
        tables = (await services.storage(spec.text("connection"))).tables
        await tables.create_table(table)
        for members in rows_of(value):
            await tables.write(table, _insert(members, partition, row))

    return add


def rows_of(value: object) -> list[Mapping[str, object]]:
    """The rows of one output.

    Raises:
        TypeError: it is no object and no list of objects.
    """
    if isinstance(value, str | bytes):
        try:
            value = cast(object, json.loads(value))
        except ValueError as error:
            raise TypeError(
                f"a table output was set to text that is no JSON ({error}); set a JSON object"
            ) from error
    items = cast("list[object]", value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, dict) for item in items):
        raise TypeError(
            "a table output takes a row as a JSON object, or a list of rows; set json.dumps({...}) or a dict"
        )
    return cast("list[Mapping[str, object]]", items)


def _insert(members: Mapping[str, object], partition: str | None, row: str | None) -> Write:
    keys = {
        "PartitionKey": members.get("PartitionKey", partition),
        "RowKey": members.get("RowKey", row),
    }
    for name, value in keys.items():
        if value is None:
            raise ValueError(
                f"a row of a table output has no {name}; put it into the row or into the binding"
            )
    columns = {
        name: _as_value(value)
        for name, value in members.items()
        if name not in keys and value is not None
    }
    key = RowKey(partition=str(keys["PartitionKey"]), row=str(keys["RowKey"]))
    return Write(kind=WriteKind.INSERT, key=key, columns=columns)


def _as_value(value: object) -> Value:
    match value:
        case bool() | float() | str():
            return value
        case int():
            return value if -_INT32_MAX - 1 <= value <= _INT32_MAX else Int64(value)
        case _:
            return compact(value)


def _as_json(row: Row) -> dict[str, object]:
    columns = {name: _shown(value) for name, value in row.columns.items()}
    return {"PartitionKey": row.key.partition, "RowKey": row.key.row, **columns}


def _shown(value: Value) -> object:
    match value:
        case Instant():
            return value.text()
        case bytes():
            return base64.b64encode(value).decode()
        case bool() | float() | str():
            return value
        case int():
            return int(value)


def _where(partition: str | None, text: str | None) -> Filter | None:
    parts: list[Filter] = []
    if partition is not None:
        parts.append(Condition("PartitionKey", Comparison.EQ, partition))
    if text:
        parts.append(parse_filter(text))
    return AllOf(tuple(parts)) if parts else None


async def _get(tables: TablePort, table: str, key: RowKey) -> Row | None:
    try:
        return await tables.get(table, key)
    except NotFoundError:
        return None


async def _rows(
    tables: TablePort, table: str, where: Filter | None, limit: int
) -> AsyncIterator[Row]:
    """Up to `limit` rows; none if there is no such table."""
    continuation: str | None = None
    while limit > 0:
        try:
            page = await tables.query(table, where, top=limit, continuation=continuation)
        except NotFoundError:
            return
        for row in page.rows[:limit]:
            yield row
        limit -= len(page.rows)
        continuation = page.continuation
        if continuation is None:
            return


def _place(
    spec: BindingSpec, invocation: Invocation, services: Services
) -> tuple[str, str | None, str | None]:
    """Table, and the two keys as far as the binding has them."""
    table, partition, row = (
        _expanded(spec, name, invocation, services)
        for name in ("tableName", "partitionKey", "rowKey")
    )
    return table or "", partition, row


def _expanded(
    spec: BindingSpec, name: str, invocation: Invocation, services: Services
) -> str | None:
    text = spec.text(name)
    return None if text is None else expand(text, invocation, services)


def _check(spec: BindingSpec) -> None:
    if not spec.text("tableName"):
        raise ConfigError("the table's name is missing; set table_name (tableName)")
    take = spec.text("take")
    if take is not None and not take.isdigit():
        raise ConfigError(f"take is {take!r}; write a whole number of rows")
    text = spec.text("filter")
    if text and "{" not in text:
        try:
            parse_filter(text)
        except ValueError as error:
            raise ConfigError(str(error)) from error


TABLE: Final = BindingType(name="table", input=table_input, output=table_output, check=_check)
