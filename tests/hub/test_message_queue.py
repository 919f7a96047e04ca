"""A batch that was received, and a store that fails in the middle of it."""

from __future__ import annotations

import pytest

from emulator.core.events import EventRaised, OrchestrationInstance
from emulator.core.ids import InstanceId
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.engine.courier import Courier
from emulator.errors import TransientStorageError
from emulator.hub.message_queue import CLIENT_SENDER, InHand
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.testing.faults import Call, Fault, FaultyStorage, Injector
from tests.support.clocks import CountedIds, ManualClock

SMALL, LARGE = "x", "x" * 100_000
LONG_S = 300


class Store:
    """A hub whose queue holds events, on a store of which some calls fail."""

    def __init__(self) -> None:
        self.failing = ""
        self.clock, ids = ManualClock(), CountedIds()
        inner = MemoryStorage(self.clock, ids)
        storage = FaultyStorage(inner, Injector(plan=self._plan))
        self.hub = TaskHub(storage, HubSettings(partition_count=1), ids.hex32)
        self.courier = Courier(self.hub, self.clock, ids)

    def _plan(self, call: Call) -> Fault | None:
        return Fault.REFUSED if call.operation == self.failing else None

    async def put(self, *texts: str) -> None:
        await self.hub.ensure(self.clock.now())
        target = OrchestrationInstance(instance_id=InstanceId("one"), execution_id=None)
        for text in texts:
            event = EventRaised(timestamp=self.clock.now(), name="go", input=text)
            message = OutboundMessage(message=TaskMessage(event=event, target=target))
            await self.courier.put(message, sender=CLIENT_SENDER, episode=None)

    async def receive(self, *, failing: str = "", most: int = 10**6) -> list[InHand]:
        self.failing = failing
        try:
            return await self.hub.control_queues[0].receive(
                32, visibility_timeout_s=LONG_S, takes_more=lambda size: size < most
            )
        finally:
            self.failing = ""


def lengths(messages: list[InHand]) -> list[int]:
    return [len(str(getattr(each.message.event, "input", ""))) for each in messages]


async def test_what_cannot_be_given_back_keeps_nothing_of_what_was_read() -> None:
    store = Store()
    await store.put(SMALL, SMALL, SMALL)
    assert lengths(await store.receive(failing="update", most=1)) == [1]
    assert await store.receive() == []
    store.clock.move(LONG_S + 1)
    assert lengths(await store.receive()) == [1, 1, 1]


async def test_a_payload_that_cannot_be_read_now_is_received_again_at_once() -> None:
    store = Store()
    await store.put(SMALL, LARGE, SMALL)
    assert lengths(await store.receive(failing="download")) == [1]
    assert lengths(await store.receive()) == [len(LARGE), 1]


async def test_a_first_payload_that_cannot_be_read_is_told_and_received_again_at_once() -> None:
    store = Store()
    await store.put(LARGE, SMALL)
    with pytest.raises(TransientStorageError):
        await store.receive(failing="download")
    assert lengths(await store.receive()) == [len(LARGE), 1]
