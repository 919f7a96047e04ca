"""Makes the messages of open timers anew, from history.

The message of a timer that is not due is invisible, so whoever copies a hub cannot read it; history tells all that it
said. A timer that fires twice is harmless: the second message finds it answered.
"""

from __future__ import annotations

from emulator.core.events import TimerFired
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.state import RuntimeState
from emulator.core.status import LIVE
from emulator.core.waiting import open_timers
from emulator.engine.courier import Courier
from emulator.hub.task_hub import TaskHub


async def remake_timers(hub: TaskHub, courier: Courier) -> int:
    """Put the messages of all timers that are open and have no visible one; how many."""
    seen = await _visible(hub)
    where = InstanceQuery(statuses=frozenset(LIVE), fetch_input=False, fetch_output=False)
    count = 0
    async for record in hub.instances.all(where):
        count += await _remake(hub, courier, record, seen)
    return count


async def _visible(hub: TaskHub) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for queue in hub.control_queues:
        for _, envelope in (await queue.peek()).readable:
            event = envelope.task_message.event
            if isinstance(event, TimerFired):
                found.add((envelope.task_message.target.instance_id, event.timer_id))
    return found


async def _remake(
    hub: TaskHub, courier: Courier, record: InstanceRecord, seen: set[tuple[str, int]]
) -> int:
    events = (await hub.history.load(record.instance_id)).events
    state = RuntimeState(events)
    if state.started is None or state.is_terminal:
        return 0
    missing = [t for t in open_timers(events) if (record.instance_id, t.event_id) not in seen]
    for timer in missing:
        fired = TimerFired(
            timestamp=timer.timestamp, timer_id=timer.event_id, fire_at=timer.fire_at
        )
        message = TaskMessage(event=fired, target=state.started.instance)
        outbound = OutboundMessage(message=message, not_before=timer.fire_at)
        await courier.put(outbound, sender=state.started.instance, episode=state.episode)
    return len(missing)
