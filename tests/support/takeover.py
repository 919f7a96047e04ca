"""A worker that is gone in the middle of a recording, and ours that takes its hub over, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from emulator.compose import running_engine
from emulator.core.events import ExecutionStarted, GenericEvent, TaskFailed
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.status import RuntimeStatus
from emulator.engine.clock import Clock, IdSource
from emulator.engine.ports import OrchestrationClient
from emulator.settings import Settings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.testing.chance import SeededIds
from emulator.testing.counting import CountedStorage
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from emulator.wire.keys import unescape
from tests import vectors
from tests.e2e import outside_world
from tests.support import transcripts
from tests.support.checklist import breaches
from tests.support.engines import settings_for
from tests.support.replay import Replay
from tests.support.stages import exported
from tests.support.transcripts import Call

APP: Final = Path(__file__).parents[1] / "e2e" / "takeover"
TAKEN_S: Final = 12
"""After so long ours has the hub: it looks every 5 s, and what the other worker held lapses after 5 s as well."""
CALM_S: Final = 2
"""A hub in which nothing is written for so long rests, but for timers."""
PATIENCE_S: Final = 600
Ends = dict[str, tuple[str, Any]]
"""Status and output by instance; of failures only the status, since each worker words them in its own way."""


def hub_settings(hub_name: str, **changes: object) -> Settings:
    """Ours, which looks into its queues often."""
    quick = {
        "hub_name": hub_name,
        "max_queue_polling_interval": timedelta(seconds=1),
        "lease_acquire_interval": timedelta(seconds=5),
        "lease_interval": timedelta(minutes=30),
    }
    return settings_for(APP, **{**quick, **changes})


# --- how it ends --------------------------------------------------------------------------------------------------


def recorded_ends(scenario: str, stage: str) -> Ends:
    """As a stage shows it."""
    content = vectors.stages(scenario)[stage]
    [rows] = [rows for name, rows in content["tables"].items() if name.endswith("Instances")]
    blobs = [blobs for name, blobs in content["blobs"].items() if name.endswith("largemessages")]
    payloads = _unpacked(blobs[0] if blobs else {})
    return {_id(row): _end(_cell(row, "RuntimeStatus"), _output(row, payloads)) for row in rows}


def _id(row: dict[str, Any]) -> str:
    return unescape(row["PartitionKey"]["value"])


def _cell(row: dict[str, Any], name: str) -> Any:
    return row.get(name, {}).get("value")


def _unpacked(blobs: dict[str, Any]) -> dict[str, str]:
    packed = vectors.packed_payloads()
    return {name: packed[key] for name in blobs for key in packed if key.endswith(f"/{name}")}


def _output(row: dict[str, Any], payloads: dict[str, str]) -> str | None:
    value = _cell(row, "Output")
    if value is None or not value.startswith("http://127.0.0.1"):
        return value
    return payloads[value.partition("-largemessages/")[2]]


def _end(status: str, output: str | None) -> tuple[str, Any]:
    if status == RuntimeStatus.COMPLETED and output is not None:
        return status, json.loads(output)
    return status, None if status == RuntimeStatus.FAILED else output


async def ends(client: OrchestrationClient) -> Ends:
    """As it is in ours."""
    return {
        record.instance_id: _end(record.status, record.output) for record in await records(client)
    }


async def records(client: OrchestrationClient) -> Sequence[InstanceRecord]:
    page = await client.query(InstanceQuery())
    assert page.continuation is None
    return page.records


# --- taking over --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """How a hub ended that was taken over."""

    ends: Ends
    hub: dict[str, Any]
    """In the form of the recorded stages."""

    @property
    def breaches(self) -> list[str]:
        """What the other implementation would stumble over in it."""
        return breaches(self.hub)


def take_over(
    scenario: str, count: int, expected: Ends, last: int, *, base64_messages: bool = False
) -> Taken:
    """What becomes of a hub whose worker is gone after so many writes, when its clients go on.

    Args:
        last: the transcript's line before which it ends.
        base64_messages: the other worker and the clients write their messages so.
    """

    async def main() -> Taken:
        clock = VirtualClock(asyncio.get_running_loop(), transcripts.beginning(scenario))
        ids = SeededIds()
        storage = MemoryStorage(clock, ids)
        return await take_over_in(
            storage,
            scenario,
            count,
            expected,
            last,
            clock=clock,
            ids=ids,
            base64_messages=base64_messages,
        )

    return run_virtually(main())


async def take_over_in(
    storage: Storage,
    scenario: str,
    count: int,
    expected: Ends,
    last: int,
    *,
    clock: Clock,
    ids: IdSource,
    base64_messages: bool = False,
    after_s: float = TAKEN_S,
) -> Taken:
    """The same in a store and a time of the caller's.

    Args:
        after_s: when clients go on, since ours began.
    """
    calls = [call for call in transcripts.calls(scenario) if call.number < last]
    replay = Replay(storage, base64_messages=base64_messages, short_leases=True)
    scene = _Scene(scenario, calls, count, replay)
    await scene.set()
    instances = next(c.table for call in calls for c in call.rows if c.table.endswith("Instances"))
    name = instances.removesuffix("Instances")
    by_table = any(c.table == f"{name}Partitions" for call in calls for c in call.rows)
    settings = hub_settings(name, use_table_partition_management=by_table)
    counted = CountedStorage(storage, settings.hub.hub_name)
    async with running_engine(settings, counted, clock=clock, ids=ids) as parts:
        await asyncio.sleep(after_s)
        await scene.go_on(parts.engine.client, counted)
        seen = await until_ended(parts.engine.client, counted, expected)
    return Taken(seen, await exported(storage, settings.hub.hub_name))


async def until_ended(client: OrchestrationClient, counted: CountedStorage, expected: Ends) -> Ends:
    """The ends when they are as expected and nothing moves any more; else those after a time."""
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        await rest(counted)
        seen = await ends(client)
        if seen == expected or asyncio.get_running_loop().time() > end:
            return seen


class _Scene:
    """The writes of a recording: those that were made, and those of its clients that are still to come."""

    def __init__(self, scenario: str, calls: Sequence[Call], count: int, replay: Replay) -> None:
        self._scenario = scenario
        self._made = calls[:count]
        clients = set(transcripts.of_clients(scenario))
        self._coming = [call for call in calls[count:] if call in clients]
        self._replay = replay
        self._rewinds = False
        """Whether a client is in the midst of a rewind."""

    async def set(self) -> None:
        """Make the writes, each in its time; a client in the midst of a start ends it."""
        outside_world.attempts, outside_world.is_healthy = 0, False
        for call in self._made:
            await _until_time(call.at_s)
            await self._apply(call)
        begun = [call for call in self._made if call in set(transcripts.of_clients(self._scenario))]
        if begun and transcripts.begins_start(self._scenario, begun[-1]):
            await self._start()

    async def _apply(self, call: Call) -> None:
        """Make a write, and what it tells of the world outside come true."""
        await self._replay.apply(call)
        found = transcripts.envelope(self._scenario, call)
        event = None if found is None else found.task_message.event
        if isinstance(event, TaskFailed) and "try" in (event.reason or ""):
            outside_world.attempts += 1
        if isinstance(event, ExecutionStarted) and event.parent is None:
            outside_world.attempts = 0
        if any(_is_rewind(change) for change in call.rows):
            outside_world.is_healthy = self._rewinds = True
        if isinstance(event, GenericEvent):
            self._rewinds = False

    async def _start(self) -> None:
        """The next call of a client, and what belongs to the same start."""
        while self._coming:
            call = self._coming.pop(0)
            await self._apply(call)
            if not transcripts.begins_start(self._scenario, call):
                return

    async def go_on(self, client: OrchestrationClient, counted: CountedStorage) -> None:
        """Do what clients did after the worker was gone, each when ours has come to rest."""
        while self._coming:
            await rest(counted)
            await _until_time(self._coming[0].at_s)
            change = next(iter(self._coming[0].rows), None)
            if change is None:
                await self._start()
            elif _is_rewind(change) and not self._rewinds:
                await self._rewind(client, change.key.partition)
            elif change.method == "DELETE" and change.table.endswith("Instances"):
                await client.purge(unescape(change.key.partition))
                self._coming.pop(0)
            else:
                await self._start()

    async def _rewind(self, client: OrchestrationClient, partition: str) -> None:
        outside_world.is_healthy = True
        reason = None
        while reason is None:
            reason = transcripts.rewind_reason(self._scenario, self._coming.pop(0))
        await client.rewind(unescape(partition), reason)


def _is_rewind(change: transcripts.RowChange) -> bool:
    return change.table.endswith("History") and change.is_alone and change.method == "PUT"


async def _until_time(seconds: float) -> None:
    await asyncio.sleep(max(0.0, seconds - asyncio.get_running_loop().time()))


async def rest(counted: CountedStorage) -> None:
    """Wait until nothing is written, read or sent."""
    before = -1
    while before != counted.transactions:
        before = counted.transactions
        await asyncio.sleep(CALM_S)
