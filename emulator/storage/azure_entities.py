"""Rows of the Table service as JSON with the types of its data model, and back.

A type that JSON does not have is named beside the value: `"At@odata.type": "Edm.DateTime"`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.errors import DecodeError
from emulator.storage.ports import Columns, ETag, Int64, Row, RowKey, Value

KEY_COLUMNS: Final = ("PartitionKey", "RowKey", "Timestamp")
_TYPE: Final = "@odata.type"
_NOT_COLUMNS: Final = frozenset({*KEY_COLUMNS, "odata.etag", "odata.metadata", "odata.type"})
_ODD_NUMBERS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}

_to_ascii: Final = json.JSONEncoder(separators=(",", ":")).encode
_to_text: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_ENCODERS: Final[Mapping[type, tuple[str, Callable[[Any], object]]]] = {
    Int64: ("Edm.Int64", lambda value: str(int(value))),
    Instant: ("Edm.DateTime", lambda value: value.text7()),
    bytes: ("Edm.Binary", lambda value: base64.b64encode(value).decode()),
    float: (
        "Edm.Double",
        lambda value: value if math.isfinite(value) else _ODD_NUMBERS.get(value, "NaN"),
    ),
}
"""By type of the value; text, flags and 32-bit numbers are themselves."""

_DECODERS: Final[Mapping[str, Callable[[Any], Value]]] = {
    "Edm.Int64": Int64,
    "Edm.DateTime": Instant.parse,
    "Edm.Binary": base64.b64decode,
    "Edm.Double": float,
    "Edm.Int32": int,
    "Edm.Boolean": bool,
}
"""By name of the type; all others are text to us."""


def encode_entity(key: RowKey, columns: Columns, *, escapes: bool = True) -> bytes:
    """A row to be written.

    Args:
        escapes: whether it is all ASCII. Azurite decodes what it reads piece by piece, so that of a character whose
            bytes come in two pieces two replacement characters are left.
    """
    entity: dict[str, object] = {"PartitionKey": key.partition, "RowKey": key.row}
    for name, value in columns.items():
        encoder = _ENCODERS.get(type(value))
        if encoder is None:
            entity[name] = value
        else:
            kind, encode = encoder
            entity[name + _TYPE] = kind
            entity[name] = encode(value)
    if escapes:
        return _to_ascii(entity).encode()
    text = _to_text(entity)
    # Azurite takes these two for line ends when it reads a transaction.
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can carry
        return _to_ascii(entity).encode()


def decode_entity(body: bytes, etag: str | None) -> Row:
    """The row of an answer.

    Args:
        etag: that of the answer's header, if it has one.

    Raises:
        DecodeError: it is no row.
    """
    return _row(_members(_loaded(body)), etag)


def decode_entities(body: bytes) -> tuple[Row, ...]:
    """The rows of a query's answer.

    Raises:
        DecodeError: it is no list of rows.
    """
    items = _members(_loaded(body)).get("value")
    if not isinstance(items, list):
        raise DecodeError("the answer has no rows")
    return tuple([_row(_members(item), None) for item in cast("list[object]", items)])


def _loaded(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise DecodeError("the answer is no JSON") from error


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DecodeError("the answer has something else in place of a row")
    return cast("dict[str, object]", value)


def _row(entity: dict[str, object], etag: str | None) -> Row:
    try:
        return Row(
            key=RowKey(partition=str(entity["PartitionKey"]), row=str(entity["RowKey"])),
            etag=ETag(etag or str(entity["odata.etag"])),
            timestamp=_timestamp(entity.get("Timestamp")),
            columns=_columns(entity),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DecodeError("the answer has a row that cannot be read") from error


def _timestamp(value: object) -> Instant:
    return Instant.parse(value) if isinstance(value, str) else MIN_INSTANT


def _columns(entity: dict[str, object]) -> Columns:
    columns = {
        name: value
        for name, value in entity.items()
        if name not in _NOT_COLUMNS and value is not None
    }
    for annotation in [name for name in columns if name.endswith(_TYPE)]:
        kind, name = str(columns.pop(annotation)), annotation.removesuffix(_TYPE)
        if name in columns:
            columns[name] = _decoded(kind, columns[name])
    return cast(Columns, columns)


def _decoded(kind: str, value: Any) -> Value:  # noqa: ANN401 - whatever JSON holds
    return _DECODERS.get(kind, str)(value)
