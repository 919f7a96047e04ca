"""What a loop that stops does with messages that reach it too late: others can take them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from emulator.core.calls import ActivityCall, ActivityCompleted
from emulator.core.events import EventRaised, OrchestrationInstance, TaskScheduled, TimerFired
from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.engine.activity_worker import ActivityWorker
from emulator.engine.courier import Courier, Sent
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.partition_manager import PartitionManager
from emulator.hub.message_queue import CLIENT_SENDER, InHand, MessageQueue
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from tests.support.clocks import CountedIds, ManualClock
from tests.support.partitions import idle_loops

TARGET = OrchestrationInstance(instance_id=InstanceId("one"), execution_id=None)
KINDS = ("partition", "activities")


class NoActivities:
    async def run(self, call: ActivityCall) -> ActivityCompleted:
        raise AssertionError(call)


class SlowQueue(MessageQueue):
    """Its answers to receive() are on their way until they are let through."""

    def __init__(self, name: str, hub: TaskHub) -> None:
        super().__init__(name, hub.storage.queues, hub.payloads)
        self.on_their_way = asyncio.Event()
        self.let_through = asyncio.Event()

    async def receive(
        self,
        count: int,
        *,
        visibility_timeout_s: int,
        takes_more: Callable[[int], bool] | None = None,
    ) -> list[InHand]:
        messages = await super().receive(
            count, visibility_timeout_s=visibility_timeout_s, takes_more=takes_more
        )
        self.on_their_way.set()
        await self.let_through.wait()
        return messages


class Scene:
    """One loop of a hub, which gets all messages, and its slow queue."""

    def __init__(self, kind: str) -> None:
        self.clock, self._ids = ManualClock(), CountedIds()
        self._settings = HubSettings(partition_count=1)
        self.hub = TaskHub(MemoryStorage(self.clock, self._ids), self._settings, self._ids.hex32)
        self.courier = Courier(self.hub, self.clock, self._ids)
        self.kind = kind
        self.loop = self._partition() if kind == "partition" else self._activities()

    def _partition(self) -> PartitionLoop:
        self.queue = SlowQueue(self.hub.control_queues[0].name, self.hub)
        loop = PartitionLoop(
            0,
            self.queue,
            self._settings,
            lambda _loop, _session: None,
            clock=self.clock,
            ids=self._ids,
            outage=Outage("memory", self.clock),
            sessions_max=1,
        )
        self.courier.add_partition(0, loop)
        return loop

    def _activities(self) -> ActivityWorker:
        self.queue = self.hub.work_items = SlowQueue(self.hub.work_items.name, self.hub)
        loop = ActivityWorker(
            self.hub,
            NoActivities(),
            self.courier,
            clock=self.clock,
            ids=self._ids,
            outage=Outage("memory", self.clock),
            is_shared=lambda: False,
            on_end=lambda: None,
        )
        self.courier.set_activities(loop)
        return loop

    async def put(self, *, due: Instant | None = None) -> Sent:
        now = self.clock.now()
        if due is not None:
            event = TimerFired(timestamp=now, timer_id=0, fire_at=due)
        elif self.kind == "partition":
            event = EventRaised(timestamp=now, name="go", input=None)
        else:
            event = TaskScheduled(timestamp=now, event_id=0, name="do", version=None, input=None)
        message = TaskMessage(event=event, target=TARGET)
        outbound = OutboundMessage(message=message, not_before=due)
        return await self.courier.put(outbound, sender=CLIENT_SENDER, episode=None)

    async def stop(self) -> None:
        if isinstance(self.loop, PartitionLoop):
            await self.loop.drain(_no_session_is_busy)
        else:
            await self.loop.drain()

    async def visible(self) -> int:
        return len(await self.hub.storage.queues.peek(self.queue.name, count=32))


async def _no_session_is_busy() -> None:
    raise AssertionError


@pytest.fixture(params=KINDS)
async def scene(request: pytest.FixtureRequest) -> Scene:
    made = Scene(request.param)
    await made.hub.ensure(made.clock.now())
    return made


async def test_a_message_handed_over_to_a_loop_that_has_stopped_is_visible_at_once(scene: Scene):
    """It was put invisible, for the loop that accepted it then; the stop came before the commit."""
    sent = await scene.put()
    assert await scene.visible() == 0
    await scene.stop()
    await sent.hand_over()
    assert await scene.visible() == 1


async def test_a_message_that_waits_in_a_loop_that_stops_is_visible_at_once(scene: Scene):
    sent = await scene.put()
    await sent.hand_over()
    assert await scene.visible() == 0
    await scene.stop()
    assert await scene.visible() == 1


async def test_a_message_on_its_way_to_a_loop_that_stops_is_visible_at_once(scene: Scene):
    """The store has made it invisible for minutes, and the loop has not heard of it yet."""
    scene.courier.set_activities(None)
    scene.courier.remove_partition(0)
    await scene.put()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scene.loop.run())
        await scene.queue.on_their_way.wait()
        assert await scene.visible() == 0
        stopping = group.create_task(scene.stop())
        await asyncio.sleep(0)
        scene.queue.let_through.set()
        await stopping
        running.cancel()
    assert await scene.visible() == 1


async def test_a_timer_handed_over_to_a_loop_that_has_stopped_comes_when_it_is_due():
    scene = Scene("partition")
    await scene.hub.ensure(scene.clock.now())
    sent = await scene.put(due=scene.clock.now().plus(timedelta(seconds=60)))
    await scene.stop()
    await sent.hand_over()
    assert await scene.visible() == 0
    scene.clock.move(60)
    assert await scene.visible() == 1


async def test_a_host_that_stops_does_not_take_its_partitions_again():
    """Its passes go on while it drains: one that came after the release would own them for half a minute more."""
    clock, ids = ManualClock(), CountedIds()
    settings = HubSettings(lease_acquire_interval=timedelta(0), use_app_lease=False)
    hub = TaskHub(MemoryStorage(clock, ids), settings, ids.hex32)
    await hub.ensure(clock.now())
    started: list[int] = []

    idle = idle_loops(hub, clock=clock, ids=ids, outage=Outage("memory", clock))

    def new_loop(index: int) -> PartitionLoop:
        started.append(index)
        return idle(index)

    manager = PartitionManager(
        hub, new_loop, clock=clock, outage=Outage("memory", clock), on_change=lambda: None
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(manager.run())
        while len(manager.owned) < settings.partition_count:  # noqa: ASYNC110 - no event tells of all
            await asyncio.sleep(0)
        await manager.stop()
        for _ in range(100):
            await asyncio.sleep(0)
        running.cancel()
    assert [lease.owner for lease in await hub.partitions.read()] == [None] * 4
    assert sorted(started) == [0, 1, 2, 3]
