"""How many storage transactions orchestrations take: polls that find nothing and leases apart."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emulator.compose import running_engine
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.counting import CountedStorage
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.engines import settings_for

APP = Path(__file__).parents[1] / "e2e" / "behaviours"
SETTLED_S = 60


async def count(orchestrator: str, value: Any) -> tuple[int, Counter[str]]:
    """Transactions of one instance from its start to its rest, on a host that is up."""
    clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
    settings = settings_for(APP)
    storage = CountedStorage(MemoryStorage(clock, ids), settings.hub.hub_name)
    async with running_engine(settings, storage, clock=clock, ids=ids) as parts:
        await asyncio.sleep(SETTLED_S)
        storage.calls.clear()
        instance = await parts.engine.client.start(
            orchestrator, input=json.dumps(json.dumps(value))
        )
        await asyncio.sleep(SETTLED_S)
        transactions, calls = storage.transactions, Counter(storage.calls)
        record = await parts.engine.client.get(instance)
        assert record is not None
        assert record.status == "Completed"
        return transactions, calls


@pytest.mark.parametrize(
    ("orchestrator", "value", "most"),
    [
        ("chain", ["x"] * 3, 21),
        ("chain", ["x"] * 5, 31),
        ("fan_out", 100, 4.25 * 100 + 25),
        ("fan_out", 1000, 4.25 * 1000 + 25),
    ],
    ids=["chain-3", "chain-5", "fan-100", "fan-1000"],
)
def test_an_orchestration_takes_at_most(orchestrator: str, value: Any, most: float) -> None:
    transactions, calls = run_virtually(count(orchestrator, value))
    assert transactions <= most, dict(calls)


def test_an_idle_host_asks_seldom() -> None:
    async def idle() -> int:
        clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
        settings = settings_for(APP)
        storage = CountedStorage(MemoryStorage(clock, ids), settings.hub.hub_name)
        async with running_engine(settings, storage, clock=clock, ids=ids):
            await asyncio.sleep(3600)
            storage.calls.clear()
            await asyncio.sleep(3600)
            return storage.calls.total()

    assert run_virtually(idle()) <= 3600
