"""Hubs that ours leaves in the middle of everything, held against the checklist of what the real product needs."""

from __future__ import annotations

import asyncio
import copy
from base64 import b64decode
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from emulator.compose import running_engine
from emulator.core.events import ExecutionStarted, TimerFired
from emulator.core.instant import TICKS_PER_SECOND, Instant
from emulator.engine.ports import OrchestrationClient
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import MessageHandle, QueueMessage
from emulator.testing.chance import SeededIds
from emulator.testing.faults import Effect, FaultyStorage, Injector
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from emulator.wire.names import HubNames
from emulator.wire.queue_message import Envelope, decode_message
from tests import vectors
from tests.e2e import outside_world
from tests.support import transcripts
from tests.support.checklist import breaches
from tests.support.message_checklist import message_breaches
from tests.support.stages import exported
from tests.support.takeover import hub_settings

T = TypeVar("T")
Json = dict[str, Any]
HUB = "LeftByOurs"
NAMES = HubNames(HUB)
STAGES = [
    (scenario, stage)
    for scenario in vectors.storage_scenarios()
    for stage, content in vectors.stages(scenario).items()
    if any(name.endswith("Instances") for name in content["tables"])
]


# --- the checklist itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scenario", "stage"), STAGES)
def test_the_real_product_obeys_the_checklist(scenario: str, stage: str):
    assert breaches(vectors.stages(scenario)[stage]) == []


@pytest.mark.parametrize("scenario", vectors.storage_scenarios())
def test_every_message_of_the_real_product_obeys_the_checklist(scenario: str):
    calls = [call for call in transcripts.calls(scenario) if call.text is not None]
    [hub] = {
        change.table.removesuffix("Instances")
        for call in transcripts.calls(scenario)
        for change in call.rows
        if change.table.endswith("Instances")
    }
    found = [
        breach
        for call in calls
        for breach in message_breaches(call.text or "", call.path.split("/")[0], HubNames(hub))
    ]
    assert found == []


def _first(hub: Json, table: str, event: str = "") -> Json:
    [rows] = [rows for name, rows in hub["tables"].items() if name.endswith(table)]
    return next(r for r in rows if not event or r.get("EventType", {}).get("value") == event)


def _drop_sentinel(hub: Json) -> None:
    rows = hub["tables"]["GoldenLargeHistory"]
    rows[:] = [row for row in rows if row["RowKey"]["value"] != "sentinel"]


def _set(table: str, column: str, value: Any, event: str = "") -> Callable[[Json], None]:
    def damage(hub: Json) -> None:
        _first(hub, table, event)[column]["value"] = value

    return damage


def _drop(table: str, column: str, event: str = "") -> Callable[[Json], None]:
    def damage(hub: Json) -> None:
        del _first(hub, table, event)[column]

    return damage


def _type(hub: Json) -> None:
    _first(hub, "Instances")["CreatedTime"]["type"] = "Edm.String"


def _forget(kind: str, name: str) -> Callable[[Json], None]:
    def damage(hub: Json) -> None:
        del hub[kind][name]

    return damage


def _empty_payloads(hub: Json) -> None:
    hub["blobs"]["goldenlarge-largemessages"] = {}


DAMAGES: dict[str, tuple[Callable[[Json], None], str]] = {
    "no sentinel": (_drop_sentinel, "has no sentinel"),
    "a gap": (_set("History", "RowKey", "0000000000000009"), "ordinals have gaps"),
    "not played": (
        _set("History", "IsPlayed", False, "TaskCompleted"),
        "not marked as played",
    ),
    "no text null": (_drop("History", "Tags", "ExecutionStarted"), "Tags must be JSON"),
    "a wrong id": (_set("History", "EventId", 7, "TaskScheduled"), "its task ids are"),
    "a wrong answer": (
        _set("History", "TaskScheduledId", 5, "TaskCompleted"),
        "which nobody asked for",
    ),
    "a casing": (_set("Instances", "RuntimeStatus", "completed"), "its status is completed"),
    "another hub": (_set("Instances", "TaskHubName", "goldenlarge"), "the hub's name"),
    "no custom status": (_drop("Instances", "CustomStatus"), "has no CustomStatus"),
    "no generation": (_drop("Instances", "Generation"), "Generation belongs"),
    "a type": (_type, "CreatedTime is Edm.String"),
    "a queue": (_forget("queues", "goldenlarge-control-02"), "queues are missing"),
    "a table": (_forget("tables", "GoldenLargeHistory"), "tables are missing"),
    "the app lease": (_forget("blobs", "goldenlarge-applease"), "app lease is missing"),
    "payloads": (_empty_payloads, "names a blob that does not exist"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checklist_finds_what_is_wrong(damage: str):
    hub = copy.deepcopy(vectors.stages("large")["01-completed"])
    change, expected = DAMAGES[damage]
    change(hub)
    assert any(expected in breach for breach in breaches(hub))


# --- ours ---------------------------------------------------------------------------------------------------------

STARTS: Mapping[str, tuple[str, str | None]] = {
    "fan": ("FanOut", "10"),
    "chain": ("ChainN", "6"),
    "sleeps": ("Timer", "3600"),
    "races": ("TimerRace", "3600"),
    "waits": ("WaitTwo", None),
    "suspended": ("WaitTwo", None),
    "terminated": ("WaitTwo", None),
    "parent": ("Parent", '"x"'),
    "mixed": ("Mixed", '{"a":1}'),
    "counts": ("CountEvents", "0"),
    "continues": ("Count", "0"),
    "retries": ("SubRetry", None),
    "fails": ("FailInActivity", None),
    "rewound": ("ParentOfFailing", None),
    "large": ("Large", f'"70000 {"a" * 70_000}"'),
    "counting": ("Counting", None),
    "per%cent ü'+&": ("Parent", '"x"'),
}
"""An orchestration of every kind, by its id."""


async def use(client: OrchestrationClient) -> None:
    """Start everything, and do to it what clients do."""
    for instance, (name, given) in STARTS.items():
        await client.start(name, instance_id=instance, input=given)
    due = Instant(VirtualClock(asyncio.get_running_loop()).now() + 600 * TICKS_PER_SECOND)
    await client.start("NoActivity", instance_id="scheduled", input="1", scheduled_start=due)
    await asyncio.sleep(3)
    for instance in ("waits", "counts", "counts"):
        await client.raise_event(instance, "Inc" if instance == "counts" else "A", "1")
    await client.suspend("suspended", "pause")
    await asyncio.sleep(1)
    await client.raise_event("suspended", "A", f'"{"e" * 50_000}"')
    await client.terminate("terminated", "enough")
    outside_world.is_healthy = True
    await client.rewind("rewound", "healthy now")
    await asyncio.sleep(1)


@dataclass
class Messages:
    """What is in the queues, and until when it is hidden, as the store answered."""

    texts: dict[str, str] = field(default_factory=dict)
    hidden_until: dict[str, Instant] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    """Breaches of messages that were put."""

    def see(self, effect: Effect) -> None:
        match effect.result:
            case MessageHandle() as handle:
                self._handled(handle, effect)
            case tuple() as received:
                for message in received:
                    if isinstance(message, QueueMessage) and effect.call.operation == "receive":
                        self.hidden_until[message.handle.message_id] = (
                            message.handle.next_visible_at
                        )
            case _:
                if effect.call.operation == "delete" and len(effect.arguments) == 1:
                    self.hidden_until.pop(str(effect.arguments[0]), None)

    def _handled(self, handle: MessageHandle, effect: Effect) -> None:
        self.hidden_until[handle.message_id] = handle.next_visible_at
        if effect.call.operation == "put":
            text = str(effect.arguments[0])
            self.texts[handle.message_id] = text
            plain = text if text.startswith("{") else b64decode(text).decode()
            self.found.extend(message_breaches(plain, effect.call.target, NAMES))

    def due(self, message_id: str) -> Instant | None:
        """When a message may be seen at last, if it is one that waits for its time."""
        found = decode_message(self.texts[message_id])
        assert isinstance(found, Envelope)
        event = found.task_message.event
        if isinstance(event, TimerFired):
            return event.fire_at
        return event.scheduled_start if isinstance(event, ExecutionStarted) else None


@dataclass
class Left:
    """A hub after ours has gone, or while it worked."""

    stage: Json
    messages: Messages
    calls: int
    at: Instant


def run(
    observe: Callable[[MemoryStorage, Injector], Callable[[Effect], None]],
    stop_at: int,
    **hub: object,
) -> Left:
    """Use a hub, and stop when so many calls were made, or when there is nothing more to do."""

    async def main() -> Left:
        outside_world.attempts, outside_world.is_healthy = 0, False
        clock, ids = VirtualClock(asyncio.get_running_loop()), SeededIds()
        storage = MemoryStorage(clock, ids)
        injector, messages, stop = Injector(), Messages(), asyncio.Event()
        look = observe(storage, injector)

        def seen(effect: Effect) -> None:
            messages.see(effect)
            look(effect)
            if effect.call.number >= stop_at:
                stop.set()

        injector.observe = seen
        faulty = FaultyStorage(storage, injector)
        async with (
            running_engine(hub_settings(HUB, **hub), faulty, clock=clock, ids=ids) as parts,
            asyncio.TaskGroup() as group,
        ):
            using = group.create_task(use(parts.engine.client))
            using.add_done_callback(lambda _task: stop.set())
            await stop.wait()
            using.cancel()
        stage = await exported(storage, HUB)
        return Left(stage=stage, messages=messages, calls=injector.count, at=clock.now())

    return run_virtually(main())


def nothing(_storage: MemoryStorage, _injector: Injector) -> Callable[[Effect], None]:
    return lambda _effect: None


ALL_CALLS = 10**9
MADE = 25
"""Writes after which the hub is there in all its parts."""
STOPS = 12
"""At how many points ours is stopped."""
LEFT = {
    "fan": "Completed", "chain": "Completed", "sleeps": "Running", "races": "Running",
    "waits": "Running", "suspended": "Suspended", "terminated": "Terminated",
    "parent": "Completed", "mixed": "Running", "counts": "Running", "continues": "Completed",
    "retries": "Completed", "fails": "Failed", "rewound": "Completed", "large": "Completed",
    "counting": "Running", "per%cent ü'+&": "Completed", "scheduled": "Pending",
    "@counter@counting": "Running",
}  # fmt: skip
"""What each is when nothing moves any more."""


def test_what_is_left_is_as_various_as_can_be():
    rows = run(nothing, ALL_CALLS).stage["tables"][NAMES.instances]
    seen = {row["PartitionKey"]["value"]: row["RuntimeStatus"]["value"] for row in rows}
    assert {name: seen[name] for name in LEFT} == LEFT


def test_every_message_that_ours_puts_obeys_the_checklist():
    left = run(nothing, ALL_CALLS)
    assert left.messages.found == []
    kinds = {decode_message(text).__class__ for text in left.messages.texts.values()}
    assert len(left.messages.texts) > 80
    assert len(kinds) == 2, "there must be messages in queues and messages in blobs"


def test_messages_in_base64_are_the_same_inside():
    left = run(nothing, ALL_CALLS, base64_messages=True)
    assert left.messages.found == []
    assert left.messages.texts
    assert not any(text.startswith("{") for text in left.messages.texts.values())


def test_a_hub_that_ours_works_on_obeys_the_checklist_after_every_call():
    """A process may be killed at any moment: this is what it leaves."""
    found: list[str] = []
    looked = 0

    def observe(storage: MemoryStorage, injector: Injector) -> Callable[[Effect], None]:
        def look(effect: Effect) -> None:
            nonlocal looked
            if effect.call.operation in ("write", "transact", "put", "upload", "delete"):
                looked += 1
                if looked > MADE:
                    stage = at_once(exported(storage, HUB))
                    found.extend(breaches(stage, at_rest=False))

        del injector
        return look

    run(observe, ALL_CALLS)
    assert found == []
    assert looked > 300


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits, as nothing does in a store in memory."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


@pytest.mark.parametrize("part", range(1, STOPS + 1))
def test_a_hub_that_ours_leaves_obeys_the_checklist(part: int):
    total = run(nothing, ALL_CALLS).calls
    left = run(nothing, total * part // STOPS)
    assert breaches(left.stage) == []
    leases = left.stage["tables"][NAMES.partitions]
    assert all("CurrentOwner" not in row and not row["IsDraining"]["value"] for row in leases)
    for message, hidden_until in left.messages.hidden_until.items():
        due = left.messages.due(message)
        if hidden_until > left.at:
            assert due is not None, f"hidden, and not due later: {left.messages.texts[message]}"
            assert abs(hidden_until - due) <= TICKS_PER_SECOND
        else:
            assert due is None or due < left.at + TICKS_PER_SECOND
