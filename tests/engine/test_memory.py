"""Payloads that are held in memory: their bytes are bounded, and what finds no room waits in its queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from emulator import config
from emulator.compose import Parts, running_engine
from emulator.core.instant import Instant
from emulator.engine.client import HubClient
from emulator.engine.courier import Courier
from emulator.hub.task_hub import TaskHub
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.faults import Effect, FaultyStorage, Injector, SkewedClock
from emulator.testing.virtual_loop import VirtualClock, run_virtually

APP = Path(__file__).parents[1] / "e2e" / "behaviours"
PAYLOAD = "x" * 20_000
BOUND = 8 * 4 * len(PAYLOAD)
"""Of everything: about four messages, as many that are not due, eight histories' worth of texts and eight requests."""
COUNT = 100
LATENCY_S = 0.002
LIMIT = timedelta(hours=1)


@dataclass
class Peaks:
    """The most bytes that were held, seen at every storage call."""

    messages: int = 0
    parked: int = 0
    histories: int = 0
    requests: int = 0
    parts: list[Parts] = field(default_factory=list)

    def look(self, effect: Effect) -> None:
        del effect
        for parts in self.parts:
            loops = parts.engine.partitions.owned
            self.messages = max(self.messages, sum(loop.custody.size for loop in loops))
            self.parked = max(self.parked, sum(loop.custody.parked_size for loop in loops))
            self.histories = max(self.histories, sum(loop.sessions.size for loop in loops))
            self.requests = max(self.requests, parts.engine.activities.custody.size)


@asynccontextmanager
async def host(peaks: Peaks, **hub: Any) -> AsyncIterator[Parts]:
    clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
    settings = config.load(APP, config.Flags(storage="memory"), {})
    values = {"partition_count": 1, "payload_bytes_max": BOUND, **hub}
    settings = replace(settings, hub=replace(settings.hub, **values))
    injector = Injector(latency=lambda: LATENCY_S, observe=peaks.look)
    storage = FaultyStorage(MemoryStorage(clock, ids), injector)
    async with running_engine(settings, storage, clock=clock, ids=ids) as parts:
        peaks.parts.append(parts)
        yield parts
        peaks.parts.clear()


async def ended(parts: Parts, instance: str) -> str | None:
    record = await parts.engine.client.wait(instance, limit=LIMIT, interval=LIMIT)
    assert record is not None
    assert record.status == "Completed", record
    return record.output


def test_what_is_held_is_bounded_by_its_bytes() -> None:
    peaks = Peaks()

    async def many() -> list[str | None]:
        async with host(peaks) as parts:
            text = json.dumps(json.dumps([PAYLOAD]))
            async with asyncio.TaskGroup() as group:
                starts = [
                    group.create_task(parts.engine.client.start("chain", input=text))
                    for _ in range(COUNT)
                ]
            return [await ended(parts, start.result()) for start in starts]

    outputs = run_virtually(many())
    assert len(outputs) == COUNT
    assert all(PAYLOAD in (output or "") for output in outputs)
    one = 2 * len(PAYLOAD)
    assert 0 < peaks.messages <= BOUND // 8 + one
    assert 0 < peaks.requests <= BOUND // 4 + one
    assert peaks.histories > 0


def test_a_message_that_is_larger_than_all_room_goes_through() -> None:
    peaks = Peaks()

    async def large() -> list[str | None]:
        async with host(peaks, payload_bytes_max=8 * 1024) as parts:
            text = json.dumps(json.dumps([PAYLOAD]))
            starts = [await parts.engine.client.start("chain", input=text) for _ in range(5)]
            return [await ended(parts, start) for start in starts]

    assert all(PAYLOAD in (output or "") for output in run_virtually(large()))
    assert peaks.messages > 1024


def test_what_is_left_in_the_queue_comes_as_soon_as_there_is_room() -> None:
    async def seconds() -> float:
        async with host(Peaks(), payload_bytes_max=8 * 1024) as parts:
            text = json.dumps(json.dumps(PAYLOAD))
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with asyncio.TaskGroup() as group:
                starts = [
                    group.create_task(parts.engine.client.start("returns", input=text))
                    for _ in range(20)
                ]
            for start in starts:
                await ended(parts, start.result())
            return loop.time() - began

    assert run_virtually(seconds()) < 20 * 20 * LATENCY_S


def test_a_small_event_does_not_overtake_a_large_one_that_was_left() -> None:
    async def outputs() -> list[str | None]:
        async with host(Peaks(), payload_bytes_max=8 * 1024) as parts:
            client = parts.engine.client
            turns = json.dumps(json.dumps(2))
            instances = [await client.start("waits_in_turn", input=turns) for _ in range(10)]
            await asyncio.sleep(10)
            async with asyncio.TaskGroup() as group:
                for instance in instances:
                    group.create_task(send_both(parts, instance))
            return [await ended(parts, instance) for instance in instances]

    for output in run_virtually(outputs()):
        first, second = json.loads(output or "[]")
        assert (len(first), second) == (len(PAYLOAD), "small")


async def send_both(parts: Parts, instance: str) -> None:
    for data in (PAYLOAD, "small"):
        await parts.engine.client.raise_event(instance, "go", json.dumps(data))


def test_large_starts_for_later_are_not_held_until_then() -> None:
    peaks = Peaks()

    async def late() -> list[float]:
        async with host(peaks) as parts:
            client, loop = parts.engine.client, asyncio.get_running_loop()
            text, due = json.dumps(json.dumps(PAYLOAD)), parts.clock.now().plus(timedelta(hours=5))
            starts = [
                await client.start("returns", input=text, scheduled_start=due) for _ in range(20)
            ]
            quick = await client.start("returns", input=text)
            await ended(parts, quick)
            began = loop.time()
            for start in starts:
                record = await client.wait(start, limit=10 * LIMIT, interval=10 * LIMIT)
                assert record is not None
                assert record.status == "Completed"
            return [loop.time() - began, seconds_between(parts.clock.now(), due)]

    _, after_due = run_virtually(late())
    assert 0 <= after_due < 5
    assert 0 < peaks.parked <= BOUND // 8


def test_a_start_that_comes_before_it_is_due_and_finds_no_room_comes_again_when_it_is() -> None:
    """The clock of the host is behind the store's, so that a message is visible before it is due."""
    behind_s, due_in_s = 10, 5

    async def seconds() -> float:
        loop = asyncio.get_running_loop()
        clock, ids = VirtualClock(loop), SeededIds()
        settings = config.load(APP, config.Flags(storage="memory"), {})
        values = replace(settings.hub, partition_count=1, payload_bytes_max=BOUND)
        settings = replace(settings, hub=values)
        storage = MemoryStorage(clock, ids)
        late = SkewedClock(clock, timedelta(seconds=-behind_s))
        async with running_engine(settings, storage, clock=late, ids=ids) as parts:
            hub = TaskHub(storage, settings.hub, ids.hex32)
            outside = HubClient(hub, Courier(hub, clock, ids), clock=clock, ids=ids)
            text, far = json.dumps(json.dumps(PAYLOAD)), clock.now().plus(timedelta(hours=5))
            for _ in range(20):
                await parts.engine.client.start("returns", input=text, scheduled_start=far)
            due = clock.now().plus(timedelta(seconds=due_in_s))
            began = loop.time()
            await ended(parts, await outside.start("returns", input=text, scheduled_start=due))
            return loop.time() - began

    assert due_in_s + behind_s <= run_virtually(seconds()) < 3 * (due_in_s + behind_s)


def seconds_between(now: Instant, due: Instant) -> float:
    return now.minus(due).total_seconds()


def test_histories_of_waiting_instances_are_let_go_when_they_are_too_large() -> None:
    peaks, kept = Peaks(), []

    async def waiting() -> None:
        async with host(peaks) as parts:
            client, turns = parts.engine.client, json.dumps(json.dumps(2))
            instances = [await client.start("waits_in_turn", input=turns) for _ in range(30)]
            await asyncio.sleep(10)
            for instance in instances:
                await client.raise_event(instance, "go", json.dumps(PAYLOAD))
            await asyncio.sleep(10)
            (loop,) = parts.engine.partitions.owned
            kept.append(sum(session.loaded is not None for session in loop.sessions))
            kept.append(loop.sessions.size)
            for instance in instances:
                await client.raise_event(instance, "go", json.dumps("end"))
                assert PAYLOAD in (await ended(parts, instance) or "")

    run_virtually(waiting())
    assert 0 < kept[0] < 30
    assert 0 < kept[1] <= BOUND // 4
