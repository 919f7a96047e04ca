"""All listeners of an app, as children of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulator.core.schedule import parse_schedule
from emulator.engine.clock import Clock, IdSource
from emulator.engine.outage import Outage
from emulator.errors import ConfigError
from emulator.host.binding_api import TriggerKind
from emulator.host.blob_path import parse_blob_path
from emulator.host.function_app import FunctionApp, LoadedFunction
from emulator.host.invoker import Invoker
from emulator.listeners.blob import BlobListener
from emulator.listeners.queue import QueueListener
from emulator.listeners.singleton import Singleton
from emulator.listeners.timer import ScheduleMonitor, TimerListener
from emulator.listeners.work import Surroundings, Work
from emulator.log import fields, get_logger
from emulator.settings import Settings
from emulator.storage.ports import Storage

_log = get_logger(__name__)

TIME_ZONE_SETTING: Final = "WEBSITE_TIME_ZONE"
RESTART_S: Final = 5.0
"""Before a listener that failed begins anew."""

DRAIN_S: Final = 5.0
"""How long what runs may go on when the host stops."""

OpenStorage = Callable[[str | None], Awaitable[Storage]]
"""The open store of a connection, None meaning the app's own."""


class Listeners:
    """Starts what starts functions."""

    def __init__(
        self,
        app: FunctionApp,
        invoker: Invoker,
        settings: Settings,
        storage: OpenStorage,
        *,
        clock: Clock,
        ids: IdSource,
        outage: Outage,
    ) -> None:
        """Nothing listens before run().

        Args:
            outage: of the app's own store, which the engine uses too.
        """
        self._own_outage = outage
        self._outages: dict[str, Outage] = {}
        self._app = app
        self._invoker = invoker
        self._settings = settings
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._work = Work()
        self._not_up = {f.name for kind in self._kinds() for f in app.of_kind(kind)}
        self.up = asyncio.Event()
        """Every listener has its store and looks out, or has said why it never will."""
        if not self._not_up:
            self.up.set()

    @property
    def awaited(self) -> str | None:
        """What has to come before every listener is up; None once all are."""
        if not self._not_up:
            return None
        return f"the stores that these triggers listen to: {', '.join(sorted(self._not_up))}"

    def _kinds(self) -> dict[TriggerKind, Callable[[LoadedFunction], Awaitable[None]]]:
        return {
            TriggerKind.TIMER: self._timer,
            TriggerKind.QUEUE: self._queue,
            TriggerKind.BLOB: self._blob,
        }

    def _is_up(self, name: str) -> None:
        self._not_up.discard(name)
        if not self._not_up:
            self.up.set()

    async def run(self) -> None:
        """Listen for all functions until cancelled; then what runs may end for a while, and the rest is given back.

        A function whose store cannot be used is said to be in error.
        """
        async with asyncio.TaskGroup() as group:
            for kind, listen in self._kinds().items():
                for function in self._app.of_kind(kind):
                    group.create_task(
                        self._guarded(function, listen), name=f"listener of {function.name}"
                    )
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.shield(self._work.drain(DRAIN_S))

    async def _guarded(
        self, function: LoadedFunction, listen: Callable[[LoadedFunction], Awaitable[None]]
    ) -> None:
        while True:
            try:
                await listen(function)
            except ConfigError as error:
                self._is_up(function.name)
                _log.error(
                    "The listener for function '%s' was unable to start: %s",
                    function.name,
                    error,
                    extra=fields("trigger_failed", function=function.name),
                )
                return
            except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the others
                _log.exception(
                    "the listener for function '%s' failed and begins anew",
                    function.name,
                    exc_info=error,
                    extra=fields("trigger_failed", function=function.name),
                )
            await asyncio.sleep(RESTART_S)

    async def _timer(self, function: LoadedFunction) -> None:
        own = await self._storage(None)
        around = self._around(function, own)
        schedule = parse_schedule(function.spec.trigger.text("schedule") or "", self._zone())
        monitor = ScheduleMonitor(own.blobs, around.host_id, function.name)

        async def listen() -> None:
            await TimerListener(function, schedule, monitor, around).run()

        await Singleton(own.blobs, function.name, around).run(listen)

    async def _queue(self, function: LoadedFunction) -> None:
        storage = await self._storage(function.spec.trigger.text("connection"))
        around = self._around(function, storage)
        await QueueListener(function, storage.queues, self._settings.queues, around).run()

    async def _blob(self, function: LoadedFunction) -> None:
        own = await self._storage(None)
        trigger = function.spec.trigger
        storage = await self._storage(trigger.text("connection"))
        path = parse_blob_path(trigger.text("path") or "")
        around = self._around(function, storage)

        async def listen() -> None:
            await BlobListener(function, path, storage, own, around).run()

        await Singleton(own.blobs, function.name, around).run(listen)

    def _zone(self) -> tzinfo:
        """The zone by whose clock timers go."""
        name = self._settings.app.get(TIME_ZONE_SETTING)
        if not name:
            return UTC
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigError(
                f"{TIME_ZONE_SETTING} is {name!r}, which names no time zone here; use a name such as Europe/Berlin, or "
                "remove it for UTC"
            ) from error

    def _around(self, function: LoadedFunction, storage: Storage) -> Surroundings:
        """What a listener has once its store is open; it is up from here on."""
        self._is_up(function.name)
        return Surroundings(
            invoker=self._invoker,
            host_id=self._settings.host_id,
            clock=self._clock,
            ids=self._ids,
            work=self._work,
            outage=self._outage(storage),
        )

    def _outage(self, storage: Storage) -> Outage:
        """One for all that use a store, so that its loss is told once."""
        own = self._own_outage
        if storage.description == own.store:
            return own
        new = Outage(storage.description, self._clock)
        return self._outages.setdefault(storage.description, new)
