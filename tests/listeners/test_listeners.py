"""All listeners of an app together, in virtual time on the memory store."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.engine.outage import Outage
from emulator.errors import ConfigError
from emulator.host.function_app import FunctionApp, LoadedFunction
from emulator.listeners.listeners import DRAIN_S, Listeners
from emulator.listeners.singleton import HOSTS_CONTAINER
from emulator.settings import AppSettings, Settings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.functions import ScriptedInvoker, binding, function

EVERY_MINUTE = "0 * * * * *"


class Slow(ScriptedInvoker):
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def invoke(self, function: LoadedFunction, value: Any, *, reason: str = "") -> Any:
        await asyncio.sleep(self.seconds)
        return await super().invoke(function, value, reason=reason)


class Bench:
    """An app with one function, and its listeners."""

    def __init__(self, work: LoadedFunction, invoker: ScriptedInvoker, zone: str = "") -> None:
        clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
        values = {"WEBSITE_TIME_ZONE": zone} if zone else {}
        self.storage = MemoryStorage(clock, ids)
        self.invoker = invoker
        self.listeners = Listeners(
            FunctionApp(root=Path(), functions=(work,)),
            invoker,  # type: ignore[arg-type]
            Settings(app=AppSettings(root=Path(), values=values), host_id="app"),
            self._open,
            clock=clock,
            ids=ids,
            outage=Outage(self.storage.description, clock),
        )

    async def _open(self, connection: str | None) -> Storage:
        if connection == "Nowhere":
            raise ConfigError("there is no setting for the connection 'Nowhere'")
        return self.storage

    async def run(self, seconds: float) -> float:
        """Listen for a while and stop; how long the stop took."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.listeners.run())
            await asyncio.sleep(seconds)
            task.cancel()
            stopped = loop.time()
            await asyncio.wait({task})
        return loop.time() - stopped


def play(
    work: LoadedFunction,
    scene: Callable[[Bench], Awaitable[None]],
    invoker: ScriptedInvoker,
    zone: str = "",
) -> None:
    async def main() -> None:
        await scene(Bench(work, invoker, zone))

    run_virtually(main())


def test_a_timer_runs_on_time_hour_after_hour() -> None:
    async def scene(bench: Bench) -> None:
        await bench.run(6 * 3600 + 1)
        assert [reason.partition(".")[0] for reason in bench.invoker.reasons] == [
            f"Timer fired at 2026-11-24T{hour}:00:00" for hour in range(13, 19)
        ]

    play(function(binding("timerTrigger", schedule="0 0 * * * *")), scene, ScriptedInvoker())


def test_a_timer_goes_by_the_clock_of_the_apps_zone() -> None:
    async def scene(bench: Bench) -> None:
        await bench.run(4 * 3600)
        assert [reason.partition(".")[0] for reason in bench.invoker.reasons] == [
            "Timer fired at 2026-11-24T15:00:00"
        ]

    work = function(binding("timerTrigger", schedule="0 0 16 * * *"))
    play(work, scene, ScriptedInvoker(), "Europe/Berlin")


def test_a_zone_that_nobody_knows_is_said_and_its_timers_do_not_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(bench: Bench) -> None:
        await bench.run(120)
        assert bench.invoker.values == []

    with caplog.at_level(logging.ERROR):
        work = function(binding("timerTrigger", schedule=EVERY_MINUTE))
        play(work, scene, ScriptedInvoker(), "Middle Earth")
    assert "WEBSITE_TIME_ZONE is 'Middle Earth', which names no time zone here" in caplog.text


def test_what_runs_may_end_when_the_host_stops() -> None:
    async def scene(bench: Bench) -> None:
        took = await bench.run(61)
        assert len(bench.invoker.values) == 1
        assert 0 < took < DRAIN_S
        status = await bench.storage.blobs.download(
            HOSTS_CONTAINER, "timers/app/Host.Functions.work/status"
        )
        assert status is not None
        assert b'"Next":"2026-11-24T12:02:00' in status.content, "and is remembered"

    play(function(binding("timerTrigger", schedule=EVERY_MINUTE)), scene, Slow(3))


def test_what_does_not_end_in_time_is_cut_off() -> None:
    async def scene(bench: Bench) -> None:
        took = await bench.run(61)
        assert bench.invoker.values == []
        assert took == pytest.approx(DRAIN_S, abs=0.1)

    play(function(binding("timerTrigger", schedule=EVERY_MINUTE)), scene, Slow(1000))


def test_nothing_new_begins_while_the_host_stops() -> None:
    async def scene(bench: Bench) -> None:
        await bench.storage.queues.create_queue("in")
        for number in range(40):
            text = base64.b64encode(str(number).encode()).decode()
            await bench.storage.queues.put("in", text)
        await bench.run(1)
        done = len(bench.invoker.values)
        assert done in (16, 32), "whole batches"
        assert await bench.storage.queues.message_count("in") == 40 - done

    play(function(binding("queueTrigger", queueName="in")), scene, Slow(2))


def test_a_blob_is_found_within_seconds() -> None:
    async def scene(bench: Bench) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.listeners.run())
            await asyncio.sleep(60)
            await bench.storage.blobs.create_container("in")
            await bench.storage.blobs.upload("in", "a", b"1")
            await asyncio.sleep(3)
            assert [item.name for item in bench.invoker.values] == ["a"]
            task.cancel()

    play(function(binding("blobTrigger", path="in/{name}")), scene, ScriptedInvoker())


def test_a_connection_without_a_setting_stops_that_listener_only_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(bench: Bench) -> None:
        await bench.run(10)

    trigger = binding("queueTrigger", queueName="in", connection="Nowhere")
    with caplog.at_level(logging.ERROR):
        play(function(trigger), scene, ScriptedInvoker())
    [record] = caplog.records
    assert record.getMessage() == (
        "The listener for function 'work' was unable to start: there is no setting for the connection 'Nowhere'"
    )


def test_a_defect_of_ours_is_logged_and_the_listener_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(ScriptedInvoker):
        async def invoke(self, function: Any, value: Any, *, reason: str = "") -> Any:
            await super().invoke(function, value, reason=reason)
            raise RuntimeError("a defect")

    async def scene(bench: Bench) -> None:
        await bench.run(200)
        assert len(bench.invoker.values) >= 2

    with caplog.at_level(logging.ERROR):
        play(function(binding("timerTrigger", schedule=EVERY_MINUTE)), scene, Broken())
    assert "failed and begins anew" in caplog.text
