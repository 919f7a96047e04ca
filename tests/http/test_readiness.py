"""Requests that come before leases and listeners are up. Source: reference functions-host.md 3.1 and 3.9."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from azurite import Ports
from emulator import config
from emulator.compose import make_storage
from emulator.engine.clock import SystemClock, SystemIds
from emulator.engine.outage import Outage
from emulator.engine.partition_manager import PartitionManager
from emulator.http.readiness import NotReadyError, Readiness
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.stores import Stores
from emulator.testing.chance import SeededIds
from emulator.testing.faults import Call, Fault, FaultyStorage, Injector
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.apps import v2_app
from tests.support.hosts import DURABLE, Caller, Place, calling, eventually, hosting, started
from tests.support.partitions import idle_loops

APP = """
@app.route(route="here")
def here(req): return "here"

@app.generic_trigger(arg_name="text", type="manualTrigger")
def by_hand(text: str): pass
"""
TICKS = """
@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def ticks(timer: func.TimerRequest): pass
"""
HELD = (
    ("GET", "/api/here"),
    ("GET", f"{DURABLE}/instances"),
    ("GET", "/admin/extensions/DurableTaskExtension/instances"),
    ("POST", "/admin/functions/by_hand"),
)
ANSWERED = (200, 200, 200, 202)
AT_ONCE = ("/admin/host/ping", "/admin/host/status", "/admin/functions", "/")
SHORT = {"readiness_timeout": timedelta(seconds=0.2)}


async def answers(caller: Caller) -> list[tuple[int, str]]:
    """Status and text of each request that must wait, sent together."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(caller.call(method, path, json={"input": "x"}))
            for method, path in HELD
        ]
    return [(task.result().status, task.result().text) for task in tasks]


async def state(caller: Caller) -> str:
    return (await caller.get("/admin/host/status")).json["state"]


# --- a store that is slow or away, in virtual time ----------------------------------------------------------------


@asynccontextmanager
async def partitions_on(
    fault: Fault, until_s: float, *, app_lease: bool
) -> AsyncIterator[PartitionManager]:
    """The partition manager of a host whose store has a fault in every call at first."""
    loop = asyncio.get_running_loop()
    clock, ids = VirtualClock(loop), SeededIds()
    settings = HubSettings(hub_name="Slow", worker_id="w", use_app_lease=app_lease)
    memory = MemoryStorage(clock, ids)
    await TaskHub(memory, settings, ids.hex32).ensure(clock.now())

    def plan(call: Call) -> Fault | None:
        return fault if loop.time() < until_s and call.can_have(fault) else None

    hub = TaskHub(FaultyStorage(memory, Injector(plan=plan)), settings, ids.hex32)
    outage = Outage("memory", clock)

    new_loop = idle_loops(hub, clock=clock, ids=ids, outage=outage)
    manager = PartitionManager(hub, new_loop, clock=clock, outage=outage, on_change=lambda: None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(manager.run(), name="partitions")
        yield manager
        running.cancel()


async def ask(
    fault: Fault, until_s: float, hold_s: float, *, app_lease: bool
) -> tuple[float, str | None]:
    """When a request that comes at once is let through or refused, and the refusal."""
    loop = asyncio.get_running_loop()
    async with partitions_on(fault, until_s, app_lease=app_lease) as manager:
        hold = timedelta(seconds=hold_s)
        readiness = Readiness(lambda: manager.awaited, manager.ready.wait, hold)
        try:
            await readiness.reached()
        except NotReadyError as refused:
            return loop.time(), str(refused)
        assert readiness.is_ready
        return loop.time(), None


@pytest.mark.parametrize("app_lease", [True, False])
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.SLOW])
def test_a_request_is_held_until_a_slow_store_has_answered(fault: Fault, *, app_lease: bool):
    at_s, refusal = run_virtually(ask(fault, 10, 200, app_lease=app_lease))
    assert refusal is None
    assert 10 <= at_s < 100


@pytest.mark.parametrize("app_lease", [True, False])
def test_a_request_to_a_host_whose_store_is_away_is_refused(*, app_lease: bool):
    at_s, refusal = run_virtually(ask(Fault.REFUSED, 1e9, 30, app_lease=app_lease))
    assert at_s == pytest.approx(30, abs=0.01)
    assert refusal == (
        "Function host is not running.\n"
        "After 30 s it still waits for a partition of task hub Slow on memory. /admin/host/status tells when it is "
        "over, the host's log what fails, and `durable doctor` looks at the store.\n"
    )


# --- over HTTP ----------------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Place:
    return Place("memory", "memory", "ReadyHub")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The stores of triggers do not answer before this is set."""
    event = asyncio.Event()
    whole = Stores.open

    async def held(self: Stores, connection: str | None) -> Storage:
        await event.wait()
        return await whole(self, connection)

    monkeypatch.setattr(Stores, "open", held)
    return event


async def test_requests_are_held_until_the_listeners_are_up(
    tmp_path: Path, memory: Place, opened: asyncio.Event
):
    async with hosting(v2_app(tmp_path, APP + TICKS), memory) as host:
        asked = asyncio.ensure_future(answers(host))
        assert await state(host) == "Starting"
        for path in AT_ONCE:
            assert (await host.get(path)).status == 200, path
        assert not asked.done()
        opened.set()
        assert [status for status, _ in await asked] == [*ANSWERED]
        assert await state(host) == "Running"


async def test_requests_are_not_held_for_ever(
    tmp_path: Path, memory: Place, opened: asyncio.Event, caplog: pytest.LogCaptureFixture
):
    app = v2_app(tmp_path, APP + TICKS)
    async with hosting(app, memory, http=SHORT, cors="http://a.example") as host:
        for status, text in await answers(host):
            assert status == 503
            assert text.startswith(
                "Function host is not running.\nAfter 0.2 s it still waits for the stores that these triggers listen "
                "to: ticks. "
            )
        reply = await host.call("GET", "/api/here", headers={"Origin": "http://a.example"})
        assert reply.headers["Access-Control-Allow-Origin"] == "http://a.example"
        assert (await host.get("/admin/host/ping")).status == 200
        told = [r for r in caplog.records if "is refused with 503" in r.getMessage()]
        assert len(told) == 1
        assert told[0].levelno == logging.WARNING
        opened.set()
        assert (await host.get("/api/here")).text == "here"


async def test_who_has_no_key_is_not_held(tmp_path: Path, memory: Place, opened: asyncio.Event):
    async with hosting(v2_app(tmp_path, APP + TICKS), memory, enable_auth=True) as host:
        for method, path in HELD[1:]:
            assert (await host.call(method, path, json={"input": "x"})).status == 401, path
        opened.set()


@asynccontextmanager
async def hub_of_another_app(app: Path, place: Place) -> AsyncIterator[TaskHub]:
    """The place's hub, with its app lease in the hands of another app."""
    settings = config.load(app, config.Flags(storage=place.storage), place.environment)
    ids = SystemIds()
    storage = make_storage(settings.storage, SystemClock(), ids)
    await storage.open()
    try:
        other = HubSettings(hub_name=place.hub, app_name="another")
        hub = TaskHub(storage, other, ids.hex32)
        await hub.ensure(SystemClock().now())
        assert await hub.app_lease.acquire()
        yield hub
        await hub.app_lease.release()
    finally:
        await storage.close()


async def test_a_host_whose_hub_another_app_has_says_so_and_can_be_stopped(
    tmp_path: Path, lasting_place: Place
):
    app, port = v2_app(tmp_path, APP), Ports.free().blob
    async with (
        hub_of_another_app(app, lasting_place),
        started(app, lasting_place, tmp_path / "log", port=port) as host,
        calling(port) as caller,
    ):
        await host.until_printed("another app works on task hub")
        assert await state(caller) == "Starting"
        assert "Ready on" not in host.output
        host.send(signal.SIGTERM)
        assert await host.ended() == 0, host.output
        assert host.output.splitlines()[-1] == "Stopped."
        assert "Traceback" not in host.output


async def test_the_refusal_names_the_app_lease(tmp_path: Path, lasting_place: Place):
    app, port = v2_app(tmp_path, APP), Ports.free().blob

    async def run() -> None:
        async with hosting(app, lasting_place, http=SHORT, port=port):
            pytest.fail("it cannot be up")

    async with (
        hub_of_another_app(app, lasting_place),
        asyncio.TaskGroup() as group,
        calling(port) as caller,
    ):
        host = group.create_task(run())

        async def listens() -> bool:
            with suppress(OSError):
                return await state(caller) == "Starting"
            return False

        await eventually(listens, "the host listens")
        for status, text in await answers(caller):
            assert status == 503
            assert f"waits for the app lease of task hub {lasting_place.hub}, which another" in text
            assert "give this app a hub of its own" in text
        host.cancel()
