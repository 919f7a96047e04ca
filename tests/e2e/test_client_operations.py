"""What a client may do to instances, beside events and steering: start later, restart, replace, purge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.compose import Parts
from emulator.core.instant import Instant
from emulator.core.status import RuntimeStatus
from emulator.errors import InstanceConflictError, InstanceNotFoundError
from tests.support.engines import play
from tests.support.histories import notation

APP = Path(__file__).parent / "behaviours"
MINUTE = timedelta(minutes=1)
ECHO_ONE = json.dumps(json.dumps(1))

Scene = Callable[[Parts], Awaitable[None]]


async def ended(parts: Parts, instance: str) -> RuntimeStatus:
    record = await parts.engine.client.wait(instance, limit=MINUTE, interval=MINUTE)
    assert record is not None
    return record.status


async def a_scheduled_start_waits_for_its_time(parts: Parts) -> None:
    client = parts.engine.client
    due = Instant(parts.clock.now()).plus(MINUTE)
    await client.start("returns", instance_id="i", input=ECHO_ONE, scheduled_start=due)
    await asyncio.sleep(59)
    record = await client.get("i")
    assert record is not None
    assert (record.status, record.scheduled_start) == (RuntimeStatus.PENDING, due)
    await asyncio.sleep(2)
    assert await ended(parts, "i") is RuntimeStatus.COMPLETED
    assert (await client.history("i"))[0].timestamp >= due


async def a_scheduled_start_that_was_terminated_never_runs(parts: Parts) -> None:
    client = parts.engine.client
    due = Instant(parts.clock.now()).plus(MINUTE)
    await client.start("returns", instance_id="i", input=ECHO_ONE, scheduled_start=due)
    await client.terminate("i", "not needed")
    await asyncio.sleep(180)
    record = await client.get("i")
    assert record is not None
    assert (record.status, record.output) == (RuntimeStatus.TERMINATED, "not needed")
    assert await client.history("i") == ()


async def a_restart_under_a_new_id_keeps_the_old_instance(parts: Parts) -> None:
    client = parts.engine.client
    await client.start("returns", instance_id="i", input=ECHO_ONE)
    await ended(parts, "i")
    other = await client.restart("i", new_id=True)
    assert other != "i"
    assert await ended(parts, other) is RuntimeStatus.COMPLETED
    old, new = await client.get("i"), await client.get(other)
    assert old is not None
    assert new is not None
    assert (new.name, new.input, new.output) == (old.name, old.input, old.output)


async def a_restart_under_the_same_id_begins_another_generation(parts: Parts) -> None:
    client = parts.engine.client
    await client.start("returns", instance_id="i", input=ECHO_ONE)
    await ended(parts, "i")
    first = await client.get("i")
    assert await client.restart("i", new_id=False) == "i"
    await asyncio.sleep(5)
    second = await client.get("i")
    assert first is not None
    assert second is not None
    assert second.status is RuntimeStatus.COMPLETED
    assert second.execution_id != first.execution_id
    assert (first.generation, second.generation) == (0, 1)
    assert notation(await client.history("i")) == "ES EC#0(Completed)"


async def a_restart_of_what_is_not_there_is_refused(parts: Parts) -> None:
    with pytest.raises(InstanceNotFoundError, match="No instance with ID 'nobody' was found"):
        await parts.engine.client.restart("nobody", new_id=True)


async def a_live_instance_is_not_replaced_by_a_start(parts: Parts) -> None:
    client = parts.engine.client
    await client.start("waits", instance_id="i", input=json.dumps(json.dumps("go")))
    await asyncio.sleep(1)
    with pytest.raises(InstanceConflictError, match="status Running already exists"):
        await client.start("returns", instance_id="i")
    with pytest.raises(InstanceConflictError, match="status Running already exists"):
        await client.restart("i", new_id=False)
    await client.raise_event("i", "go", "1")
    assert await ended(parts, "i") is RuntimeStatus.COMPLETED
    await client.start("returns", instance_id="i", input=ECHO_ONE)
    await asyncio.sleep(5)
    record = await client.get("i")
    assert record is not None
    assert (record.name, record.status) == ("returns", RuntimeStatus.COMPLETED)


async def a_purge_leaves_nothing(parts: Parts) -> None:
    client = parts.engine.client
    await client.start("returns_large", instance_id="i", input=json.dumps(json.dumps(100_000)))
    await ended(parts, "i")
    assert await client.purge("i")
    assert await client.get("i") is None
    assert await client.history("i") == ()
    assert not await client.purge("i")
    hub = parts.engine.client.task_hub.lower()
    page = await parts.storage.blobs.list_blobs(f"{hub}-largemessages")
    assert page.names == ()


async def a_purge_by_time_spares_what_lives(parts: Parts) -> None:
    client = parts.engine.client
    began = Instant(parts.clock.now())
    await client.start("returns", instance_id="done", input=ECHO_ONE)
    await client.start("raises", instance_id="failed", input=json.dumps(json.dumps("now")))
    await client.start("waits", instance_id="waits", input=json.dumps(json.dumps("go")))
    await asyncio.sleep(5)
    failed = frozenset({RuntimeStatus.FAILED})
    assert await client.purge_where(created_from=began, created_to=None, statuses=failed) == 1
    assert await client.get("failed") is None
    running = frozenset({RuntimeStatus.RUNNING})
    assert await client.purge_where(created_from=began, created_to=None, statuses=running) == 0
    assert await client.get("waits") is not None
    assert await client.get("done") is not None


SCENES: tuple[Scene, ...] = (
    a_scheduled_start_waits_for_its_time,
    a_scheduled_start_that_was_terminated_never_runs,
    a_restart_under_a_new_id_keeps_the_old_instance,
    a_restart_under_the_same_id_begins_another_generation,
    a_restart_of_what_is_not_there_is_refused,
    a_live_instance_is_not_replaced_by_a_start,
    a_purge_leaves_nothing,
    a_purge_by_time_spares_what_lives,
)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__.replace("_", " "))
def test_clients(scene: Scene, store: str, tmp_path: Path) -> None:
    play(APP, scene, file=tmp_path / "state.db" if store == "sqlite" else None)
