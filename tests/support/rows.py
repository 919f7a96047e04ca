"""Recorded rows as the values that the codecs take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.core.instant import Instant
from emulator.wire.history_row import Value

_KEYS = ("PartitionKey", "RowKey", "Timestamp")


def written(columns: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of a recorded write or reply: JSON with `NAME@odata.type` beside the values that need it."""
    return {
        name: _typed(value, columns.get(f"{name}@odata.type"))
        for name, value in columns.items()
        if value is not None and name not in _KEYS and "odata." not in name
    }


def staged(columns: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of a row of a recorded stage: `{"type", "value"}` each."""
    return {
        name: _typed(cell["value"], cell["type"])
        for name, cell in columns.items()
        if name not in _KEYS and "odata." not in name
    }


def _typed(value: Any, edm: str | None) -> Value:
    return Instant.parse(value) if edm == "Edm.DateTime" else value
