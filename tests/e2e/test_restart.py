"""A host that is killed or stopped in the middle of its work, and started again."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.support.hosts import (
    SAMPLES,
    SOON_VISIBLE,
    Caller,
    HostProcess,
    Place,
    eventually,
    ready,
)

APP = SAMPLES / "fan_out_fan_in"
FOUR_AT_A_TIME = {
    "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions": "4"
}
TEXTS = [" ".join(["word"] * count) for count in range(10)]
OUTPUT = {"counts": list(range(10)), "total": 45}
INSTANCES = 3
COUNTED = "Executed 'Functions.count' (Succeeded"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _start(caller: Caller) -> list[str]:
    replies = [await caller.post("/api/orchestrators/count_words", TEXTS) for _ in range(INSTANCES)]
    return [reply.json["id"] for reply in replies]


async def _in_the_middle(host: HostProcess) -> None:
    """Wait until some activities have ended and others have not."""

    async def look() -> bool:
        return host.output.count(COUNTED) >= 5

    await eventually(look, "five texts are counted")
    assert host.output.count(COUNTED) < INSTANCES * len(TEXTS)


async def _check_all(caller: Caller, ids: list[str]) -> None:
    """Every instance has its output, and in its history every task has one answer."""
    for instance_id in ids:
        assert await caller.result(instance_id) == OUTPUT
        status = await caller.status(instance_id, showHistory="true", showHistoryOutput="true")
        events = Counter(event["EventType"] for event in status["historyEvents"])
        assert events == {"ExecutionStarted": 1, "TaskCompleted": 11, "ExecutionCompleted": 1}
        results = [
            e["Result"] for e in status["historyEvents"] if e["EventType"] == "TaskCompleted"
        ]
        assert sorted(results[1:]) == list(range(10))


async def test_a_killed_host_leaves_nothing_undone_and_nothing_doubled(
    lasting_place: Place, tmp_path: Path
):
    """Started again under its own port, it takes its partitions back at once, and messages when they are visible."""
    port = _free_port()
    settings = {**SOON_VISIBLE, **FOUR_AT_A_TIME, "SECONDS_PER_TEXT": "0.2"}
    first, second = tmp_path / "first", tmp_path / "second"
    async with ready(APP, lasting_place, first, settings=settings, port=port) as (host, caller):
        ids = await _start(caller)
        await _in_the_middle(host)
        await host.kill()
    async with ready(APP, lasting_place, second, settings=settings, port=port) as (_, caller):
        await _check_all(caller, ids)


async def test_a_stopped_host_gives_everything_back(lasting_place: Place, tmp_path: Path):
    """Another one goes on at once: with the time-outs that users have, what is not given back is away for minutes."""
    settings = {**FOUR_AT_A_TIME, "SECONDS_PER_TEXT": "0.2"}
    async with ready(APP, lasting_place, tmp_path / "first", settings=settings) as (host, caller):
        ids = await _start(caller)
        await _in_the_middle(host)
        host.send(signal.SIGTERM)
        assert await host.ended() == 0, host.output
        assert host.output.count(COUNTED) < INSTANCES * len(TEXTS)
        assert host.output.splitlines()[-1] == "Stopped."
    async with ready(APP, lasting_place, tmp_path / "second", settings=settings) as (_, caller):
        await _check_all(caller, ids)


@pytest.mark.slow
async def test_an_activity_that_does_not_end_is_given_back_too(
    lasting_place: Place, tmp_path: Path
):
    """The host waits for it a few seconds, and not for its thread."""
    stuck = {**FOUR_AT_A_TIME, "SECONDS_PER_TEXT": "600"}
    async with ready(APP, lasting_place, tmp_path / "first", settings=stuck) as (host, caller):
        ids = await _start(caller)
        await host.until_printed("Executing 'Functions.count'")
        host.send(signal.SIGTERM)
        assert await host.ended(within_s=12) == 0, host.output
    async with ready(APP, lasting_place, tmp_path / "second") as (_, caller):
        await _check_all(caller, ids)
