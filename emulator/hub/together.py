"""Several storage operations at once."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import Coroutine, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(operations: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Run operations concurrently, or at once if there is only one; their results, in order.

    The first failure cancels the others and is raised as itself, so that callers see the errors that they know.
    """
    waiting = list(operations)
    if len(waiting) <= 1:
        return [await operation for operation in waiting]
    try:
        async with TaskGroup() as group:
            tasks = [group.create_task(operation) for operation in waiting]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
