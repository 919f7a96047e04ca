"""Writes down, a little later and all at once, that instances have moved on.

An episode that changes nothing that the Instances row shows, but the time of the last change, does not write the row:
most such episodes are followed by one that does. What is still to be written after a second is written then. A process
that dies before loses nothing but that time.
"""

from __future__ import annotations

import asyncio
from typing import Final

from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.engine.outage import Outage
from emulator.engine.session import Loaded
from emulator.errors import StorageError
from emulator.hub.task_hub import TaskHub
from emulator.hub.together import together
from emulator.wire import instance_row

DELAY_S: Final = 1.0
AT_ONCE_MAX: Final = 16
"""Rows written concurrently."""


class Touches:
    """The times that are still to be written."""

    def __init__(self, hub: TaskHub, outage: Outage) -> None:
        """Nothing is to be written yet."""
        self._hub = hub
        self._outage = outage
        self._waiting: dict[InstanceId, tuple[Loaded, Instant]] = {}
        self._some = asyncio.Event()

    def later(self, instance: InstanceId, loaded: Loaded, changed_at: Instant) -> None:
        """An instance has moved on."""
        self._waiting[instance] = (loaded, changed_at)
        self._some.set()

    def forget(self, instance: InstanceId) -> None:
        """The row is being written anyway, or is not ours to write any more."""
        self._waiting.pop(instance, None)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(DELAY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits now."""
        self._some.clear()
        waiting, self._waiting = self._waiting, {}
        items = list(waiting.items())
        for start in range(0, len(items), AT_ONCE_MAX):
            some = items[start : start + AT_ONCE_MAX]
            await together(self._write(instance, *item) for instance, item in some)

    async def _write(self, instance: InstanceId, loaded: Loaded, changed_at: Instant) -> None:
        columns = instance_row.touched_columns(changed_at)
        try:
            tag = await self._hub.instances.project(instance, columns, etag=loaded.row)
        except StorageError as error:
            self._outage.given_up("writing the time of an instance", error)
            return
        if tag is not None:  # else it was purged, or whoever wrote it knows better
            loaded.found_row(tag)
