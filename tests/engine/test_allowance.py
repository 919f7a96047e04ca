"""The bytes of one loop: what fits, and how many messages are received when nobody knows how large they are."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core.events import EventRaised, OrchestrationInstance
from emulator.core.ids import InstanceId
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.weights import payload_bytes
from emulator.engine.allowance import Allowance
from emulator.engine.courier import Courier
from emulator.hub.message_queue import CLIENT_SENDER
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from tests.support.clocks import CountedIds, ManualClock

MAX = 1000
MOST = 32


@dataclass
class Held:
    size: int = 0


def test_what_fits_beside_what_is_held() -> None:
    held = Held()
    allowance = Allowance(held, MAX)
    assert allowance.fits(5 * MAX)  # nothing else is held
    held.size = 600
    assert (allowance.fits(400), allowance.fits(401)) == (True, False)
    held.size = 5 * MAX
    assert (allowance.fits(0), allowance.fits(1), allowance.is_used_up) == (True, False, True)


def test_a_batch_that_proved_too_large_makes_the_next_ones_small() -> None:
    allowance = Allowance(Held(), MAX)
    assert allowance.batch(MOST) == MOST
    assert allowance.takes_more(MAX - 1)
    assert allowance.batch(MOST) == MOST
    assert not allowance.takes_more(MAX)
    assert [allowance.batch(MOST) for _ in range(7)] == [1, 2, 4, 8, 16, MOST, MOST]


def test_all_payloads_of_an_event_count_and_nothing_else() -> None:
    def raised(text: str | None) -> int:
        return payload_bytes(EventRaised(timestamp=ManualClock().now(), name="go", input=text))

    assert raised(None) == 0
    assert raised("x" * 1001) - raised("x") == 1000
    assert raised("\u20ac" * 1001) - raised("\u20ac") == 2000


async def test_what_was_received_beyond_the_room_is_visible_again_at_once() -> None:
    clock, ids = ManualClock(), CountedIds()
    hub = TaskHub(MemoryStorage(clock, ids), HubSettings(partition_count=1), ids.hex32)
    await hub.ensure(clock.now())
    courier = Courier(hub, clock, ids)
    target = OrchestrationInstance(instance_id=InstanceId("one"), execution_id=None)
    for number in range(5):
        event = EventRaised(timestamp=clock.now(), name=str(number), input="x" * 400)
        message = OutboundMessage(message=TaskMessage(event=event, target=target))
        await courier.put(message, sender=CLIENT_SENDER, episode=None)
    queue = hub.control_queues[0]
    allowance = Allowance(Held(), MAX)
    first = await queue.receive(MOST, visibility_timeout_s=300, takes_more=allowance.takes_more)
    rest = await queue.receive(MOST, visibility_timeout_s=300)
    assert [_name(each.message.event) for each in (*first, *rest)] == ["0", "1", "2", "3", "4"]
    assert len(first) == 3


def _name(event: object) -> str:
    assert isinstance(event, EventRaised)
    return event.name
