"""Who waits for an instance while the store cannot be read."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.compose import running_engine
from emulator.core.instance import InstanceRecord
from emulator.engine.client import HubClient
from emulator.engine.courier import Courier
from emulator.errors import TransientStorageError
from emulator.hub.task_hub import TaskHub
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.faults import Call, Fault, FaultyStorage, Injector
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.engines import settings_for

APP = Path(__file__).parents[1] / "e2e" / "behaviours"
SECOND = timedelta(seconds=1)


@dataclass
class Line:
    """The way of one client to the store."""

    is_cut: bool = False

    def plan(self, call: Call) -> Fault | None:
        return Fault.REFUSED if self.is_cut and call.operation == "query" else None


async def waited(*, limit_s: float, away_s: float) -> InstanceRecord | None:
    """What a client is told that waits for an instance which ends while the store cannot be read."""
    clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
    settings, storage, line = settings_for(APP), MemoryStorage(clock, ids), Line()
    cut = FaultyStorage(storage, Injector(plan=line.plan))
    async with running_engine(settings, storage, clock=clock, ids=ids) as parts:
        client = parts.engine.client
        instance = await client.start("waits", input=json.dumps(json.dumps("go")))
        hub = TaskHub(cut, settings.hub, ids.hex32)
        other = HubClient(hub, Courier(hub, clock, ids), clock=clock, ids=ids)
        async with asyncio.TaskGroup() as group:
            limit = timedelta(seconds=limit_s)
            found = group.create_task(other.wait(instance, limit=limit, interval=SECOND))
            await asyncio.sleep(0.5)
            line.is_cut = True
            await client.raise_event(instance, "go", "1")
            await asyncio.sleep(away_s)
            line.is_cut = False
        return found.result()


def test_the_end_of_what_never_began_is_told() -> None:
    async def seconds() -> float:
        loop = asyncio.get_running_loop()
        clock, ids = VirtualClock(loop), SeededIds()
        storage = MemoryStorage(clock, ids)
        async with running_engine(settings_for(APP), storage, clock=clock, ids=ids) as parts:
            client, hour = parts.engine.client, timedelta(hours=1)
            due = clock.now().plus(hour)
            instance = await client.start("returns", input='"x"', scheduled_start=due)
            async with asyncio.TaskGroup() as group:
                found = group.create_task(client.wait(instance, limit=hour, interval=SECOND))
                await asyncio.sleep(0.5)
                began = loop.time()
                await client.terminate(instance, "enough")
            record = found.result()
            assert record is not None
            assert record.status == "Terminated"
            return loop.time() - began

    assert run_virtually(seconds()) < 1


def test_a_store_that_comes_back_in_time_is_asked_again() -> None:
    record = run_virtually(waited(limit_s=60, away_s=20))
    assert record is not None
    assert record.status == "Completed"


def test_a_store_that_does_not_come_back_in_time_is_told() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        run_virtually(waited(limit_s=10, away_s=20))
    assert raised.group_contains(TransientStorageError)
