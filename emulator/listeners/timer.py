"""Runs a function on a schedule: never twice at a time, never early, and once for what was missed.

Source: WebJobs.Extensions, TimerListener and ScheduleMonitor; reference functions-host.md 4.3.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, cast

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.json_text import compact
from emulator.core.schedule import Schedule, occurrences, shortest_gap
from emulator.errors import DecodeError, StorageError
from emulator.host.function_app import LoadedFunction
from emulator.host.trigger_values import ScheduleStatus, TimerTick
from emulator.listeners.singleton import HOSTS_CONTAINER
from emulator.listeners.work import Surroundings
from emulator.log import fields, get_logger
from emulator.storage.ports import BlobPort

_log = get_logger(__name__)

MONITORED_GAP_MIN: Final = timedelta(minutes=1)
"""A timer that runs more often is not remembered."""
SLEEP_MAX_S: Final = 60.0
"""The clock may be set, and a machine may sleep: look again after so long."""
SLEEP_MIN_S: Final = 1e-6
"""A span is told in whole microseconds, and what is left may be less than one."""
SHOWN_OCCURRENCES: Final = 5


class ScheduleMonitor:
    """Remembers in the store how one timer stands."""

    def __init__(self, blobs: BlobPort, host_id: str, function: str) -> None:
        """Name the timer."""
        self._blobs = blobs
        self._blob = f"timers/{host_id}/Host.Functions.{function}/status"

    async def read(self) -> ScheduleStatus | None:
        """What is remembered; None if nothing is, or nobody can read it."""
        found = await self._blobs.download(HOSTS_CONTAINER, self._blob)
        if found is None:
            return None
        try:
            members = cast("Mapping[str, str]", json.loads(found.content))
            return ScheduleStatus(
                last=Instant.parse(members["Last"]),
                next=Instant.parse(members["Next"]),
                last_updated=Instant.parse(members["LastUpdated"]),
            )
        except (ValueError, TypeError, KeyError, DecodeError):
            return None

    async def write(self, status: ScheduleStatus) -> None:
        """Remember."""
        members = {
            "Last": _offset(status.last),
            "Next": _offset(status.next),
            "LastUpdated": _offset(status.last_updated),
        }
        await self._blobs.upload(HOSTS_CONTAINER, self._blob, compact(members).encode())


def _offset(moment: Instant) -> str:
    return moment.text().replace("Z", "+00:00")


class TimerListener:
    """One function's timer, while this host holds its lock."""

    def __init__(
        self,
        function: LoadedFunction,
        schedule: Schedule,
        monitor: ScheduleMonitor,
        around: Surroundings,
    ) -> None:
        """Nothing runs before run()."""
        self._function = function
        self._schedule = schedule
        self._monitor = monitor
        self._around = around
        self._clock = around.clock
        self._work = around.work
        self._outage = around.outage
        self._status: ScheduleStatus | None = None
        trigger = function.spec.trigger
        self._runs_on_startup = (trigger.text("runOnStartup") or "").lower() == "true"
        self._wants_monitor = (trigger.text("useMonitor") or "true").lower() == "true"

    async def run(self) -> None:
        """Run the function when it is due, until cancelled."""
        await self.start()
        while not self._work.stopping:
            await self.wait()
            await self.fire()

    async def start(self) -> None:
        """See how the timer stands, and run the function at once if it is past due or wants to run on startup."""
        now = self._clock.now()
        self._log_schedule(now)
        remembered = await self._remembered(now)
        self._status = remembered or self._first_status(now)
        if remembered is not None and now > remembered.next:
            await self.fire(past_due=True)
        elif self._runs_on_startup:
            await self.fire(on_startup=True)

    async def wait(self) -> None:
        """Wait until the function is due by the clock."""
        assert self._status is not None
        while True:
            now = self._clock.now()
            if now >= self._status.next:
                return
            left = self._status.next.minus(now).total_seconds()
            await asyncio.sleep(min(max(left, SLEEP_MIN_S), SLEEP_MAX_S))

    async def fire(self, *, past_due: bool = False, on_startup: bool = False) -> None:
        """Run the function once; whatever becomes of it, the timer goes on."""
        if self._work.stopping:
            return
        with self._work.unit():
            await self._fire(past_due=past_due, on_startup=on_startup)

    async def _fire(self, *, past_due: bool, on_startup: bool) -> None:
        assert self._status is not None
        began = self._clock.now()
        tick = TimerTick(
            past_due=past_due,
            adjusts_for_dst=self._schedule.adjusts_for_dst,
            status=self._status if self._is_monitored(began) else None,
        )
        if past_due or on_startup:
            self._log_unscheduled("IsPastDue" if past_due else "RunOnStartup")
        reason = f"Timer fired at {began.text7().replace('Z', '+00:00')}"
        if not await self._around.run(self._function, tick, reason):
            _log.debug("the timer goes on", extra=fields("trigger_failed"))
        await self._advance(began)

    async def _advance(self, began: Instant) -> None:
        following = self._schedule.next_after(began)
        self._status = ScheduleStatus(last=began, next=following, last_updated=began)
        if self._is_monitored(began):
            await self._remember(self._status)

    async def _remembered(self, now: Instant) -> ScheduleStatus | None:
        """The stored status; with a schedule that has changed since, nothing counts as missed."""
        if not self._is_monitored(now):
            return None
        try:
            status = await self._monitor.read()
        except StorageError as error:
            self._outage.given_up("reading timers", error)
            return None
        if status is None or status.next != self._schedule.next_after(status.last_updated):
            status = self._first_status(now)
            await self._remember(status)
        return status

    def _first_status(self, now: Instant) -> ScheduleStatus:
        return ScheduleStatus(
            last=MIN_INSTANT, next=self._schedule.next_after(now), last_updated=now
        )

    async def _remember(self, status: ScheduleStatus) -> None:
        try:
            await self._monitor.write(status)
        except StorageError as error:
            self._outage.given_up("remembering timers", error)

    def _is_monitored(self, now: Instant) -> bool:
        return self._wants_monitor and shortest_gap(self._schedule, now) >= MONITORED_GAP_MIN

    def _log_schedule(self, now: Instant) -> None:
        coming = occurrences(self._schedule, now, SHOWN_OCCURRENCES)
        listed = "\n".join(moment.to_datetime().strftime("%m/%d/%Y %H:%M:%SZ") for moment in coming)
        _log.info(
            "The next %d occurrences of the '%s' schedule (%s) will be:\n%s",
            SHOWN_OCCURRENCES,
            self._function.name,
            self._schedule,
            listed,
            extra=fields("timer_scheduled", function=self._function.name),
        )

    def _log_unscheduled(self, reason: str) -> None:
        assert self._status is not None
        _log.info(
            "Trigger Details: UnscheduledInvocationReason: %s, OriginalSchedule: %s",
            reason,
            self._status.next.text7(),
            extra=fields("timer_unscheduled_run", function=self._function.name),
        )
