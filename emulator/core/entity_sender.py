"""What an orchestration sends to entities: calls, signals, locks and their releases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from emulator.core.actions import CallEntity, LockEntities, SignalEntity
from emulator.core.entity_messages import (
    RELEASE_EVENT,
    REQUEST_EVENT,
    EntityId,
    Request,
    Stamp,
    adjusted_delivery,
    name_based_guid,
    release_text,
    request_event,
    wall_clock_text,
)
from emulator.core.events import OrchestrationInstance
from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.core.message_sorter import SendClocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """An event for an entity."""

    instance_id: InstanceId
    event_name: str
    text: str
    request_id: str
    not_before: Instant | None = None


class EntitySender:
    """One execution's side of its conversations with entities: the same in every replay."""

    def __init__(
        self, *, reorder_window: timedelta, max_delay: timedelta, delay_slice: timedelta
    ) -> None:
        """Begin with nothing sent and nothing locked.

        Args:
            max_delay: longest delay that the store can give a message.
            delay_slice: delay of a message that is due later than that.
        """
        self._window = reorder_window
        self._max_delay = max_delay
        self._delay_slice = delay_slice
        self._clocks = SendClocks()
        self._count = 0
        self._lock_id = ""
        self._locked: tuple[EntityId, ...] = ()

    def call(self, action: CallEntity, sender: OrchestrationInstance, now: Instant) -> Sending:
        """The request of a call; its answer is raised under the request's id."""
        request_id = self._guid(sender, now)
        timestamp, predecessor = self._clocks.label(action.instance_id, now, self._window)
        request = Request(
            operation=action.operation,
            input=action.input,
            id=request_id,
            parent=sender.instance_id,
            parent_execution=sender.execution_id,
            timestamp=timestamp,
            predecessor=predecessor,
            request_time=wall_clock_text(now),
        )
        return Sending(
            instance_id=InstanceId(action.instance_id),
            event_name=REQUEST_EVENT,
            text=request.text(),
            request_id=request_id,
        )

    def signal(self, action: SignalEntity, sender: OrchestrationInstance, now: Instant) -> Sending:
        """The request of a signal, now or at a time. A delayed one carries no labels and skips the sorter."""
        request = Request(
            operation=action.operation,
            is_signal=True,
            input=action.input,
            id=self._guid(sender, now),
            parent=sender.instance_id,
            parent_execution=sender.execution_id,
            request_time=wall_clock_text(now),
        )
        return self._delayed(action, request, now) or self._labelled(action, request, now)

    def lock(self, action: LockEntities, sender: OrchestrationInstance, now: Instant) -> Sending:
        """The lock request, to the first entity of the set; they are locked in one order by everyone."""
        request_id = self._guid(sender, now)
        entities = tuple(sorted(set(action.entities)))
        first = entities[0].instance_id
        timestamp, predecessor = self._clocks.label(first, now, self._window)
        self._lock_id, self._locked = request_id, entities
        request = Request(
            operation=None,
            id=request_id,
            parent=sender.instance_id,
            parent_execution=sender.execution_id,
            timestamp=timestamp,
            predecessor=predecessor,
            lock_set=entities,
        )
        return Sending(
            instance_id=first,
            event_name=REQUEST_EVENT,
            text=request.text(),
            request_id=request_id,
        )

    def release(self, sender: OrchestrationInstance) -> tuple[Sending, ...]:
        """Give up all locks, the last one first; nothing if none is held."""
        locked, self._locked = self._locked, ()
        text = release_text(sender.instance_id, self._lock_id)
        return tuple(
            Sending(
                instance_id=entity.instance_id,
                event_name=RELEASE_EVENT,
                text=text,
                request_id=self._lock_id,
            )
            for entity in reversed(locked)
        )

    def _delayed(self, action: SignalEntity, request: Request, now: Instant) -> Sending | None:
        if action.fire_at is None:
            return None
        until = adjusted_delivery(
            action.fire_at, now, max_delay=self._max_delay, delay_slice=self._delay_slice
        )
        due = replace(request, due=Stamp(action.fire_at, is_utc=True))
        return Sending(
            instance_id=InstanceId(action.instance_id),
            event_name=request_event(until),
            text=due.text(),
            request_id=request.id,
            not_before=until,
        )

    def _labelled(self, action: SignalEntity, request: Request, now: Instant) -> Sending:
        timestamp, predecessor = self._clocks.label(action.instance_id, now, self._window)
        labelled = replace(request, timestamp=timestamp, predecessor=predecessor)
        return Sending(
            instance_id=InstanceId(action.instance_id),
            event_name=REQUEST_EVENT,
            text=labelled.text(),
            request_id=request.id,
        )

    def _guid(self, sender: OrchestrationInstance, now: Instant) -> str:
        """A name-based GUID: the same in every replay."""
        name = f"{sender.instance_id}_{now.text7()}_{self._count}"
        self._count += 1
        return name_based_guid(name)
