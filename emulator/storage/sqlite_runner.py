"""What the three services of the embedded store need of their file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Runner(Protocol):
    """Executes operations in transactions."""

    async def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Execute one operation."""
        ...


def next_tag(connection: sqlite3.Connection) -> int:
    """A number that no row, blob or receipt of this file has had."""
    return next_tags(connection, 1)[0]


def next_tags(connection: sqlite3.Connection, count: int) -> range:
    """So many of them."""
    found = connection.execute(
        "UPDATE counters SET value = value + ? WHERE name = 'tag' RETURNING value", (count,)
    ).fetchone()
    last = int(found[0])
    return range(last + 1 - count, last + 1)
