"""The loops that read control queues in this process: begun when a queue is ours, drained, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from emulator.core.instant import Instant
from emulator.engine.partition_loop import PartitionLoop
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger

_log = get_logger(__name__)
BUSY_LOOK_S: Final = 0.05


class Reading:
    """Which queues are read here, by name."""

    def __init__(
        self,
        hub: TaskHub,
        new_loop: Callable[[int], PartitionLoop],
        *,
        on_change: Callable[[], None],
    ) -> None:
        """Read nothing yet.

        Args:
            new_loop: makes the loop of a partition.
            on_change: called when a loop was started or stopped.
        """
        self._hub = hub
        self._new_loop = new_loop
        self._on_change = on_change
        self._loops: dict[str, PartitionLoop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._draining: dict[str, asyncio.Task[None]] = {}
        self._index = {queue.name: i for i, queue in enumerate(hub.control_queues)}
        self.group: asyncio.TaskGroup | None = None
        """Where loops run; without one, none is begun."""
        self.is_stopping = False
        """Whether no loop is begun any more."""
        self.ready = asyncio.Event()
        """Set once a queue is read; and by whoever makes the passes, if the first has found that others have all."""

    @property
    def loops(self) -> tuple[PartitionLoop, ...]:
        """Those that read a queue now, or drain."""
        return tuple(self._loops.values())

    @property
    def names(self) -> frozenset[str]:
        """The queues of those loops."""
        return frozenset(self._loops)

    @property
    def busy(self) -> frozenset[str]:
        """Queues that cannot be given up yet: something of them is running here, or is being drained."""
        running = {name for name, loop in self._loops.items() if loop.has_running_sessions}
        return frozenset(running | {n for n, task in self._draining.items() if not task.done()})

    def knows(self, name: str) -> bool:
        """Whether the settings count a queue as one of the hub's; there may be more than they say."""
        return name in self._index

    async def begin(self, name: str, until: Instant | None) -> None:
        """Read a queue whose lease lasts until then, or go on reading it."""
        if name in self._loops:
            self._loops[name].hold_until(until)
            return
        if self.group is None:
            return
        if not self.is_stopping:
            await self._hub.storage.queues.create_queue(name)
        # Perhaps since the line before: whoever drains would not see what begins now.
        if self.is_stopping:
            return
        self._draining.pop(name, None)
        loop = self._loops[name] = self._new_loop(self._index[name])
        loop.hold_until(until)
        self._tasks[name] = self.group.create_task(loop.run(), name=f"partition {name}")
        _log.info("partition %s claimed", name, extra=fields("partition_claimed"))
        self.ready.set()
        self._on_change()

    def hold(self, name: str, until: Instant | None) -> None:
        """The lease was renewed."""
        if name in self._loops:
            self._loops[name].hold_until(until)

    def begin_to_drain(self, name: str) -> None:
        """Give a queue up as soon as nothing of it is running any more."""
        if name in self._loops and name not in self._draining and self.group is not None:
            self._draining[name] = self.group.create_task(self._drain(name), name=f"drain {name}")

    async def drain_all(self) -> None:
        """Give everything up, and begin nothing again."""
        self.is_stopping = True
        for name in list(self._loops):
            await self._drain(name)

    async def _drain(self, name: str) -> None:
        loop = self._loops.get(name)
        if loop is None:
            return
        await loop.drain(_look_again)
        self._end(name)

    def _end(self, name: str) -> None:
        loop = self._loops.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        if loop is not None:
            loop.sessions.close()
            self._on_change()

    def lose(self, name: str) -> None:
        """Stop reading at once what somebody else owns now, even if it was being drained."""
        _log.warning(
            "partition %s is owned by someone else now", name, extra=fields("partition_lost")
        )
        self._stop(name)

    def _stop(self, name: str) -> None:
        loop = self._loops.get(name)
        draining = self._draining.pop(name, None)
        if draining is not None:
            draining.cancel()
        self._end(name)
        if loop is not None and self.group is not None:
            self.group.create_task(loop.lose(), name=f"lose {name}")

    def lose_all(self) -> None:
        """Nothing is ours any more."""
        for name in list(self._loops):
            self._stop(name)


async def _look_again() -> None:
    await asyncio.sleep(BUSY_LOOK_S)
