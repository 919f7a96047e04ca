"""Timers step by step, under a clock that is moved, on the memory store."""

from __future__ import annotations

import json
from datetime import timedelta

import azure.functions as func
import pytest

from bindings.registry import Registry
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.schedule import parse_schedule
from emulator.listeners.singleton import HOSTS_CONTAINER
from emulator.listeners.timer import ScheduleMonitor, TimerListener
from emulator.storage.memory import MemoryStorage
from tests.support.clocks import CountedIds, ManualClock
from tests.support.functions import ScriptedInvoker, binding, function, surroundings

EVERY_FIVE_MINUTES = "0 */5 * * * *"
STATUS = "timers/app/Host.Functions.work/status"


class Bench:
    """One timer, and the store that outlives it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.storage = MemoryStorage(self.clock, CountedIds())
        self.invoker = ScriptedInvoker()

    async def start(
        self, schedule: str = EVERY_FIVE_MINUTES, **properties: object
    ) -> TimerListener:
        await self.storage.blobs.create_container(HOSTS_CONTAINER)
        listener = TimerListener(
            function(binding("timerTrigger", schedule=schedule, **properties)),
            parse_schedule(schedule),
            ScheduleMonitor(self.storage.blobs, "app", "work"),
            surroundings(self.invoker, clock=self.clock),
        )
        await listener.start()
        return listener

    async def remembered(self) -> dict[str, str] | None:
        found = await self.storage.blobs.download(HOSTS_CONTAINER, STATUS)
        return None if found is None else json.loads(found.content)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_new_timer_waits_for_its_time_and_is_remembered(bench: Bench) -> None:
    await bench.start()
    assert bench.invoker.values == []
    assert await bench.remembered() == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2026-11-24T12:05:00+00:00",
        "LastUpdated": "2026-11-24T12:00:00+00:00",
    }


async def test_a_timer_that_is_due_tells_how_it_stands(bench: Bench) -> None:
    listener = await bench.start()
    bench.clock.move(300)
    await listener.wait()
    await listener.fire()
    [tick] = bench.invoker.values
    assert not tick.past_due
    assert tick.status.last == MIN_INSTANT
    assert tick.status.next == Instant.parse("2026-11-24T12:05:00Z")
    assert bench.invoker.reasons == ["Timer fired at 2026-11-24T12:05:00.0000000+00:00"]
    remembered = await bench.remembered()
    assert remembered is not None
    assert remembered["Next"] == "2026-11-24T12:10:00+00:00"


async def test_what_was_missed_is_made_up_for_once(bench: Bench) -> None:
    await bench.start()
    bench.clock.move(3600)
    await bench.start()
    assert [tick.past_due for tick in bench.invoker.values] == [True]
    await bench.start()
    assert len(bench.invoker.values) == 1, "the next start finds nothing missed"


async def test_a_changed_schedule_has_missed_nothing(bench: Bench) -> None:
    await bench.start()
    bench.clock.move(3600)
    await bench.start("0 0 0 * * *")
    assert bench.invoker.values == []
    remembered = await bench.remembered()
    assert remembered is not None
    assert remembered["Next"] == "2026-11-25T00:00:00+00:00"


UNREMEMBERED = [
    ("*/10 * * * * *", {}),
    ("00:00:30", {}),
    (EVERY_FIVE_MINUTES, {"useMonitor": False}),
]


@pytest.mark.parametrize(("schedule", "properties"), UNREMEMBERED)
async def test_frequent_and_unmonitored_timers_are_not_remembered(
    bench: Bench, schedule: str, properties: dict[str, object]
) -> None:
    listener = await bench.start(schedule, **properties)
    bench.clock.move(3600)
    await listener.fire()
    await bench.start(schedule, **properties)
    assert await bench.remembered() is None
    assert [(tick.past_due, tick.status) for tick in bench.invoker.values] == [(False, None)]


async def test_a_timer_may_run_at_the_start(bench: Bench) -> None:
    await bench.start(runOnStartup=True)
    await bench.start(runOnStartup=True)
    assert [tick.past_due for tick in bench.invoker.values] == [False, False]


async def test_past_due_comes_before_running_on_startup(bench: Bench) -> None:
    await bench.start()
    bench.clock.move(3600)
    await bench.start(runOnStartup=True)
    assert [tick.past_due for tick in bench.invoker.values] == [True]


async def test_a_failure_does_not_stop_the_timer(bench: Bench) -> None:
    bench.invoker.fails = lambda tick: True
    listener = await bench.start()
    for _ in range(2):
        bench.clock.move(300)
        await listener.wait()
        await listener.fire()
    assert len(bench.invoker.values) == 2


async def test_a_run_that_takes_longer_than_the_interval_is_followed_by_one_more(
    bench: Bench,
) -> None:
    def takes_long(tick: object) -> bool:
        bench.clock.move(720)
        return False

    bench.invoker.fails = takes_long
    listener = await bench.start()
    bench.clock.move(300)
    await listener.fire()
    await listener.wait()
    bench.invoker.fails = lambda tick: False
    await listener.fire()
    remembered = await bench.remembered()
    assert remembered is not None
    assert remembered["Next"] == "2026-11-24T12:20:00+00:00", "the ticks between are gone"


async def test_an_interval_begins_with_the_run_before(bench: Bench) -> None:
    listener = await bench.start("01:00:00")
    bench.clock.move(timedelta(hours=1).total_seconds())
    await listener.fire()
    remembered = await bench.remembered()
    assert remembered is not None
    assert remembered["Next"] == "2026-11-24T14:00:00+00:00"


@pytest.mark.parametrize("stored", [b"", b"[]", b'{"Last": "x", "Next": "y", "LastUpdated": "z"}'])
async def test_a_status_that_nobody_can_read_counts_as_none(bench: Bench, stored: bytes) -> None:
    await bench.storage.blobs.create_container(HOSTS_CONTAINER)
    await bench.storage.blobs.upload(HOSTS_CONTAINER, STATUS, stored)
    await bench.start()
    assert bench.invoker.values == []
    assert await bench.remembered() is not None


async def test_user_code_is_given_a_timer_request(bench: Bench) -> None:
    listener = await bench.start()
    bench.clock.move(300)
    await listener.fire(past_due=True)
    [tick] = bench.invoker.values
    trigger = binding("timerTrigger", schedule=EVERY_FIVE_MINUTES)
    request = Registry().decode_trigger(trigger, tick, func.TimerRequest)
    assert isinstance(request, func.TimerRequest)
    assert request.past_due
    assert request.schedule == {"AdjustForDST": True}
    assert request.schedule_status == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2026-11-24T12:05:00+00:00",
        "LastUpdated": "2026-11-24T12:00:00+00:00",
    }
