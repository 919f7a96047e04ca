"""Messages and rows that nobody can read: they stop nothing, are named with where they lie, and are kept."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable

import pytest

from emulator.core.events import EventRaised, OrchestrationInstance
from emulator.core.ids import InstanceId
from emulator.core.messages import TaskMessage
from emulator.storage.ports import RowKey, Write, WriteKind
from emulator.testing.virtual_loop import run_virtually
from emulator.wire.queue_message import Envelope, Wrapper, encode_envelope, encode_wrapper
from tests.sim.scenarios import BY_NAME
from tests.sim.world import World
from tests.support.clocks import BEGINNING


def message(**changes: object) -> str:
    """A message that can be read, but for what is changed in its JSON."""
    target = OrchestrationInstance(instance_id=InstanceId("nobody"), execution_id=None)
    event = EventRaised(timestamp=BEGINNING, name="go", input=None)
    text = encode_envelope(
        Envelope(
            activity_id="00000000-0000-0000-0000-000000000001",
            task_message=TaskMessage(event=event, target=target),
            sequence_number=1,
            sender=None,
        )
    )
    members = json.loads(text)
    for path, value in changes.items():
        place = members
        *outer, last = path.split("__")
        for name in outer:
            place = place[name]
        place[last] = value
    return json.dumps(members)


JUNK = {
    "no JSON": "{",
    "no object": "[1]",
    "plain text": "hello",
    "Base64 of no text": base64.b64encode(b"\xff\xfe").decode(),
    "Base64 of no JSON": base64.b64encode(b"{nothing").decode(),
    "empty": "",
    "deep": "[" * 20_000,
    "deep object": '{"a":' * 5_000,
    "no task message": message(TaskMessage=None),
    "no event": message(TaskMessage__Event=7),
    "unknown type": message(
        TaskMessage__Event={"$type": "DurableTask.Core.History.LaterEvent, DurableTask.Core"}
    ),
    "no target": message(TaskMessage__OrchestrationInstance=None),
    "a target that is no text": message(TaskMessage__OrchestrationInstance={"InstanceId": 7}),
    "a target without an id": message(TaskMessage__OrchestrationInstance={"InstanceId": None}),
    "an empty target": message(TaskMessage__OrchestrationInstance={"InstanceId": ""}),
    "a bad time": message(TaskMessage__Event__Timestamp="yesterday"),
    "a number that is none": message(SequenceNumber="one"),
    "an endless number": message(SequenceNumber=1e400),
    "a sender that is no object": message(Sender="me"),
    "a blob that is missing": encode_wrapper(Wrapper("nobody/message-0-gone.json.gz")),
    "a blob that is no gzip": encode_wrapper(Wrapper("junk/plain")),
    "a blob of a wrapper": encode_wrapper(Wrapper("junk/wrapper")),
}
COUNT = len(JUNK)
ODD = {
    "a name that is no text": message(TaskMessage__Event__Name=[1]),
    "an input that is no text": message(TaskMessage__Event__Input={"a": 1}),
}
"""Can be read after a fashion, and are for nobody."""


class Lines(logging.Handler):
    """Log lines by event."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((getattr(record, "event", ""), record.getMessage()))
        assert getattr(record, "event", "") != "episode_failed", record.getMessage()

    def of(self, event: str) -> list[str]:
        return [text for found, text in self.lines if found == event]


async def with_junk(spoil: Callable[[World], object], lines: Lines) -> World:
    """A host that finds junk, and must run a chain and answer events all the same."""
    logger = logging.getLogger("emulator")
    logger.addHandler(lines)
    try:
        async with asyncio.TaskGroup() as group:
            world = World(group)
            await world.hub.ensure(world.clock.now())
            await spoil(world)
            world.start_host("a")
            for name in ("chain", "events", "parent", "large"):
                async with asyncio.timeout(3600):
                    await world.play(BY_NAME[name], f"i-{name}")
                    await world.until_status(f"i-{name}", {"Completed"})
            await asyncio.sleep(3600)
            await world.finish()
    finally:
        logger.removeHandler(lines)
    return world


async def _fill_queues(world: World) -> None:
    await world.hub.payloads.upload("junk/wrapper", encode_wrapper(Wrapper("junk/wrapper")))
    await world.storage.blobs.upload(world.hub.payloads.container, "junk/plain", b"plain")
    for queue in (*world.hub.control_queues, world.hub.work_items):
        for text in JUNK.values():
            await world.storage.queues.put(queue.name, text)


def test_messages_that_nobody_can_read_stop_nothing_and_stay() -> None:
    lines = Lines()
    world = run_virtually(with_junk(_fill_queues, lines))
    told = "\n".join(lines.of("message_unreadable"))
    for queue in (*world.hub.control_queues, world.hub.work_items):
        assert len(world._texts(queue.name)) == COUNT, queue.name
        assert f"in queue {queue.name} cannot be read and stays there" in told
    assert "nobody/message-0-gone.json.gz" in told


async def _spoil_rows(world: World) -> None:
    tables = world.storage.tables
    row = {"EventType": "LaterEvent", "ExecutionId": "e"}
    rows = {
        "SimHistory": RowKey(partition="junk", row="0000000000000000"),
        "SimInstances": RowKey(partition="junk", row=""),
        "SimPartitions": RowKey(partition="", row="sim-control-01"),
    }
    for table, key in rows.items():
        columns = {
            **row,
            "ExpiresAt": "never",
            "CurrentOwner": "ghost",
            "RuntimeStatus": "Sleeping",
        }
        write = Write(kind=WriteKind.UPSERT_REPLACE, key=key, columns=columns)
        await tables.write(table, write)
    await world.client.raise_event("junk", "go", None)
    blob = world.hub.names.app_lease_info
    await world.storage.blobs.upload(world.hub.names.app_lease, blob, b"junk")


def test_rows_that_nobody_can_read_stop_nothing_and_stay() -> None:
    lines = Lines()
    world = run_virtually(with_junk(_spoil_rows, lines))
    told = "\n".join(text for _, text in lines.lines)
    assert "the history row of instance 'junk', row 0000000000000000" in told
    assert "app-lease blob" in told
    index = world.hub.control_queue_of(InstanceId("junk"))
    assert len(world._texts(world.hub.control_queues[index].name)) == 1


def test_a_message_of_another_kind_among_activity_requests_is_reported() -> None:
    async def spoil(world: World) -> None:
        await world.storage.queues.put(world.hub.work_items.name, message())

    lines = Lines()
    world = run_virtually(with_junk(spoil, lines))
    assert len(world._texts(world.hub.work_items.name)) == 1
    assert any("EventRaised" in text for text in lines.of("message_unreadable"))


@pytest.mark.parametrize("text", {**JUNK, **ODD}.values(), ids={**JUNK, **ODD}.keys())
def test_each_of_them_alone_stops_nothing(text: str) -> None:
    async def spoil(world: World) -> None:
        for queue in (*world.hub.control_queues, world.hub.work_items):
            await world.storage.queues.put(queue.name, text)

    run_virtually(with_junk(spoil, Lines()))
