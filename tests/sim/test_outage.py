"""A store that is away for a minute: little is said, little is tried, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from emulator.engine.outage import FORGOTTEN_S
from emulator.testing.faults import Call, Fault
from emulator.testing.virtual_loop import run_virtually
from tests.sim.scenarios import BY_NAME
from tests.sim.world import World

BEGINS_S = 3.0
LASTS_S = 60.0
STORIES = ("chain", "eternal-wide", "parent", "retry", "countdown")
CALLS_MAX = 400
"""In the minute, by a host with three partitions and five instances at work: about seven a second at most."""
BACK_WITHIN_S = 10.0
"""After the store has answered again, what was at work goes on; a pause lasts 5 s at most."""


def away(loop: asyncio.AbstractEventLoop, tried: list[Call], *, begins_s: float = BEGINS_S):
    """A plan by which every call in a minute is refused."""

    def plan(call: Call) -> Fault | None:
        if not begins_s <= loop.time() < begins_s + LASTS_S:
            return None
        tried.append(call)
        return Fault.REFUSED if call.can_have(Fault.REFUSED) else None

    return plan


async def lose_the_store_for_a_minute(hosts: int) -> tuple[World, list[Call], float]:
    loop = asyncio.get_running_loop()
    tried: list[Call] = []
    async with asyncio.TaskGroup() as group:
        world = World(group)
        with world.checkers.listening():
            for number in range(hosts):
                world.start_host(f"h{number}", away(loop, tried))
            await world.any_host()
            for number, name in enumerate(STORIES):
                group.create_task(world.play(BY_NAME[name], f"i{number}-{name}", from_outside=True))
            await asyncio.sleep(BEGINS_S + LASTS_S - loop.time())
            await world.settle()
            ended_s = loop.time()
            await world.check()
            await asyncio.sleep(FORGOTTEN_S)  # of calls for partitions that went to the other host
            await world.finish()
    return world, tried, ended_s


async def start_while_the_store_is_away() -> tuple[float, int]:
    """When the host's engine is up, and after how many calls in vain."""
    loop = asyncio.get_running_loop()
    tried: list[Call] = []
    async with asyncio.TaskGroup() as group:
        world = World(group)
        host = world.start_host("h", away(loop, tried, begins_s=0.0))
        async with asyncio.timeout(LASTS_S * 2):
            assert await world.any_host() is host
        up_s = loop.time()
        await world.play(BY_NAME["chain"], "i-chain")
        await world.settle()
        await world.check()
        await world.finish()
    assert not world.checkers.violations
    return up_s, len(tried)


class Listener(logging.Handler):
    """Keeps what the engine says."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def log() -> Iterator[list[logging.LogRecord]]:
    listener = Listener()
    logger = logging.getLogger("emulator.engine")
    logger.addHandler(listener)
    yield listener.records
    logger.removeHandler(listener)


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_store_that_is_away_for_a_minute(hosts: int, log: list[logging.LogRecord]) -> None:
    world, tried, ended_s = run_virtually(lose_the_store_for_a_minute(hosts))
    messages = [record.getMessage() for record in log]
    assert not world.checkers.violations
    assert len(tried) <= CALLS_MAX * hosts
    lost = [line for line in messages if "cannot reach the store" in line]
    back = [line for line in messages if "answers again after" in line]
    assert (len(lost), len(back)) == (hosts, hosts), messages
    assert "See that it runs and can be reached from here" in lost[0]
    assert not [record for record in log if record.exc_info]
    assert ended_s <= BEGINS_S + LASTS_S + BACK_WITHIN_S


def test_a_host_that_starts_while_the_store_is_away(log: list[logging.LogRecord]) -> None:
    up_s, tried = run_virtually(start_while_the_store_is_away())
    messages = [record.getMessage() for record in log]
    assert LASTS_S <= up_s <= LASTS_S + BACK_WITHIN_S
    assert tried <= 30
    assert len([line for line in messages if "cannot reach the store" in line]) == 1
    assert len([line for line in messages if "answers again after" in line]) == 1
