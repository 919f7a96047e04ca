"""The Table service of Azure Storage: rows through plain REST calls, the rest through the SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, cast

from azure.data.tables.aio import TableServiceClient

from emulator.errors import DecodeError
from emulator.storage.azure_batch import (
    BATCH_CONTENT_TYPE,
    Part,
    decode_batch,
    encode_batch,
    failed_index,
    key_path,
    operation,
)
from emulator.storage.azure_entities import KEY_COLUMNS, decode_entities, decode_entity
from emulator.storage.azure_errors import code_in_body
from emulator.storage.azure_rest import Answer, RestService, refused, unreadable
from emulator.storage.azure_signing import Repeat, Request
from emulator.storage.azure_tables import AzureTables
from emulator.storage.filters import odata_text
from emulator.storage.ports import (
    PAGE_ROWS_MAX,
    ETag,
    Filter,
    Row,
    RowKey,
    RowPage,
    Write,
    WriteKind,
)
from emulator.storage.rules import check_transaction

TABLE_HEADERS: Final = {
    "x-ms-version": "2020-12-06",
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
}
_UPSERTS: Final = frozenset({WriteKind.UPSERT_MERGE, WriteKind.UPSERT_REPLACE})
_TOKEN: Final = {"NextPartitionKey": "PartitionKey", "NextRowKey": "RowKey"}
"""A continuation's query parameters, which are the ends of its headers' names too, and their names in our token."""


class RestTables(AzureTables):
    """storage.ports.TablePort; whatever reads or writes rows skips the SDK."""

    def __init__(self, service: TableServiceClient, rest: RestService) -> None:
        """Use an open client for what is rare."""
        super().__init__(service)
        self._rest = rest

    async def get(self, table: str, key: RowKey) -> Row | None:
        """See TablePort."""
        request = Request(
            what=f"reading a row of table {table}", method="GET", path=key_path(table, key)
        )
        answer = await self._rest.ask(request)
        if answer.status == 404 and answer.code != "TableNotFound":
            return None
        if answer.status != 200:
            raise refused(request, answer, answer.status, answer.code)
        try:
            return decode_entity(answer.body, answer.headers.get("etag"))
        except DecodeError as error:
            raise unreadable(request) from error

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
        if token is None:
            return RowPage(rows=(), continuation=None)
        query = {"$top": str(PAGE_ROWS_MAX if top is None else top), **token}
        if where is not None:
            query["$filter"] = odata_text(where)
        if select is not None:
            query["$select"] = ",".join((*select, *KEY_COLUMNS))
        request = Request(
            what=f"querying table {table}", method="GET", path=f"/{table}()", query=query
        )
        answer = await self._rest.send(request)
        try:
            rows = decode_entities(answer.body)
        except DecodeError as error:
            raise unreadable(request) from error
        return RowPage(rows=rows, continuation=_write_token(answer.headers))

    async def write(self, table: str, write: Write) -> ETag | None:
        """See TablePort."""
        each = operation(table, write)
        request = Request(
            what=f"writing a row of table {table}",
            method=each.method,
            path=each.path,
            headers=each.headers,
            body=each.body or None,
            repeat=_repeat((write,)),
        )
        answer = await self._rest.send(request)
        return _etag(request, write, answer.headers.get("etag"))

    async def transact(self, table: str, writes: Sequence[Write]) -> tuple[ETag | None, ...]:
        """See TablePort."""
        check_transaction(writes)
        request = Request(
            what=f"writing {len(writes)} rows of table {table} in one transaction",
            method="POST",
            path="/$batch",
            headers={"Content-Type": BATCH_CONTENT_TYPE},
            body=encode_batch(self._rest.endpoint, table, writes),
            repeat=_repeat(writes),
        )
        answer = await self._rest.send(request)
        parts = _parts(request, answer, len(writes))
        return tuple(
            [
                _etag(request, write, part.headers.get("etag"))
                for write, part in zip(writes, parts, strict=True)
            ]
        )


def _repeat(writes: Sequence[Write]) -> Repeat:
    return Repeat.FREELY if all(write.kind in _UPSERTS for write in writes) else Repeat.GUARDED


def _etag(request: Request, write: Write, etag: str | None) -> ETag | None:
    if write.kind is WriteKind.DELETE:
        return None
    if not etag:
        raise unreadable(request)
    return ETag(etag)


def _parts(request: Request, answer: Answer, count: int) -> tuple[Part, ...]:
    """The answers to all writes of a transaction; raises what the one says that was refused."""
    try:
        parts = decode_batch(answer.headers.get("content-type", ""), answer.body)
    except DecodeError as error:
        raise unreadable(request) from error
    for part in parts:
        if part.status >= 300:
            code = code_in_body(part.body.decode("utf-8", "replace"))
            raise refused(request, answer, part.status, code, failed_index(part, count))
    if len(parts) != count:
        raise unreadable(request)
    return parts


def _write_token(headers: Mapping[str, str]) -> str | None:
    found = {
        name: value
        for parameter, name in _TOKEN.items()
        if (value := headers.get(f"x-ms-continuation-{parameter.lower()}"))
    }
    return json.dumps(found) if found else None


def _read_token(token: str | None) -> dict[str, str] | None:
    """The query parameters of a page; None if the token is none of ours."""
    if token is None:
        return {}
    try:
        found: object = json.loads(token)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    members = cast("dict[str, object]", found)
    return {
        parameter: value
        for parameter, name in _TOKEN.items()
        if isinstance(value := members.get(name), str)
    } or None
