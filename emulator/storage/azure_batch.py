"""Writes of rows as HTTP requests, and many of them as the parts of one: an entity-group transaction.

Written and read by hand. The standard library's MIME classes spend a hundred times as long, and only this much of
MIME is ever sent. Source: "Performing entity group transactions" of the Table service's REST reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import quote

from emulator.errors import DecodeError
from emulator.storage.azure_entities import encode_entity
from emulator.storage.ports import RowKey, Write, WriteKind
from emulator.storage.rules import TRANSACTION_BYTES_MAX

_BATCH: Final = "batch_of_writes"
_CHANGESET: Final = "changeset_of_writes"
"""Boundaries may be fixed: they stand at the start of a line, and the JSON in between has no line ends."""
BATCH_CONTENT_TYPE: Final = f"multipart/mixed; boundary={_BATCH}"
JSON_HEADERS: Final = {"Content-Type": "application/json", "Prefer": "return-no-content"}
_METHODS: Final = {
    WriteKind.INSERT: "POST",
    WriteKind.REPLACE: "PUT",
    WriteKind.UPSERT_REPLACE: "PUT",
    WriteKind.MERGE: "PATCH",
    WriteKind.UPSERT_MERGE: "PATCH",
    WriteKind.DELETE: "DELETE",
}
_CONDITIONAL: Final = frozenset({WriteKind.REPLACE, WriteKind.MERGE, WriteKind.DELETE})
_DEPTH_MAX: Final = 2
"""A batch holds changesets, a changeset holds answers."""
_BOUNDARY: Final = re.compile(r'boundary="?([^";\s]+)', re.IGNORECASE)
_PLACE: Final = re.compile(r"(\d{1,3}):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One write as a request; `path` is below the endpoint."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The answer to one write of a transaction, or to the one that was refused. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


def key_path(table: str, key: RowKey) -> str:
    """The path of a row."""
    return f"/{table}(PartitionKey='{_quoted(key.partition)}',RowKey='{_quoted(key.row)}')"


def _quoted(text: str) -> str:
    return quote(text.replace("'", "''"), safe="", errors="replace")


def operation(table: str, write: Write, *, escapes: bool = True) -> Operation:
    """One write as a request; see encode_entity() for `escapes`."""
    is_delete = write.kind is WriteKind.DELETE
    headers = {} if is_delete else dict(JSON_HEADERS)
    if write.kind in _CONDITIONAL:
        headers["If-Match"] = write.etag
    return Operation(
        method=_METHODS[write.kind],
        path=f"/{table}" if write.kind is WriteKind.INSERT else key_path(table, write.key),
        headers=headers,
        body=b"" if is_delete else encode_entity(write.key, write.columns, escapes=escapes),
    )


def encode_batch(endpoint: str, table: str, writes: Sequence[Write]) -> bytes:
    """The body of a transaction, to be sent with BATCH_CONTENT_TYPE; without escapes if it would be too large."""
    body = _encoded(endpoint, table, writes, escapes=True)
    if len(body) > TRANSACTION_BYTES_MAX:
        return _encoded(endpoint, table, writes, escapes=False)
    return body


def _encoded(endpoint: str, table: str, writes: Sequence[Write], *, escapes: bool) -> bytes:
    pieces = [
        f"--{_BATCH}\r\nContent-Type: multipart/mixed; boundary={_CHANGESET}\r\n\r\n".encode()
    ]
    for number, write in enumerate(writes):
        each = operation(table, write, escapes=escapes)
        headers = "".join([f"{name}: {value}\r\n" for name, value in each.headers.items()])
        pieces.append(
            f"--{_CHANGESET}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {number}\r\n\r\n{each.method} {endpoint}{each.path} HTTP/1.1\r\n{headers}"
            f"Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n"
            f"Content-Length: {len(each.body)}\r\n\r\n".encode()
        )
        pieces += (each.body, b"\r\n")
    pieces.append(f"--{_CHANGESET}--\r\n--{_BATCH}--\r\n".encode())
    return b"".join(pieces)


def decode_batch(content_type: str, body: bytes) -> tuple[Part, ...]:
    """The parts of a transaction's answer, in order.

    Raises:
        DecodeError: it is cut off or is no such answer.
    """
    return tuple(_parts(content_type, body, _DEPTH_MAX))


def _parts(content_type: str, body: bytes, depth: int) -> Iterator[Part]:
    for piece in _split(content_type, body):
        headers, content = _headers_and_rest(piece)
        kind = headers.get("content-type", "")
        if kind.startswith("multipart/") and depth > 1:
            yield from _parts(kind, content, depth - 1)
        elif kind.startswith("application/http"):
            yield _part(content)
        else:
            raise DecodeError(f"a part of the answer is of the type {kind!r}")


def _split(content_type: str, body: bytes) -> list[bytes]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise DecodeError("the answer names no boundary")
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + found[1].encode())
    if not pieces or not pieces[-1].startswith(b"--"):
        raise DecodeError("the answer has no end")
    return pieces[:-1]


def _headers_and_rest(text: bytes) -> tuple[dict[str, str], bytes]:
    """What follows the first line end: headers up to an empty line, and the rest."""
    head, gap, rest = text.partition(b"\r\n\r\n")
    if not gap:
        raise DecodeError("a part of the answer has no end of its headers")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers, rest


def _part(content: bytes) -> Part:
    version, _, rest = content.partition(b" ")
    digits = rest[:3]
    if not version.startswith(b"HTTP/") or not digits.isdigit():
        raise DecodeError("a part of the answer has no status")
    headers, body = _headers_and_rest(content)
    return Part(status=int(digits), headers=headers, body=body)


def failed_index(part: Part, count: int) -> int | None:
    """Which of `count` writes a refusal is about; the service puts the number before its message."""
    try:
        error = cast("dict[str, dict[str, dict[str, str]]]", json.loads(part.body))["odata.error"]
        found = _PLACE.match(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        return None
    return int(found[1]) if found is not None and int(found[1]) < count else None
