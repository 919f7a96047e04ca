"""The store under test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from emulator.core.instant import Instant
from emulator.storage.ports import (
    Storage,
)

T = TypeVar("T")


@dataclass
class Account:
    """An open store, and how its time passes.

    Attributes:
        storage: the adapter under test, open.
        elapse: lets so many seconds pass as the store sees them: moves its clock, or waits.
        now: the store's time.
        moves_clock: whether long times can be tested.
    """

    storage: Storage
    elapse: Callable[[float], Awaitable[None]]
    now: Callable[[], Instant]
    moves_clock: bool

    def name(self, prefix: str = "t") -> str:
        """A name that no other test uses, good for queues, tables and containers."""
        return f"{prefix}{uuid.uuid1().hex}"


async def together(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Run at the same time."""

    async def run(call: Awaitable[T]) -> T:
        return await call

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(call)) for call in calls]
    return [task.result() for task in tasks]
