"""How many starts are let in, in which order, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from emulator.engine.admission import PACE_S, WAIT_MAX_S, Admission
from emulator.testing.virtual_loop import VirtualClock, run_virtually


class Door:
    """An admission for three, and what has gone through it."""

    def __init__(self) -> None:
        self.new = 0
        self.activities = 0
        clock = VirtualClock(asyncio.get_running_loop())
        self.admission = Admission(3, lambda: self.new, lambda: self.activities, clock)
        self.entered: list[int] = []

    async def start(self, number: int) -> None:
        async with self.admission.place():
            self.entered.append(number)
            self.new += 1

    def begin_one(self) -> None:
        self.new -= 1
        self.admission.look()

    def begin_all_into_activities(self) -> None:
        self.activities += self.new
        self.new = 0
        self.admission.look()

    def end_one(self) -> None:
        self.activities -= 1
        self.admission.activity_ended()


def with_six(check: Callable[[Door, list[asyncio.Task[None]]], Coroutine[Any, Any, None]]) -> None:
    """Six at the door, three of them through it and waiting for their turns."""

    async def run() -> None:
        door = Door()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(door.start(number)) for number in range(6)]
            await asyncio.sleep(1)
            assert door.entered == [0, 1, 2]
            await check(door, tasks)

    run_virtually(run())


def test_each_first_turn_lets_in_the_next() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        for entered in ([0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]):
            door.begin_one()
            await asyncio.sleep(0.001)
            assert door.entered == entered

    with_six(check)


def test_a_start_goes_in_when_enough_activities_have_ended() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        door.activities = 1
        door.end_one()
        door.begin_all_into_activities()  # nobody has gone in for a while, so one may
        await asyncio.sleep(0.001)
        door.begin_all_into_activities()
        door.end_one()
        await asyncio.sleep(0.001)
        assert (door.entered, door.activities) == ([0, 1, 2, 3], 3)
        door.end_one()
        await asyncio.sleep(0.001)
        assert door.entered == [0, 1, 2, 3, 4, 5]

    with_six(check)


def test_one_goes_in_after_a_while_however_many_activities_wait() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        door.begin_all_into_activities()
        door.activities = 1_000
        seen: list[int] = []
        for _ in range(30):
            door.end_one()
            await asyncio.sleep(PACE_S / 5)
            door.activities += door.new
            door.new = 0
            seen.append(len(door.entered))
        assert seen[-1] == 6
        assert all(after - before <= 1 for before, after in pairwise(seen))

    with_six(check)


def test_activities_that_take_long_hold_nobody_up() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        door.activities = 1_000
        door.end_one()
        await asyncio.sleep(PACE_S)
        door.new = 0
        door.admission.look()
        await asyncio.sleep(0.001)
        assert door.entered == [0, 1, 2, 3, 4, 5]

    with_six(check)


def test_a_start_that_is_given_up_outside_takes_no_place() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        tasks[3].cancel()
        door.begin_one()
        await asyncio.sleep(0.001)
        assert door.entered == [0, 1, 2, 4]

    with_six(check)


def test_a_start_that_is_given_up_just_when_it_is_let_in_leaves_its_place_to_the_next() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        door.begin_one()
        tasks[3].cancel()
        await asyncio.sleep(0.001)
        assert door.entered == [0, 1, 2, 4]

    with_six(check)


def test_nobody_waits_for_ever() -> None:
    async def check(door: Door, tasks: list[asyncio.Task[None]]) -> None:
        await asyncio.sleep(WAIT_MAX_S)
        assert sorted(door.entered) == [0, 1, 2, 3, 4, 5]

    with_six(check)
