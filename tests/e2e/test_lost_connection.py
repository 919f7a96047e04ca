"""A host that loses Azurite for a while: a line when it is lost, a line when it is back, and nothing gets lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from azurite import Azurite
from tests.support.hosts import DURABLE, SAMPLES, Place, eventually, ready, started
from tests.support.severed import Way, severable

pytestmark = [pytest.mark.slow, pytest.mark.azurite]
LOST = "cannot reach the store"
BACK = "answers again after"
ANSWER_WITHIN_S = 25.0
"""A call to the store takes 20 s at most."""
STORAGE_FAILED = "An error occurred while communicating with Azure Storage"
SWALLOWED_WITHIN_S = 90.0
MISUSED = 2
SOON_S = 25.0
"""Far above the longest pause between two attempts."""


async def check(server: Azurite, way: Way, seconds: float, folder: Path) -> None:
    async with severable(server) as connection:
        place = Place("azurite", connection.connection_string, f"Lost{uuid4().hex[:20]}")
        async with ready(SAMPLES / "external_events", place, folder / "log") as (host, caller):
            waiting = [await caller.start("ship", {"order": 1}) for _ in range(3)]
            for instance in waiting:
                await caller.until(instance, "Running")
            await connection.lose(way)
            await host.until_printed(LOST, within_s=60)
            await asyncio.sleep(seconds)  # the outage itself: nothing is waited for
            reply = await caller.get("/admin/host/ping")
            assert reply.status == 200
            if way is not Way.SWALLOWED or seconds > ANSWER_WITHIN_S:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    reply = await caller.get(f"{DURABLE}/instances/{waiting[0]}")
                assert reply.status == 500, reply
                assert STORAGE_FAILED in reply.text
            await connection.restore()
            await host.until_printed(BACK, within_s=60 + SOON_S)
            for instance in waiting:
                status = await caller.status(instance)
                assert status["runtimeStatus"] == "Running"
            started = await caller.start("ship", {"order": 1})
            for instance in (*waiting, started):
                await caller.post(f"{DURABLE}/instances/{instance}/terminate?reason=done")

            async def all_ended() -> bool:
                found = [await caller.status(each) for each in (*waiting, started)]
                return all(each["runtimeStatus"] == "Terminated" for each in found)

            await eventually(all_ended, "every instance has taken its message", within_s=SOON_S)
            assert host.output.count(LOST) == 1, host.output
            assert host.output.count(BACK) == 1, host.output
            assert "Traceback" not in host.output
            assert f"GET instances/{waiting[0]} failed" not in host.output


@pytest.mark.parametrize("way", Way)
async def test_a_connection_that_is_lost_for_a_moment(
    azurite: Azurite, way: Way, tmp_path: Path
) -> None:
    await check(azurite, way, 3, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("way", Way)
async def test_a_connection_that_is_lost_for_a_minute(
    azurite: Azurite, way: Way, tmp_path: Path
) -> None:
    await check(azurite, way, 60, tmp_path)


@pytest.mark.parametrize("way", [Way.REFUSED, Way.BUSY])
async def test_a_host_that_finds_no_store_says_so_and_ends(
    azurite: Azurite, way: Way, tmp_path: Path
) -> None:
    async with severable(azurite) as connection:
        await connection.lose(way)
        place = Place("azurite", connection.connection_string, f"Lost{uuid4().hex[:20]}")
        async with started(SAMPLES / "external_events", place, tmp_path / "log") as host:
            assert await host.ended(within_s=SOON_S) == MISUSED
            assert "cannot be used" in host.output
            assert "Is it running?" in host.output
            assert "Traceback" not in host.output


@pytest.mark.soak
async def test_a_host_whose_first_call_is_swallowed_says_so_and_ends(
    azurite: Azurite, tmp_path: Path
) -> None:
    async with severable(azurite) as connection:
        await connection.lose(Way.SWALLOWED)
        place = Place("azurite", connection.connection_string, f"Lost{uuid4().hex[:20]}")
        async with started(SAMPLES / "external_events", place, tmp_path / "log") as host:
            assert await host.ended(within_s=SWALLOWED_WITHIN_S) == MISUSED
            assert "cannot be used" in host.output
            assert "Traceback" not in host.output
