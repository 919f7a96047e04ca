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


def away(loop: asyncio.AbstractEventLoop, tried: list[Call]):
    """A plan by which every call in the minute is refused."""

    def plan(call: Call) -> Fault | None:
        if not BEGINS_S <= loop.time() < BEGINS_S + LASTS_S:
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
