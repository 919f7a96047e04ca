"""Filters: evaluated over a row, rendered as OData, and what they say about keys."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, assert_never

from emulator.core.instant import Instant
from emulator.storage.ports import (
    AllOf,
    AnyOf,
    Columns,
    Comparison,
    Condition,
    Filter,
    Int64,
    RowKey,
    Value,
)

PARTITION_KEY: Final = "PartitionKey"
ROW_KEY: Final = "RowKey"

_OPERATORS: Final[dict[Comparison, Callable[[Any, Any], bool]]] = {
    Comparison.EQ: operator.eq,
    Comparison.GE: operator.ge,
    Comparison.GT: operator.gt,
    Comparison.LE: operator.le,
    Comparison.LT: operator.lt,
}


def matches(where: Filter, key: RowKey, columns: Columns) -> bool:
    """Whether a row passes. A condition on an absent column, or on one of another type, is false."""
    match where:
        case Condition():
            value = _value(where.column, key, columns)
            if value is None or isinstance(value, str) != isinstance(where.value, str):
                return False
            return _OPERATORS[where.op](value, where.value)
        case AllOf():
            return all(matches(part, key, columns) for part in where.parts)
        case AnyOf():
            return any(matches(part, key, columns) for part in where.parts)
        case _:
            assert_never(where)


def _value(column: str, key: RowKey, columns: Columns) -> Value | None:
    if column == PARTITION_KEY:
        return key.partition
    if column == ROW_KEY:
        return key.row
    return columns.get(column)


def odata_text(where: Filter) -> str:
    """The filter as the real provider writes it: parts in parentheses, a single one bare."""
    match where:
        case Condition():
            return f"{where.column} {where.op} {_literal(where.value)}"
        case AllOf():
            return " and ".join(f"({odata_text(part)})" for part in where.parts)
        case AnyOf():
            return " or ".join(odata_text(part) for part in where.parts)
        case _:
            assert_never(where)


def _literal(value: Value) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case bool():
            return "true" if value else "false"
        case Instant():
            return f"datetime'{value.text7()}'"
        case Int64():
            return f"{int(value)}L"
        case bytes():
            return f"X'{value.hex()}'"
        case int() | float():
            return repr(value)
        case _:
            assert_never(value)


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Partition keys that a filter can match: from `low` on, below `high` (or equal to `low` if `exact`)."""

    low: str = ""
    high: str | None = None
    exact: bool = False

    def holds(self, partition: str) -> bool:
        """Whether a partition lies in the range."""
        if self.exact:
            return partition == self.low
        return partition >= self.low and (self.high is None or partition < self.high)


EVERYTHING: Final = KeyRange()


def key_range(where: Filter | None) -> KeyRange:
    """A range that holds every partition in which rows may match; it may hold more."""
    if isinstance(where, Condition):
        return _condition_range(where)
    if not isinstance(where, AllOf):
        return EVERYTHING
    ranges = [key_range(part) for part in where.parts]
    for found in ranges:
        if found.exact:
            return found
    highs = [found.high for found in ranges if found.high is not None]
    return KeyRange(max(found.low for found in ranges), min(highs) if highs else None)


def _condition_range(condition: Condition) -> KeyRange:
    if condition.column != PARTITION_KEY or not isinstance(condition.value, str):
        return EVERYTHING
    match condition.op:
        case Comparison.EQ:
            return KeyRange(condition.value, exact=True)
        case Comparison.GE | Comparison.GT:
            return KeyRange(condition.value)
        case Comparison.LT:
            return KeyRange("", condition.value)
        case Comparison.LE:
            return EVERYTHING
