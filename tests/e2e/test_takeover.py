"""Hubs that the real product left, taken over by ours: after any of its writes, and as a stage file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from azurite import Azurite
from emulator.compose import Parts, running_engine
from emulator.engine.clock import Clock, IdSource
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.storage.sqlite import SqliteStorage
from emulator.testing.chance import SeededIds
from emulator.testing.counting import CountedStorage
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests import vectors
from tests.support import transcripts
from tests.support.clocks import CountedIds, ManualClock
from tests.support.replay import Replay
from tests.support.stages import exported, imported
from tests.support.stores import azure_storage, system_sources
from tests.support.takeover import (
    Ends,
    Taken,
    ends,
    hub_settings,
    recorded_ends,
    take_over,
    take_over_in,
    until_ended,
)

LEFT_OUT = {
    "detached": "an orchestration in Python cannot start another one that it does not wait for",
    "send-event": "an orchestration in Python cannot raise events on another one",
    "left-behind": "its end was not recorded; see the tests of its stage",
    "pending": "no worker was ever there; see the tests of its stage",
}
"""Scenarios that an app in Python cannot end as recorded, and why."""
ENDS_AT = {"delete-hub": "01-before"}
"""Stages at which a scenario ends for us, where it is not the last one: a deleted hub shows nothing."""
OTHER_ENDS: dict[str, Ends] = {
    # The framework alone looks again and again for code of that name; the extension fails the instance.
    "failures": {"unregistered": ("Failed", None)},
}
SCENARIOS = [name for name in vectors.storage_scenarios() if name not in LEFT_OUT]
RECORDED_ACCOUNT = "http://127.0.0.1:22010/devstoreaccount1"
Json = dict[str, Any]
SAMPLES = 5
"""How many of a scenario's writes are tried in the normal suite."""
ON_AZURITE = ("chain-long", "fan-out", "mixed", "no-activity", "sub-orchestration")
PARTS = 16
"""The soak tries them all, in so many tests, so that none takes long."""


def plan(scenario: str) -> tuple[Ends, int, int]:
    """How a scenario ends, before which line, and after how many writes."""
    stages = vectors.stages(scenario)
    stage = ENDS_AT.get(scenario, [*stages][-1])
    last = stages[stage]["transcript_lines_before"]
    expected = recorded_ends(scenario, stage) | OTHER_ENDS.get(scenario, {})
    return expected, last, sum(call.number < last for call in transcripts.calls(scenario))


def check(scenario: str, counts: Callable[[int], range], *, base64_messages: bool = False) -> None:
    """Take over after each of some writes, and name all that end otherwise, or as a hub that is not sound."""
    expected, last, total = plan(scenario)
    wrong: dict[int, object] = {}
    for count in counts(total):
        wanted = expected | counted_twice(scenario, count) | kept_terminated(scenario, count)
        taken = take_over(scenario, count, wanted, last, base64_messages=base64_messages)
        if not alike(scenario, taken.ends, wanted):
            wrong[count] = {n: end for n, end in taken.ends.items() if wanted.get(n) != end}
        elif taken.breaches:
            wrong[count] = taken.breaches
    assert not wrong, f"{scenario} ends otherwise after these writes: {wrong}"


def counted_twice(scenario: str, count: int) -> Ends:
    """Of an eternal orchestration that counts events: those that were counted, but not yet deleted, come again."""
    if scenario != "continue-as-new-events":
        return {}
    done = transcripts.calls(scenario)[:count]
    counted = max([0, *(int(row.columns["Input"]) for call in done for row in call.rows
                        if row.columns.get("EventType") == "ExecutionStarted")])  # fmt: skip
    events = {
        call.replied[0].findtext("MessageId")
        for call in done
        if call.text is not None and '"Name":"Inc"' in call.text
    }
    deleted = [call for call in done if call.service == "queue" and call.method == "DELETE"]
    gone = sum(call.path.rpartition("/")[2] in events for call in deleted)
    return {"counter": ("Completed", 5 + max(0, counted - gone))}


def kept_terminated(scenario: str, count: int) -> Ends:
    """A scheduled start that was terminated before it ran stays so with us; the real product runs it all the same."""
    if scenario != "terminate":
        return {}
    ran = any(
        row.columns.get("EventType") == "ExecutionStarted"
        for call in transcripts.calls(scenario)[:count]
        for row in call.rows
        if row.key.partition == "terminated-scheduled"
    )
    return {} if ran else {"terminated-scheduled": ("Terminated", "cancel the schedule")}


def alike(scenario: str, seen: Ends, wanted: Ends) -> bool:
    """Whether it ended as recorded.

    An attempt whose answer was sent, but whose message was not deleted, is made again: then children of a retry need
    fewer of them.
    """
    if scenario != "retry":
        return seen == wanted
    return {k: v for k, v in seen.items() if ":" not in k} == {
        k: v for k, v in wanted.items() if ":" not in k
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ours_ends_what_another_worker_began(scenario: str):
    """The rest of the writes is tried by the soak below."""
    check(scenario, lambda total: range(len(scenario) % 7, total + 1, total // SAMPLES))


@pytest.mark.parametrize("scenario", ["large", "mixed", "rewind", "sub-orchestration"])
def test_ours_ends_what_a_worker_began_whose_messages_are_in_base64(scenario: str):
    check(scenario, lambda total: range(3, total + 1, total // SAMPLES), base64_messages=True)


@pytest.mark.slow
@pytest.mark.azurite
async def test_ours_ends_on_azurite_what_another_worker_began(azurite: Azurite):
    """Some of the hubs, taken over at once after half of their writes."""
    clock, ids = system_sources()
    storage = azure_storage(azurite.connection_string)
    taken: dict[str, Taken] = {}

    async def one(scenario: str) -> None:
        expected, last, total = plan(scenario)
        taken[scenario] = await take_over_in(
            storage, scenario, total // 2, expected, last, clock=clock, ids=ids, after_s=0
        )

    await storage.open()
    try:
        async with asyncio.TaskGroup() as group:
            for scenario in ON_AZURITE:
                group.create_task(one(scenario))
    finally:
        await storage.close()
    assert {name: hub.ends for name, hub in taken.items()} == {n: plan(n)[0] for n in ON_AZURITE}
    assert [breach for hub in taken.values() for breach in hub.breaches] == []


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ours_ends_what_another_worker_began_after_each_write(scenario: str, part: int):
    check(scenario, lambda total: range(part, total + 1, PARTS))


# --- stages -------------------------------------------------------------------------------------------------------

CITIES = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
CONTINUED: dict[str, Ends] = {
    "left-behind": {
        "done": ("Completed", CITIES),
        "not-started": ("Completed", CITIES),
        "eternal": ("Completed", 2),
        "mixed": ("Completed", [6, "Hello mixed!", '"raised while away"']),
        "90d89f97d06a47b79adeae2b54d56907:3": ("Completed", "Hello mixed!"),
        "waits-for-events": ("Completed", ['"raised while away"', '"raised by ours"']),
        "waits-for-either": ("Completed", "approved: true"),
        "waits-for-timer": ("Completed", "rang"),
    },
    "pending": {
        "object-input": (
            "Completed",
            'got {"city":"Tokyo","n":1,"when":"2024-01-02T03:04:05Z","accents":"é ü 漢字 <&>\\"\'"}',
        ),
        "plain": ("Completed", 'got "again"'),
        "tagged": ("Completed", 'got "v"'),
        "scheduled": ("Completed", 'got "later"'),
        "with-event": ("Completed", ['{"x":1}', "2"]),
        "null-input": ("Terminated", "no longer wanted"),
    },
}
"""How instances end when their code, and the events that they still wait for, have their way."""
EVENTS: dict[str, list[tuple[str, str, str]]] = {
    "left-behind": [
        ("eternal", "Inc", '"end"'),
        ("waits-for-events", "B", '"raised by ours"'),
        ("waits-for-either", "Approval", "true"),
    ],
    "pending": [("with-event", "B", "2")],
}
HIDDEN: dict[str, set[str]] = {"left-behind": {"waits-for-timer"}, "pending": {"scheduled"}}
"""Instances whose message nobody could see when the stage was taken, since it was not due."""


def last_stage(scenario: str) -> Json:
    return [*vectors.stages(scenario).values()][-1]


async def go_on(scenario: str, parts: Parts, counted: CountedStorage) -> Ends:
    """Raise what is waited for, and look at the end."""
    wanted = {k: v for k, v in CONTINUED[scenario].items() if k not in HIDDEN[scenario]}
    for instance, name, data in EVENTS[scenario]:
        await parts.engine.client.raise_event(instance, name, data)
    still = await ends(parts.engine.client)
    waiting = {name: still[name] for name in HIDDEN[scenario]}
    return await until_ended(parts.engine.client, counted, wanted | waiting)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("scenario", CONTINUED)
def test_a_recorded_stage_is_continued_to_its_end(scenario: str, store: str, tmp_path: Path):
    async def main() -> Ends:
        clock = VirtualClock(asyncio.get_running_loop(), transcripts.beginning(scenario))
        ids = SeededIds()
        storage: Storage = MemoryStorage(clock, ids)
        if store == "sqlite":
            storage = SqliteStorage(tmp_path / "state.db", clock, ids)
        await storage.open()
        try:
            await imported(last_stage(scenario), storage, "Taken")
            return await _played(scenario, storage, clock, ids)
        finally:
            await storage.close()

    seen = run_virtually(main())
    for name in HIDDEN[scenario]:
        assert seen.pop(name)[0] in ("Running", "Pending")
    assert seen == {k: v for k, v in CONTINUED[scenario].items() if k not in HIDDEN[scenario]}


async def _played(scenario: str, storage: Storage, clock: Clock, ids: IdSource) -> Ends:
    settings = hub_settings("Taken")
    counted = CountedStorage(storage, "Taken")
    async with running_engine(settings, counted, clock=clock, ids=ids) as parts:
        await asyncio.sleep(60)
        return await go_on(scenario, parts, counted)


@pytest.mark.parametrize("scenario", CONTINUED)
def test_a_hub_left_behind_is_continued_to_its_end_with_its_timers(scenario: str):
    """The same, from the writes, which show what a stage cannot: messages that are not due yet."""
    calls = transcripts.calls(scenario)

    async def main() -> Ends:
        clock = VirtualClock(asyncio.get_running_loop(), transcripts.beginning(scenario))
        ids = SeededIds()
        storage = MemoryStorage(clock, ids)
        replay = Replay(storage)
        for call in calls:
            await replay.apply(call)
        settings = hub_settings(hub_of(last_stage(scenario)))
        counted = CountedStorage(storage, settings.hub.hub_name)
        async with running_engine(settings, counted, clock=clock, ids=ids) as parts:
            await asyncio.sleep(60)
            await go_on(scenario, parts, counted)
            await asyncio.sleep(timedelta(hours=1).total_seconds())
            return await ends(parts.engine.client)

    assert run_virtually(main()) == CONTINUED[scenario]


@pytest.mark.azurite
async def test_left_behind_is_continued_on_azurite(azurite: Azurite):
    """But for what takes an hour, which is in a stage's invisible messages anyway."""
    clock, ids = system_sources()
    storage = azure_storage(azurite.connection_string)
    await storage.open()
    try:
        await imported(last_stage("left-behind"), storage, "TakenHere")
        wanted = {k: v for k, v in CONTINUED["left-behind"].items() if k != "waits-for-timer"}
        settings = hub_settings("TakenHere")
        settings = replace(
            settings,
            hub=replace(settings.hub, max_queue_polling_interval=timedelta(milliseconds=100)),
        )
        async with running_engine(settings, storage, clock=clock, ids=ids) as parts:
            client = parts.engine.client
            for instance, name, data in EVENTS["left-behind"]:
                await client.raise_event(instance, name, data)
            for instance in wanted:
                limit, interval = timedelta(seconds=30), timedelta(seconds=0.05)
                await client.wait(instance, limit=limit, interval=interval)
            seen = await ends(client)
        assert seen.pop("waits-for-timer") == ("Running", None)
        assert seen == wanted
    finally:
        await storage.close()


# --- the replayer itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario", [name for name in vectors.storage_scenarios() if name != "delete-hub"]
)
async def test_replayed_writes_give_the_recorded_stages(scenario: str):
    """Every row to the column, every payload to the byte, and as many messages."""
    storage = MemoryStorage(ManualClock(), CountedIds())
    replay = Replay(storage)
    left = [*transcripts.calls(scenario)]
    for stage in vectors.stages(scenario).values():
        while left and left[0].number < stage["transcript_lines_before"]:
            await replay.apply(left.pop(0))
        again = await recorded_form(storage, hub_of(stage))
        assert rows_of(again) == rows_of(stage)
        assert payloads_of(again) == payloads_of(stage)
        assert counts_of(again) == counts_of(stage)


def hub_of(stage: Json) -> str:
    [instances] = [name for name in stage["tables"] if name.endswith("Instances")]
    return instances.removesuffix("Instances")


async def recorded_form(storage: Storage, hub_name: str) -> Json:
    """A hub with the addresses of the recorded account."""
    text = json.dumps(await exported(storage, hub_name))
    return json.loads(text.replace(storage.blobs.blob_url("", "").rstrip("/"), RECORDED_ACCOUNT))


def rows_of(stage: Json) -> Json:
    passing = ("odata.etag", "Timestamp")
    return {
        table: [{c: v for c, v in row.items() if c not in passing} for row in rows]
        for table, rows in stage["tables"].items()
    }


def payloads_of(stage: Json) -> Json:
    return {
        name: blob["base64"]
        for container, blobs in stage["blobs"].items()
        if container.endswith("largemessages")
        for name, blob in blobs.items()
    }


def counts_of(stage: Json) -> Json:
    return {name: queue["approximate_count"] for name, queue in stage["queues"].items()}
