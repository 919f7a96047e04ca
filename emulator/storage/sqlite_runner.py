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

    def next_tag(self) -> int:
        """A number that no row or blob of this file has had."""
        ...
