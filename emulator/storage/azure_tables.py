"""The Table service of Azure Storage, through its SDK."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, UpdateMode
from azure.data.tables.aio import TableServiceClient

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.storage.azure_errors import mapped
from emulator.storage.filters import odata_text
from emulator.storage.ports import (
    ANY,
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
from emulator.storage.rules import check_transaction

_KEYS: Final = ("PartitionKey", "RowKey", "Timestamp")
_MODES: Final = {
    WriteKind.REPLACE: UpdateMode.REPLACE,
    WriteKind.MERGE: UpdateMode.MERGE,
    WriteKind.UPSERT_REPLACE: UpdateMode.REPLACE,
    WriteKind.UPSERT_MERGE: UpdateMode.MERGE,
}


class AzureTables:
    """storage.ports.TablePort over azure-data-tables."""

    def __init__(self, service: TableServiceClient) -> None:
        """Use an open client."""
        self._service: Any = service  # its methods are only half typed
        self._clients: dict[str, Any] = {}

    async def create_table(self, table: str) -> bool:
        """See TablePort."""
        with mapped(f"creating table {table}"):
            try:
                await self._service.create_table(table)
            except ResourceExistsError:
                return False
            return True

    async def delete_table(self, table: str) -> bool:
        """See TablePort. The SDK keeps quiet about a table that does not exist, so that is looked up."""
        if table.lower() not in {name.lower() for name in await self.list_tables()}:
            return False
        with mapped(f"deleting table {table}"):
            await self._service.delete_table(table)
        return True

    async def list_tables(self) -> tuple[str, ...]:
        """See TablePort."""
        with mapped("listing tables"):
            return tuple(sorted([item.name async for item in self._service.list_tables()]))

    async def get(self, table: str, key: RowKey) -> Row | None:
        """See TablePort."""
        with mapped(f"reading a row of table {table}"):
            try:
                entity = await self._table(table).get_entity(key.partition, key.row)
            except ResourceNotFoundError as error:
                if str(getattr(error, "error_code", "")).rpartition(".")[2] in (
                    "TableNotFound",
                    "TABLE_NOT_FOUND",
                ):
                    raise
                return None
        return _row(entity)

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
        token = _read_token(continuation)
        if continuation is not None and token is None:
            return RowPage(rows=(), continuation=None)
        columns = None if select is None else [*select, *_KEYS]
        options: dict[str, Any] = {
            "results_per_page": PAGE_ROWS_MAX if top is None else top,
            "select": columns,
        }
        client = self._table(table)
        with mapped(f"querying table {table}"):
            found = (
                client.query_entities(odata_text(where), **options)
                if where is not None
                else client.list_entities(**options)
            )
            pages: Any = found.by_page(continuation_token=token)
            async for page in pages:
                rows = tuple([_row(entity) async for entity in page])
                return RowPage(rows=rows, continuation=_write_token(pages.continuation_token))
        return RowPage(rows=(), continuation=None)

    async def write(self, table: str, write: Write) -> ETag | None:
        """See TablePort."""
        client = self._table(table)
        with mapped(f"writing a row of table {table}"):
            if write.kind is WriteKind.DELETE:
                await self._delete(client, write)
                return None
            return ETag(str((await self._put(client, write))["etag"]))

    async def _put(self, client: Any, write: Write) -> Any:  # noqa: ANN401 - as above
        entity = _entity(write)
        if write.kind is WriteKind.INSERT:
            return await client.create_entity(entity)
        mode = _MODES[write.kind]
        if write.kind in (WriteKind.UPSERT_MERGE, WriteKind.UPSERT_REPLACE):
            return await client.upsert_entity(entity, mode=mode)
        return await client.update_entity(entity, mode=mode, **_condition(write))

    async def transact(self, table: str, writes: Sequence[Write]) -> tuple[ETag | None, ...]:
        """See TablePort."""
        check_transaction(writes)
        operations = [_operation(write) for write in writes]
        with mapped(f"writing {len(writes)} rows of table {table} in one transaction"):
            answers = await self._table(table).submit_transaction(operations)
        return tuple(
            None if write.kind is WriteKind.DELETE else ETag(str(answer["etag"]))
            for write, answer in zip(writes, answers, strict=True)
        )

    async def _delete(self, client: Any, write: Write) -> None:  # noqa: ANN401 - as above
        """The SDK keeps quiet about a row that does not exist, so the row is read first."""
        await client.get_entity(write.key.partition, write.key.row, select=["PartitionKey"])
        await client.delete_entity(write.key.partition, write.key.row, **_condition(write))

    def _table(self, name: str) -> Any:  # noqa: ANN401 - as above
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._service.get_table_client(name)
        return client


def _condition(write: Write) -> dict[str, Any]:
    """None for ANY: the SDK then sends `If-Match: *`."""
    if write.etag == ANY:
        return {}
    return {"etag": write.etag, "match_condition": MatchConditions.IfNotModified}


def _operation(write: Write) -> tuple[Any, ...]:
    match write.kind:
        case WriteKind.INSERT:
            return ("create", _entity(write))
        case WriteKind.UPSERT_MERGE | WriteKind.UPSERT_REPLACE:
            return ("upsert", _entity(write), {"mode": _MODES[write.kind]})
        case WriteKind.REPLACE | WriteKind.MERGE:
            return ("update", _entity(write), {"mode": _MODES[write.kind], **_condition(write)})
        case WriteKind.DELETE:
            return ("delete", _entity(write), _condition(write))


def _entity(write: Write) -> dict[str, Any]:
    return {
        "PartitionKey": write.key.partition,
        "RowKey": write.key.row,
        **{name: _to_sdk(value) for name, value in write.columns.items()},
    }


def _to_sdk(value: Value) -> object:
    """A value as the SDK writes it with the right type; times as text, because it would cut the seventh digit."""
    match value:
        case Instant():
            return EntityProperty(value.text7(), EdmType.DATETIME)
        case Int64():
            return EntityProperty(int(value), EdmType.INT64)
        case _:
            return value


def _row(entity: Any) -> Row:  # noqa: ANN401 - an SDK object
    stamp: object = entity.metadata.get("timestamp")
    columns: Columns = {
        name: _from_sdk(value) for name, value in entity.items() if name not in _KEYS
    }
    return Row(
        key=RowKey(partition=str(entity["PartitionKey"]), row=str(entity["RowKey"])),
        etag=ETag(str(entity.metadata["etag"])),
        timestamp=_instant(stamp) if stamp is not None else MIN_INSTANT,
        columns=columns,
    )


def _from_sdk(value: Any) -> Value:  # noqa: ANN401 - whatever the SDK's decoder makes
    if isinstance(value, EntityProperty):
        return Int64(value.value)
    if hasattr(value, "tables_service_value"):
        return _instant(value)
    if isinstance(value, str | bool | int | float | bytes):
        return value
    return str(value)


def _instant(value: Any) -> Instant:  # noqa: ANN401 - the SDK's datetime, which remembers the service's text
    text: str = getattr(value, "tables_service_value", "") or ""
    return Instant.parse(text) if text else Instant.from_datetime(value)


def _write_token(token: Any) -> str | None:  # noqa: ANN401 - opaque to us
    return json.dumps(token) if token else None


def _read_token(token: str | None) -> Any:  # noqa: ANN401 - opaque to us
    try:
        return json.loads(token) if token is not None else None
    except ValueError:
        return None
