"""`durable start --workers N` as a user meets it: one port, one introduction, work in every process, one end."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from emulator import config
from emulator.commands.workers import DEATHS_MAX, EARLY_S, Restarts
from emulator.engine.clock import SystemClock
from emulator.hub.census import leases_of
from tests.support.hosts import (
    BY_BLOBS,
    DURABLE,
    SAMPLES,
    Place,
    calling,
    eventually,
    hub_at,
    new_place,
    ready,
    started,
)

APP = Path(__file__).parent / "apps" / "shared_out"
HELLO = SAMPLES / "hello_sequence"
TWO = ("--workers", "2")
SLOWEST_S = 60.0


@pytest.fixture
def embedded(tmp_path: Path) -> Place:
    return new_place("sqlite", tmp_path)


async def _pids(port: int, *, without: frozenset[int] = frozenset()) -> set[int]:
    """The processes of both workers, each found on a connection of its own."""
    found: set[int] = set()

    async def look() -> set[int] | None:
        async with calling(port) as caller:
            found.add(int((await caller.get("/api/who")).text))
        return found if len(found - without) == 2 else None

    return await eventually(look, "two workers answer") - without


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _gone(*pids: int) -> None:
    async def look() -> bool:
        return not any(map(_is_there, pids))

    await eventually(look, f"processes {pids} have ended")


async def _owners(place: Place) -> list[str | None]:
    async with hub_at(place, APP) as hub:
        return [lease.owner for lease in await leases_of(hub, SystemClock().now())]


@pytest.fixture(params=[{}, BY_BLOBS], ids=["by table", "by blobs"])
def either_way(request: pytest.FixtureRequest, lasting_place: Place) -> Place:
    """Where hosts deal out their control queues by a table, or by leases on blobs."""
    return replace(lasting_place, settings=request.param)


async def test_workers_share_one_port_one_introduction_and_the_work(
    either_way: Place, tmp_path: Path
):
    async with ready(APP, either_way, tmp_path / "log", *TWO) as (host, caller):
        assert host.output.count("Functions:\n") == 1
        assert host.output.count("Ready on") == 1
        assert f"Ready on http://127.0.0.1:{host.port}. 2 workers share the work. " in host.output
        pids = await _pids(host.port)

        async def both_own() -> bool:
            owners = await _owners(either_way)
            return sorted(map(str, owners)) == sorted(2 * _names(host.port))

        await eventually(both_own, "partitions are shared out", within_s=SLOWEST_S)
        ran = await caller.result(await caller.start("spread", {"count": 24, "seconds": 0.1}))
        assert set(ran) == set(pids)
        ids = [await caller.start("spread", {"count": 1, "seconds": 0}) for _ in range(16)]
        assert [len(await caller.result(each)) for each in ids] == [1] * 16
        host.send(signal.SIGTERM)
        assert await host.ended() == 0, host.output
        assert host.output.splitlines()[-1] == "Stopped."
        assert not any(map(_is_there, pids))
        assert await _owners(either_way) == [None] * 4


def _names(port: int) -> list[str]:
    worker = config.load(APP, config.Flags(port=port, storage="memory"), {}).hub.worker_id
    return [f"{worker}-1", f"{worker}-2"]


async def test_a_wait_in_one_worker_sees_what_another_completes(
    lasting_place: Place, tmp_path: Path
):
    """Of the instances that one request each starts and waits for, some have their partition in the other worker."""
    async with ready(HELLO, lasting_place, tmp_path / "log", *TWO) as (host, _):

        async def both_own() -> bool:
            return len(set(await _owners(lasting_place))) == 2

        await eventually(both_own, "partitions are shared out", within_s=SLOWEST_S)
        for _ in range(8):
            async with calling(host.port) as caller:
                path = f"{DURABLE}/orchestrators/hello_sequence?timeout=20&pollingInterval=1"
                reply = await caller.post(path)
                assert (reply.status, len(reply.json)) == (200, 3)


async def test_what_a_worker_prints_has_its_number_and_a_timer_fires_in_one_only(
    embedded: Place, tmp_path: Path
):
    async with ready(APP, embedded, tmp_path / "log", *TWO) as (host, _):

        async def ticked() -> list[str] | None:
            found = re.findall(
                r"^\[worker (\d)\] .*Executed 'Functions.tick'", host.output, re.MULTILINE
            )
            return found if len(found) >= 3 else None

        found = await eventually(ticked, "the timer has fired three times")
        assert len(set(found)) == 1, "one worker has the timer's lock"


async def test_a_worker_that_dies_is_started_again_and_the_others_go_on(
    lasting_place: Place, tmp_path: Path
):
    async with ready(APP, lasting_place, tmp_path / "log", *TWO) as (host, _):
        pids = await _pids(host.port)
        victim = next(iter(pids))
        os.kill(victim, signal.SIGKILL)
        line = await host.until_printed("by the signal SIGKILL; it is started again in 0.25 s")
        assert re.search(r"worker [12] ended by", line)
        again = await _pids(host.port, without=frozenset({victim}))
        assert len(set(pids) & set(again)) == 1
        host.send(signal.SIGINT)
        assert await host.ended() == 0, host.output


async def test_a_worker_that_dies_again_and_again_ends_all(embedded: Place, tmp_path: Path):
    trap = tmp_path / "trap"
    settings = {"ENDS_IF_THERE_IS": str(trap)}
    async with ready(APP, embedded, tmp_path / "log", *TWO, settings=settings) as (host, _):
        pids = await _pids(host.port)
        trap.touch()
        os.kill(next(iter(pids)), signal.SIGKILL)
        assert await host.ended(within_s=SLOWEST_S) == 1
        told = rf"^worker [12] has ended {DEATHS_MAX} times soon after its start, at last with exit code 3;"
        assert re.search(told, host.output, re.MULTILINE), host.output
        assert "this worker cannot start" in host.output
        assert "Traceback" not in host.output
        assert not any(map(_is_there, pids))


async def test_workers_end_when_their_parent_is_killed(either_way: Place, tmp_path: Path):
    async with ready(APP, either_way, tmp_path / "log", *TWO) as (host, _):
        pids = await _pids(host.port)
        await host.kill()
        await _gone(*pids)
        assert await _owners(either_way) == [None] * 4


async def test_run_starts_one_instance(embedded: Place, tmp_path: Path):
    run = (*TWO, "--run", "hello_sequence")
    async with ready(HELLO, embedded, tmp_path / "log", *run) as (host, caller):
        await host.until_printed('"lastUpdatedTime"')
        assert host.output.index("Ready on") < host.output.index("Started hello_sequence")
        assert len((await caller.get(f"{DURABLE}/instances")).json) == 1


@pytest.mark.parametrize(
    ("storage", "arguments", "code", "told"),
    [
        ("memory", TWO, 2, "--workers 2: a memory store lives in one process"),
        ("embedded", ("--workers", "0"), 2, "Invalid value for '--workers'"),
        ("embedded", (*TWO, "--run", "helo"), 2, "has no orchestrator 'helo'; it has"),
        (
            "embedded",
            (*TWO, "--input", "1"),
            2,
            "--input is for the orchestration that --run names",
        ),
    ],
)
async def test_what_cannot_be_is_refused_once(
    storage: str, arguments: tuple[str, ...], code: int, told: str, tmp_path: Path, embedded: Place
):
    place = Place("memory", "memory", embedded.hub) if storage == "memory" else embedded
    async with started(HELLO, place, tmp_path / "log", *arguments) as host:
        assert await host.ended() == code, host.output
        assert host.output.count(told) == 1, host.output
        assert "Traceback" not in host.output
        assert "Stopping" not in host.output, "it has not begun"


async def test_a_port_in_use_is_told_in_one_line(embedded: Place, tmp_path: Path):
    async with (
        ready(HELLO, embedded, tmp_path / "first", *TWO) as (first, _),
        started(HELLO, embedded, tmp_path / "second", *TWO, port=first.port) as second,
    ):
        assert await second.ended() == 1
        assert second.output.startswith(f"Port {first.port} is unavailable. ")
        assert len(second.output.splitlines()) == 1


def test_restarts_are_put_off_longer_and_longer_and_given_up():
    restarts = Restarts()
    assert [restarts.delay_after(1) for _ in range(DEATHS_MAX)] == [0.25, 0.5, 1, 2, None]


def test_a_worker_that_lived_for_a_while_is_forgiven():
    restarts = Restarts()
    for _ in range(100):
        assert restarts.delay_after(1) == 0.25
        assert restarts.delay_after(EARLY_S) == 0.25


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_all_at_once(
    number: signal.Signals, embedded: Place, tmp_path: Path
):
    async with ready(APP, embedded, tmp_path / "log", *TWO) as (host, caller):
        pids = await _pids(host.port)
        await caller.start("spread", {"count": 1, "seconds": 30})
        await host.until_printed("Executing 'Functions.where'")
        host.send(signal.SIGINT)
        await host.until_printed("Stopping:")
        host.send(number)
        assert await host.ended(within_s=3) == -number
        await _gone(*pids)
