"""Entities of a real app, through the SDK: in memory and in a file in virtual time, on Azurite in real time."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from azurite import Azurite
from emulator.compose import Parts, running_engine
from emulator.console import category_of
from emulator.core.entity_messages import EntityId, Request, Stamp, delivery_time, request_event
from emulator.core.events import EventRaised, OrchestrationInstance
from emulator.core.instance import InstanceQuery
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.status import RuntimeStatus
from emulator.engine.client import HubClient
from emulator.engine.courier import Courier
from emulator.engine.ports import EntityCleanup
from emulator.hub.message_queue import CLIENT_SENDER
from emulator.hub.task_hub import TaskHub
from emulator.settings import Parity
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.conftest import STORES, store_params
from tests.support.engines import on_azurite, play, settings_for
from tests.support.histories import notation
from tests.support.watched import Watched

APP = Path(__file__).parent / "entity_app"
PATIENCE = timedelta(seconds=60)
LOOK = timedelta(seconds=0.05)
Scene = Callable[[Parts], Awaitable[None]]
Json = Any


async def result(parts: Parts, orchestrator: str, data: Json = None) -> Json:
    """Output of an orchestration: what it returned, or the text that it failed with."""
    client = parts.engine.client
    text = None if data is None else json.dumps(json.dumps(data))
    instance = await client.start(orchestrator, input=text, instance_id=f"run-{orchestrator}")
    record = await client.wait(instance, limit=PATIENCE, interval=LOOK)
    assert record is not None
    if record.status is RuntimeStatus.COMPLETED:
        return json.loads(record.output or "null")
    return (str(record.status), record.output)


async def signal(parts: Parts, name: str, key: str, operation: str, data: Json = None) -> None:
    """As the SDK's client does: the JSON of the value, as a JSON string."""
    text = None if data is None else json.dumps(json.dumps(data))
    await parts.engine.client.signal_entity(name, key, operation, text)


async def state(parts: Parts, name: str, key: str) -> Json:
    """An entity's state, None if it does not exist."""
    read = await parts.engine.client.read_entity(name, key)
    return None if read is None else json.loads(read.state or "null")


async def becomes(parts: Parts, name: str, key: str, expected: Json) -> None:
    """Wait until an entity has this state."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while (seen := await state(parts, name, key)) != expected:
            assert seen is None or not isinstance(seen, int) or seen <= (expected or seen)
            await asyncio.sleep(LOOK.total_seconds())


# --- on every store -----------------------------------------------------------------------------------------------


async def calls_return_results_and_keep_state(parts: Parts) -> None:
    assert await result(parts, "call", "k") == [5, 7, 7]
    await becomes(parts, "Counter", "k", 7)
    assert await state(parts, "COUNTER", "k") == 7, "names are compared without case"
    assert await state(parts, "Counter", "K") is None, "keys are not"


async def a_hundred_signals_of_an_orchestration_keep_their_order(parts: Parts) -> None:
    assert await result(parts, "signal_in_order") == list(range(100))


async def a_hundred_signals_of_a_client_keep_their_order(parts: Parts) -> None:
    for number in range(100):
        await signal(parts, "journal", "j", "append", number)
    await becomes(parts, "journal", "j", list(range(100)))


async def many_calls_at_once_are_all_answered(parts: Parts) -> None:
    assert await result(parts, "call_many") == sorted([1, 2, 3, 4] * 5)


async def an_error_is_raised_where_the_entity_was_called(parts: Parts) -> None:
    assert await result(parts, "catch", "k") == ["no k", 1000], "the state is not rolled back"


async def an_error_that_nobody_catches_fails_the_orchestration(parts: Parts) -> None:
    status, output = await result(parts, "do_not_catch", "k")
    assert status == "Failed"
    assert output == "Orchestrator function 'do_not_catch' failed: no k"


async def a_call_of_an_unknown_entity_fails_at_once_and_says_what_there_is(parts: Parts) -> None:
    status, output = await result(parts, "call_unknown")
    assert status == "Failed"
    assert "'Contour'" in output or "'contour'" in output
    assert "Did you mean 'Counter'?" in output
    assert "On Azure" in output


async def a_signal_to_an_unknown_entity_fails_with_the_recorded_text(parts: Parts) -> None:
    assert await result(parts, "signal_unknown") == (
        "Failed",
        "Orchestrator function 'signal_unknown' failed: The function 'nobody' doesn't exist, is disabled, or is not "
        "an entity function. Additional info: The following are the known entity functions: 'Counter', 'Fragile', "
        "'journal'.",
    )


async def executions_that_follow_each_other_are_all_heard(parts: Parts) -> None:
    assert await result(parts, "generations", 3) == [3, 2, 1, 0]


async def an_entity_that_is_deleted_can_begin_anew(parts: Parts) -> None:
    await signal(parts, "Counter", "k", "add", 3)
    await becomes(parts, "Counter", "k", 3)
    await signal(parts, "Counter", "k", "delete")
    await becomes(parts, "Counter", "k", None)
    await signal(parts, "Counter", "k", "add", 4)
    await becomes(parts, "Counter", "k", 4)


async def entities_are_listed_by_their_name(parts: Parts) -> None:
    for key in ("b", "a"):
        await signal(parts, "Counter", key, "add", 1)
        await becomes(parts, "Counter", key, 1)
    await signal(parts, "journal", "x", "append", 1)
    await becomes(parts, "journal", "x", [1])
    page = await parts.engine.client.query(InstanceQuery(prefix="@counter@"))
    assert [record.instance_id for record in page.records] == ["@counter@a", "@counter@b"]
    everything = await parts.engine.client.query(InstanceQuery(exclude_entities=True))
    assert everything.records == ()


async def an_entity_leaves_three_rows(parts: Parts) -> None:
    for _ in range(3):
        await signal(parts, "Counter", "k", "add", 1)
    await becomes(parts, "Counter", "k", 3)
    assert notation(await parts.engine.client.history("@counter@k")) == "ES"
    record = await parts.engine.client.get("@counter@k")
    assert record is not None
    assert (record.name, record.status) == ("@counter@k", RuntimeStatus.RUNNING)
    assert record.input == '{"exists":true,"state":"3","sorter":{}}'
    assert record.custom_status == '{"entityExists":true}'


async def an_orchestration_may_have_an_id_like_an_entity(parts: Parts) -> None:
    client = parts.engine.client
    instance = await client.start("call", instance_id="@counter@o", input=json.dumps('"k"'))
    record = await client.wait(instance, limit=PATIENCE, interval=LOOK)
    assert record is not None
    assert (record.name, record.output) == ("call", "[5,7,7]")


EVERYWHERE: tuple[Scene, ...] = (
    calls_return_results_and_keep_state,
    a_hundred_signals_of_an_orchestration_keep_their_order,
    a_hundred_signals_of_a_client_keep_their_order,
    many_calls_at_once_are_all_answered,
    an_error_is_raised_where_the_entity_was_called,
    an_error_that_nobody_catches_fails_the_orchestration,
    a_call_of_an_unknown_entity_fails_at_once_and_says_what_there_is,
    a_signal_to_an_unknown_entity_fails_with_the_recorded_text,
    executions_that_follow_each_other_are_all_heard,
    an_entity_that_is_deleted_can_begin_anew,
    entities_are_listed_by_their_name,
    an_entity_leaves_three_rows,
    an_orchestration_may_have_an_id_like_an_entity,
)


@pytest.mark.parametrize("store", store_params((*STORES, "replayed")))
@pytest.mark.parametrize("scene", EVERYWHERE, ids=lambda scene: scene.__name__)
def test_on_every_store(
    scene: Scene,
    store: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what orchestrators that live on tell the host, which is what a full replay tells."""
    Watched.over(monkeypatch)
    run(APP, scene, store, tmp_path, request)


def run(
    app: Path, scene: Scene, store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In virtual time where the store has none of its own."""
    if store != "azurite":
        file = tmp_path / "state.db" if store == "sqlite" else None
        play(app, scene, file=file, always_replay=store == "replayed")
        return
    server: Azurite = request.getfixturevalue("azurite")

    async def main() -> None:
        async with on_azurite(app, server, f"Ent{uuid4().hex[:20]}") as parts:
            await scene(parts)

    asyncio.run(main())


# --- a host that stops and starts again ---------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size_max", [5000, 1])
def test_state_and_waiting_operations_are_kept_over_a_restart(
    tmp_path: Path, batch_size_max: int
) -> None:
    """Of a store in memory that outlives the hosts, so that what the second one finds is all there is."""
    settings = settings_for(APP, max_entity_operation_batch_size=batch_size_max)

    async def main() -> None:
        clock = VirtualClock(asyncio.get_running_loop())
        storage = MemoryStorage(clock, SeededIds(1))
        async with running_engine(settings, storage, clock=clock, ids=SeededIds(2)) as first:
            await signal(first, "Counter", "k", "add", 3)
            await becomes(first, "Counter", "k", 3)
            await delay(first, "k", "add", 4, clock.now().plus(timedelta(seconds=30)))
        async with running_engine(settings, storage, clock=clock, ids=SeededIds(3)) as second:
            assert await state(second, "Counter", "k") == 3
            await signal(second, "Counter", "k", "add", 1)
            await becomes(second, "Counter", "k", 4)
            await becomes(second, "Counter", "k", 8)

    run_virtually(main())


def test_an_entity_that_is_flooded_goes_on_in_batches_and_loses_nothing() -> None:
    async def scene(parts: Parts) -> None:
        for number in range(20):
            await signal(parts, "journal", "j", "append", number)
        await becomes(parts, "journal", "j", list(range(20)))
        record = await parts.engine.client.get("@journal@j")
        assert record is not None
        assert "suspended" not in (record.input or "")

    play(APP, scene, max_entity_operation_batch_size=3)


# --- delayed signals ----------------------------------------------------------------------------------------------


async def delay(parts: Parts, key: str, operation: str, data: Json, due: Instant) -> None:
    """A delayed signal, as other SDKs send it."""
    request = Request(
        operation=operation,
        is_signal=True,
        input=json.dumps(json.dumps(data)),
        id=f"delayed-{key}",
        due=Stamp(due, is_utc=True),
    )
    await put(parts, EntityId(name="counter", key=key), request_event(due), request)


async def put(parts: Parts, entity: EntityId, name: str, request: Request) -> None:
    event = EventRaised(timestamp=parts.clock.now(), name=name, input=request.text())
    target = OrchestrationInstance(instance_id=entity.instance_id, execution_id=None)
    outbound = OutboundMessage(
        message=TaskMessage(event=event, target=target), not_before=delivery_time(name)
    )
    sent = await parts.engine.courier.put(outbound, sender=CLIENT_SENDER, episode=None)
    await sent.hand_over()


@pytest.mark.parametrize("days", [0.0001, 1.5, 10], ids=["seconds", "days", "in slices"])
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_delayed_signal_is_done_when_it_is_due_and_not_before(
    days: float, store: str, tmp_path: Path
) -> None:
    async def scene(parts: Parts) -> None:
        due = parts.clock.now().plus(timedelta(days=days))
        await delay(parts, "k", "add", 1, due)
        await asyncio.sleep(due.minus(parts.clock.now()).total_seconds() - 0.15)
        assert await state(parts, "Counter", "k") is None
        await asyncio.sleep(0.3)
        assert await state(parts, "Counter", "k") == 1

    play(APP, scene, file=tmp_path / "state.db" if store == "sqlite" else None)


# --- failures that nobody awaits --------------------------------------------------------------------------------------


def test_an_operation_that_fails_is_told_to_the_log_whether_it_was_signalled_or_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What succeeds ("get") is not. A value that is encoded once, as tools post it, is one that the SDK cannot read."""

    async def scene(parts: Parts) -> None:
        await signal(parts, "Counter", "k", "fail")
        await parts.engine.client.signal_entity("Counter", "k", "add", "4")
        await result(parts, "catch", "other")

    play(APP, scene)
    records = [r for r in caplog.records if getattr(r, "event", "") == "operation_failed"]
    assert {(r.levelname, category_of(r)) for r in records} == {
        ("ERROR", "Host.Triggers.DurableTask")
    }
    by_signal, unreadable, by_call = (r.getMessage() for r in records)
    assert re.fullmatch(
        r"@counter@k: Function 'counter \(Entity\)' failed 'fail' operation [0-9a-f-]{36} with exception no k\.",
        by_signal,
    )
    assert "failed 'add' operation" in unreadable
    assert "must be str, bytes or bytearray, not int." in unreadable
    assert by_call.startswith("@counter@other: ")
    assert by_call.endswith(" with exception no other.")


# --- failures of whole batches, and other things that Azure is silent about -------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if getattr(r, "event", "") == "parity_warning"]


def test_a_batch_that_fails_as_a_whole_comes_again_until_it_succeeds_and_says_so_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls wait meanwhile; what others ask of the entity is not held up."""

    async def scene(parts: Parts) -> None:
        client = parts.engine.client
        waiting = await client.start("call_fragile", instance_id="f", input=json.dumps('"mend"'))
        await asyncio.sleep(1)
        assert len(told(caplog)) == 1
        await signal(parts, "Fragile", "f", "write", "meanwhile")
        await becomes(parts, "Fragile", "f", "meanwhile")
        record = await client.wait(waiting, limit=PATIENCE, interval=LOOK)
        assert record is not None
        assert record.status is RuntimeStatus.COMPLETED
        assert await state(parts, "Fragile", "f") == 2
        assert record.completed_at is not None
        assert record.completed_at.minus(record.created_at) > timedelta(seconds=3)

    play(APP, scene, max_queue_polling_interval=timedelta(minutes=10))
    first, second = told(caplog)
    assert "@fragile@f: " in first
    assert "'mend' (" in first
    assert "does not expose a `to_json` function" in first
    assert "On Azure" in first
    assert first.endswith("Here they are run again in 2 s.")
    assert second.endswith(" s.")


def test_the_delays_of_a_failing_batch_grow(caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "event", "") == "parity_warning":
                times.append(asyncio.get_running_loop().time())

    async def scene(parts: Parts) -> None:
        await signal(parts, "Fragile", "f", "break")
        await asyncio.sleep(70)

    handler = Watch()
    logging.getLogger("emulator").addHandler(handler)
    try:
        play(APP, scene)
    finally:
        logging.getLogger("emulator").removeHandler(handler)
    pauses = [round(b - a) for a, b in itertools.pairwise(times)]
    assert pauses == [2, 2, 4, 8, 16, 32]


def test_strict_parity_fails_the_operations_of_a_batch_that_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(parts: Parts) -> None:
        text = await result(parts, "call_fragile", "break")
        assert "On Azure" in text
        assert await state(parts, "Fragile", "run-call_fragile") is None

    play(APP, scene, parity=Parity.STRICT)
    assert len(told(caplog)) == 1


def test_an_external_event_for_an_entity_is_dropped_and_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(parts: Parts) -> None:
        await parts.engine.client.raise_event("@counter@k", "operate", "5")
        await signal(parts, "Counter", "k", "add", 1)
        await becomes(parts, "Counter", "k", 1)

    play(APP, scene)
    [text] = told(caplog)
    assert "event 'operate'" in text
    assert "external events" in text


@pytest.mark.parametrize("parity", Parity)
def test_strict_parity_fails_the_operations_that_came_with_an_external_event(
    parity: Parity, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are in the queue before the host looks into it, and so in one batch."""

    async def scene(parts: Parts) -> None:
        hub = TaskHub(parts.storage, parts.settings.hub, parts.ids.hex32)
        courier = Courier(hub, parts.clock, parts.ids)
        outside = HubClient(hub, courier, clock=parts.clock, ids=parts.ids)
        await outside.raise_event("@counter@k", "operate", "5")
        await outside.signal_entity("Counter", "k", "add", json.dumps("1"))
        await asyncio.sleep(2)
        assert await state(parts, "Counter", "k") == (1 if parity is Parity.WARN else None)
        await signal(parts, "Counter", "k", "add", 5)
        await becomes(parts, "Counter", "k", 6 if parity is Parity.WARN else 5)

    play(APP, scene, parity=parity, max_queue_polling_interval=timedelta(seconds=1))
    assert len(told(caplog)) == 1


def test_an_entity_that_is_suspended_goes_on_and_it_is_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(parts: Parts) -> None:
        await signal(parts, "Counter", "k", "add", 1)
        await becomes(parts, "Counter", "k", 1)
        await parts.engine.client.suspend("@counter@k", "no")
        await signal(parts, "Counter", "k", "add", 1)
        await becomes(parts, "Counter", "k", 2)

    play(APP, scene)
    assert any("cannot be suspended" in record.getMessage() for record in caplog.records)


def test_a_terminated_entity_stays_so_and_what_comes_later_is_said_to_have_no_effect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(parts: Parts) -> None:
        client = parts.engine.client
        await signal(parts, "Counter", "k", "add", 1)
        await becomes(parts, "Counter", "k", 1)
        await client.terminate("@counter@k", "enough")
        record = await client.wait("@counter@k", limit=PATIENCE, interval=LOOK)
        assert record is not None
        assert (record.status, record.output) == (RuntimeStatus.TERMINATED, "enough")
        assert record.custom_status == '{"entityExists":true}'
        assert notation(await client.history("@counter@k")) == "ES | XT EC#0(Terminated)"
        await signal(parts, "Counter", "k", "add", 1)
        await asyncio.sleep(1)
        assert any("it was terminated" in r.getMessage() for r in caplog.records)
        await client.purge("@counter@k")
        await signal(parts, "Counter", "k", "add", 5)
        await becomes(parts, "Counter", "k", 5)

    play(APP, scene)


# --- clean-up -----------------------------------------------------------------------------------------------------


def test_a_clean_up_purges_what_is_gone_and_frees_what_a_vanished_owner_has_locked() -> None:
    async def scene(parts: Parts) -> None:
        client = parts.engine.client
        for key in ("gone", "here", "locked"):
            await signal(parts, "Counter", key, "add", 1)
            await becomes(parts, "Counter", key, 1)
        await signal(parts, "Counter", "gone", "delete")
        entity = EntityId(name="counter", key="locked")
        now = Stamp(parts.clock.now(), is_utc=True)
        request = Request(
            operation=None, id="l", parent="nobody", timestamp=now, lock_set=(entity,)
        )
        await put(parts, entity, "op", request)
        await asyncio.sleep(1)
        await signal(parts, "Counter", "locked", "add", 1)
        await asyncio.sleep(1)
        assert await state(parts, "Counter", "locked") == 1
        assert await client.clean_entities() == EntityCleanup(removed=0, released=1)
        await becomes(parts, "Counter", "locked", 2)
        await asyncio.sleep(31 * 60)
        assert await client.clean_entities(remove_empty=False) == EntityCleanup(
            removed=0, released=0
        )
        assert await client.clean_entities() == EntityCleanup(removed=1, released=0)
        assert await client.get("@counter@gone") is None
        assert await state(parts, "Counter", "here") == 1

    play(APP, scene)


# --- locks, and the older programming model ---------------------------------------------------------------------------

V1_APP = Path(__file__).parent / "apps" / "v1_entities"
COUNT = 8


async def orchestrations_that_lock_two_entities_take_turns(parts: Parts) -> None:
    """Each reads a number and then sets it to one more: without locks they would overwrite each other's."""
    client = parts.engine.client
    for number in range(COUNT):
        await client.start("take_turns", instance_id=f"turn-{number}")
    for number in range(COUNT):
        record = await client.wait(f"turn-{number}", limit=PATIENCE, interval=LOOK)
        assert record is not None
        assert record.output == '"ok"'
        expected = ["SE#0(op)", *(f"SE#{n}(op)" for n in range(1, 5))]
        expected += ["SE#5(release)", "SE#6(release)", "EC#7(Completed)"]
        rows = notation(await client.history(f"turn-{number}")).split()
        assert [row for row in rows if row.startswith(("SE", "EC"))] == expected
    for key in ("a", "b"):
        await becomes(parts, "Counter", key, COUNT)
        await becomes_free(parts, f"@counter@{key}")


async def becomes_free(parts: Parts, entity: str) -> None:
    """Wait until nobody holds an entity's lock and nothing waits for it."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            record = await parts.engine.client.get(entity)
            if record is not None and record.custom_status == '{"entityExists":true}':
                return
            await asyncio.sleep(LOOK.total_seconds())


async def an_entity_in_a_folder_of_its_own_is_called(parts: Parts) -> None:
    assert await result(parts, "call") == 5


@pytest.mark.parametrize("store", store_params(STORES))
@pytest.mark.parametrize(
    "scene",
    [orchestrations_that_lock_two_entities_take_turns, an_entity_in_a_folder_of_its_own_is_called],
    ids=lambda scene: scene.__name__,
)
def test_an_app_in_folders(
    scene: Scene, store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run(V1_APP, scene, store, tmp_path, request)
