"""Tasks that a host is responsible for: its own, and those that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from emulator.log import fields, get_logger

_log = get_logger(__name__)


class Background:
    """Starts what nobody waits for as a child of the host."""

    def __init__(self) -> None:
        """Nothing can be started before there is a group."""
        self.group: asyncio.TaskGroup | None = None

    def __call__(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Start work; its failure is not the host's."""
        if self.group is None:
            work.close()
            return
        self.group.create_task(_quietly(work), name=name)


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    """The failure of a function called in the background has been logged where it happened."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - user code
        _log.debug("a background call failed: %s", error, extra=fields("request_failed"))


@asynccontextmanager
async def supervised() -> AsyncGenerator[asyncio.TaskGroup]:
    """A task group whose one failure is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def until_ready(ready: asyncio.Event, engine: asyncio.Task[None]) -> None:
    """Wait until the engine is ready; if it ends before, raise what ended it."""
    waiter = asyncio.ensure_future(ready.wait())
    try:
        await asyncio.wait({waiter, engine}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    if engine.done():
        await engine
