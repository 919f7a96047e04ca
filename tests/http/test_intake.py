"""Room for the bodies of requests: bounded, in order, and never a standstill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import aiohttp

from emulator.http.intake import (
    BODY_COPIES,
    SMALL_BYTES,
    STALLED_S,
    UNKNOWN_BYTES,
    Body,
    Intake,
)
from emulator.testing.virtual_loop import run_virtually
from tests.support.hosts import DURABLE, hosting, new_place

MAX = 1000
WAITING = Path(__file__).parents[1] / "commands" / "waiting_app"


async def hold(intake: Intake, size: int, seconds: float, order: list[int], number: int) -> None:
    await intake.take(size)
    order.append(number)
    await asyncio.sleep(seconds)
    intake.give_back(size)


async def together(*work: Coroutine[object, object, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


def test_whoever_finds_no_room_waits_and_the_first_comes_first() -> None:
    order: list[int] = []
    most = 0

    async def scene() -> float:
        nonlocal most
        intake, loop = Intake(MAX), asyncio.get_running_loop()

        async def watched(number: int) -> None:
            nonlocal most
            await intake.take(400)
            most = max(most, intake.held)
            order.append(number)
            await asyncio.sleep(1)
            intake.give_back(400)

        began = loop.time()
        await together(*(watched(number) for number in range(6)))
        assert intake.held == 0
        return loop.time() - began

    assert run_virtually(scene()) == 3
    assert order == list(range(6))
    assert most == 800


def test_a_body_that_is_larger_than_all_room_is_taken_alone() -> None:
    order: list[int] = []

    async def scene() -> None:
        intake = Intake(MAX)
        await together(
            hold(intake, 600, 1, order, 0),
            hold(intake, 5 * MAX, 1, order, 1),
            hold(intake, 600, 1, order, 2),
        )

    run_virtually(scene())
    assert order == [0, 1, 2]


def test_when_nothing_moves_the_next_one_goes_through() -> None:
    """Such as a function that has asked its own host, and waits for the answer."""

    async def scene() -> float:
        intake, loop = Intake(MAX), asyncio.get_running_loop()
        await intake.take(MAX)
        began = loop.time()
        await intake.take(MAX)
        return loop.time() - began

    assert STALLED_S <= run_virtually(scene()) < 2 * STALLED_S


def test_requests_without_a_large_body_are_no_movement() -> None:
    """Somebody asks for a status once a second; two functions still wait for each other."""

    async def scene() -> float:
        intake, loop = Intake(MAX), asyncio.get_running_loop()

        async def ask() -> None:
            while True:
                await intake.take(0)
                intake.give_back(0)
                await asyncio.sleep(1)

        await intake.take(MAX)
        asking = asyncio.ensure_future(ask())
        began = loop.time()
        await intake.take(MAX)
        asking.cancel()
        return loop.time() - began

    assert STALLED_S <= run_virtually(scene()) < 2 * STALLED_S


def test_whoever_goes_away_while_it_waits_leaves_no_trace() -> None:
    async def scene() -> int:
        intake = Intake(MAX)
        await intake.take(MAX)
        waiting = [asyncio.ensure_future(intake.take(600)) for _ in range(2)]
        await asyncio.sleep(0)
        intake.give_back(MAX)  # admits the first, which is cancelled before it has noticed
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        return intake.held

    assert run_virtually(scene()) == 0


def test_small_bodies_need_no_room_and_large_ones_as_much_as_their_copies() -> None:
    intake = Intake(MAX)
    assert intake.size_of(SMALL_BYTES) == 0
    assert intake.size_of(SMALL_BYTES + 1) == BODY_COPIES * (SMALL_BYTES + 1)
    assert intake.size_of(None) > 0


def test_a_body_is_dropped_once() -> None:
    told: list[str] = []
    body = Body(b"text", lambda: told.append("dropped"))
    body.drop()
    body.drop()
    assert (body.content, told) == (b"", ["dropped"])


async def test_a_body_that_does_not_tell_its_length_takes_its_room_when_it_is_there(
    tmp_path: Path,
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * UNKNOWN_BYTES

    held: list[int] = []
    async with hosting(WAITING, new_place("memory", tmp_path)) as host:
        intake = host.host.server.public_bodies
        hold = intake.hold

        def watched(size: int) -> None:
            hold(size)
            held.append(intake.held)

        intake.hold = watched  # type: ignore[method-assign]
        async with aiohttp.ClientSession(host.base) as session:
            path = f"{DURABLE}/orchestrators/nothing_of_that_name"
            async with session.post(path, data=parts()) as response:
                assert response.status == 400
        assert intake.held == 0
    assert held == [BODY_COPIES * UNKNOWN_BYTES, 3 * BODY_COPIES * UNKNOWN_BYTES]


async def test_a_request_that_waits_for_its_instance_keeps_no_body(tmp_path: Path) -> None:
    """More such requests than there is room for would wait for each other otherwise."""
    place = new_place("memory", tmp_path)
    size, ids = SMALL_BYTES + 100, [f"waiting-{number}" for number in range(4)]
    async with hosting(WAITING, place, http={"body_bytes_held_max": size}) as host:

        async def start(instance: str) -> None:
            path = f"{DURABLE}/orchestrators/approval/{instance}?timeout=100&pollingInterval=1"
            assert (await host.post(path, "x" * size)).status == 200

        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(start(instance)) for instance in ids]
            for instance in ids:
                await host.until(instance, "Running")
            assert not any(each.done() for each in waiting)
            assert host.host.server.public_bodies.held == 0
            for instance in ids:
                await host.post(f"{DURABLE}/instances/{instance}/terminate")
