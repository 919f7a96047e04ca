"""How many storage transactions orchestrations take: polls that find nothing and leases apart."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator import config
from emulator.compose import Parts, running_engine
from emulator.core.backoff import JITTER_HIGH, POLLING_INTERVAL_MIN_S
from emulator.core.events import OrchestrationInstance, TaskScheduled
from emulator.core.ids import InstanceId
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.engine.activity_worker import LOOK_AFTER_S
from emulator.engine.client import HubClient
from emulator.engine.completions import RECENT_MAX, Completions
from emulator.engine.courier import Courier
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.counting import EMPTY, CountedStorage
from emulator.testing.faults import FaultyStorage, Injector
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.engines import settings_for

APP = Path(__file__).parents[1] / "e2e" / "behaviours"
SETTLED_S = 60
QUIET_S = 30


async def count(orchestrator: str, value: Any, latency_s: float = 0.0) -> tuple[int, Counter[str]]:
    """Transactions of one instance from its start to its rest, on a host that is up and a store that takes its time."""
    clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
    settings = settings_for(APP)
    slow = FaultyStorage(MemoryStorage(clock, ids), Injector(latency=lambda: latency_s))
    storage = CountedStorage(slow, settings.hub.hub_name)
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
@pytest.mark.parametrize("latency_s", [0.0, 0.002, 0.02])
def test_an_orchestration_takes_at_most(
    orchestrator: str, value: Any, most: float, latency_s: float
) -> None:
    transactions, calls = run_virtually(count(orchestrator, value, latency_s))
    assert transactions <= most, dict(calls)


@asynccontextmanager
async def counted_host(**hub: Any) -> AsyncIterator[tuple[Parts, CountedStorage]]:
    """A host under the settings that an app has by default, but for those given."""
    clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
    settings = config.load(APP, config.Flags(storage="memory"), {})
    settings = replace(settings, hub=replace(settings.hub, **hub))
    storage = CountedStorage(MemoryStorage(clock, ids), settings.hub.hub_name)
    async with running_engine(settings, storage, clock=clock, ids=ids) as parts:
        yield parts, storage


@pytest.mark.parametrize(
    ("by_table", "most"),
    [(True, 60), (False, 120)],
    ids=["by table", "by blobs"],
)
def test_an_idle_host_makes_few_storage_calls_in_a_minute(*, by_table: bool, most: int) -> None:
    async def idle() -> list[int]:
        async with counted_host(use_table_partition_management=by_table) as (parts, storage):
            await parts.engine.client.start("chain", input=json.dumps(json.dumps(["x"])))
            await asyncio.sleep(QUIET_S)
            minutes = []
            for _ in range(10):
                storage.calls.clear()
                await asyncio.sleep(60)
                minutes.append(storage.calls.total())
            return minutes

    assert max(run_virtually(idle())) <= most


def test_an_idle_host_sees_foreign_messages_within_the_polling_setting_and_its_own_at_once() -> (
    None
):
    async def seconds() -> tuple[float, float]:
        async with counted_host() as (parts, storage):
            loop, hub = asyncio.get_running_loop(), parts.settings.hub
            await asyncio.sleep(3600)
            other_hub = TaskHub(storage, hub, parts.ids.hex32)
            courier = Courier(other_hub, parts.clock, parts.ids)
            other = HubClient(other_hub, courier, clock=parts.clock, ids=parts.ids)
            took = []
            for client in (other, parts.engine.client):
                began = loop.time()
                instance = await client.start("chain", input=json.dumps(json.dumps(["x"])))
                record = await parts.engine.client.wait(
                    instance, limit=timedelta(hours=1), interval=timedelta(hours=1)
                )
                assert record is not None
                assert record.status == "Completed"
                took.append(loop.time() - began)
            return took[0], took[1]

    foreign, own = run_virtually(seconds())
    assert foreign <= HubSettings().max_queue_polling_interval.total_seconds() * JITTER_HIGH
    assert own < 1


def test_activities_that_were_handed_over_cost_no_polls() -> None:
    async def polls() -> int:
        async with counted_host() as (parts, storage):
            await asyncio.sleep(SETTLED_S)
            storage.calls.clear()
            await ended(parts, "chain", ["x"] * 20)
            return storage.calls[EMPTY]

    assert run_virtually(polls()) <= 1


def test_activities_that_were_left_in_the_queue_are_taken_as_soon_as_there_is_room() -> None:
    """Of 100 one runs at a time, and four wait in memory."""

    async def seconds() -> tuple[float, int]:
        async with counted_host(max_concurrent_activities=1) as (parts, storage):
            await asyncio.sleep(SETTLED_S)
            storage.calls.clear()
            began = asyncio.get_running_loop().time()
            await ended(parts, "fan_out", 100)
            return asyncio.get_running_loop().time() - began, storage.calls["receive"]

    took, receives = run_virtually(seconds())
    assert receives >= 90
    assert took < POLLING_INTERVAL_MIN_S


def test_what_others_leave_in_the_queue_is_found_by_a_host_that_is_busy() -> None:
    """Not only after the pauses of a queue that has been empty for long."""

    async def seconds() -> float:
        async with counted_host(partition_count=1) as (parts, storage):
            await asyncio.sleep(3600)
            hub = TaskHub(storage, parts.settings.hub, parts.ids.hex32)
            courier, loop = Courier(hub, parts.clock, parts.ids), asyncio.get_running_loop()
            target = OrchestrationInstance(instance_id=InstanceId("gone"), execution_id=None)
            event = TaskScheduled(
                event_id=0, timestamp=parts.clock.now(), name="echo", version=None, input="1"
            )
            left = OutboundMessage(message=TaskMessage(event=event, target=target))
            await courier.put(left, sender=target, episode=None)
            began = loop.time()
            while await storage.queues.message_count(hub.work_items.name):
                await ended(parts, "chain", ["x"])
                await asyncio.sleep(0.1)
            return loop.time() - began

    assert run_virtually(seconds()) <= 2 * LOOK_AFTER_S


def test_whoever_starts_and_waits_looks_once() -> None:
    async def looks() -> int:
        async with counted_host() as (parts, storage):
            await asyncio.sleep(SETTLED_S)
            storage.calls.clear()
            await ended(parts, "chain", ["x"] * 3)
            return storage.calls["query Instances"]

    assert run_virtually(looks()) == 1


@pytest.mark.parametrize(("limit_s", "interval_s", "took_s"), [(0, 0, 0), (3, 1, 3), (1, 5, 1)])
def test_whoever_starts_and_waits_is_answered_in_time(
    limit_s: int, interval_s: int, took_s: int
) -> None:
    async def wait() -> tuple[str, float]:
        async with counted_host() as (parts, _):
            client, loop = parts.engine.client, asyncio.get_running_loop()
            instance = await client.start("waits", input=json.dumps(json.dumps("go")))
            began = loop.time()
            record = await client.wait(
                instance,
                limit=timedelta(seconds=limit_s),
                interval=timedelta(seconds=interval_s),
                is_new=True,
            )
            assert record is not None
            return str(record.status), loop.time() - began

    status, took = run_virtually(wait())
    assert took == pytest.approx(took_s, abs=0.001)
    assert status in ("Pending", "Running")


def test_whoever_waits_for_what_has_ended_already_is_told_at_once() -> None:
    async def wait() -> tuple[float, int]:
        async with counted_host() as (parts, storage):
            client, loop = parts.engine.client, asyncio.get_running_loop()
            instance = await client.start("chain", input=json.dumps(json.dumps(["x"])))
            await asyncio.sleep(QUIET_S)
            storage.calls.clear()
            began, hour = loop.time(), timedelta(hours=1)
            record = await client.wait(instance, limit=hour, interval=hour, is_new=True)
            assert record is not None
            assert record.status == "Completed"
            return loop.time() - began, storage.calls["query Instances"]

    assert run_virtually(wait()) == (pytest.approx(0, abs=0.001), 1)


def test_only_so_many_ends_are_remembered() -> None:
    completions = Completions()
    ids = [InstanceId(f"i{number}") for number in range(RECENT_MAX + 1)]
    for instance in ids:
        completions.ended(instance)
    with completions.watch(ids[0]) as first, completions.watch(ids[1]) as second:
        assert (first.is_set(), second.is_set()) == (False, True)


async def ended(parts: Parts, orchestrator: str, value: Any) -> None:
    """Start an instance and wait for its end."""
    client, hour = parts.engine.client, timedelta(hours=1)
    instance = await client.start(orchestrator, input=json.dumps(json.dumps(value)))
    record = await client.wait(instance, limit=hour, interval=hour, is_new=True)
    assert record is not None
    assert record.status == "Completed"


def test_whoever_waits_reads_large_payloads_once() -> None:
    async def downloads() -> int:
        async with counted_host() as (parts, storage):
            text = "x" * 100_000
            client = parts.engine.client
            instance = await client.start("waits", input=json.dumps(json.dumps(text)))
            await asyncio.sleep(QUIET_S)
            before = storage.calls["download blob"]
            record = await client.wait(
                instance, limit=timedelta(seconds=60), interval=timedelta(seconds=1)
            )
            assert record is not None
            assert record.status == "Running"
            assert text in (record.input or "")
            return storage.calls["download blob"] - before

    assert run_virtually(downloads()) == 1


@pytest.mark.parametrize(("is_here", "most"), [(True, 2), (False, 21)])
def test_waiting_polls_the_store_only_for_what_ends_elsewhere(*, is_here: bool, most: int) -> None:
    async def looks() -> int:
        async with counted_host() as (parts, storage):
            hub = TaskHub(storage, parts.settings.hub, parts.ids.hex32)
            courier = Courier(hub, parts.clock, parts.ids)
            other = HubClient(hub, courier, clock=parts.clock, ids=parts.ids)
            client = parts.engine.client if is_here else other
            instance = await client.start("waits", input=json.dumps(json.dumps("go")))
            await asyncio.sleep(QUIET_S)
            storage.calls.clear()
            await client.wait(instance, limit=timedelta(seconds=20), interval=timedelta(seconds=1))
            return storage.calls["query Instances"]

    assert run_virtually(looks()) in (most, most + 1)


def test_a_partition_holds_no_more_messages_than_the_settings_allow_and_takes_more_at_once() -> (
    None
):
    threshold, batch, count = 8, 4, 200

    async def work() -> tuple[int, float]:
        bounds = {"control_queue_buffer_threshold": threshold, "control_queue_batch_size": batch}
        async with counted_host(partition_count=1, **bounds) as (parts, _):
            client, most = parts.engine.client, 0
            (loop,) = parts.engine.partitions.owned
            text = json.dumps(json.dumps("x"))
            began = asyncio.get_running_loop().time()
            instances = [await client.start("returns", input=text) for _ in range(count)]
            for instance in instances:
                most = max(most, len(loop.custody))
                record = await client.wait(
                    instance, limit=timedelta(hours=1), interval=timedelta(hours=1)
                )
                assert record is not None
                assert record.status == "Completed"
            return most, asyncio.get_running_loop().time() - began

    most, seconds = run_virtually(work())
    assert most < threshold + batch
    assert seconds < POLLING_INTERVAL_MIN_S
