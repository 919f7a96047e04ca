"""Starts, queries and steers the instances of one hub (engine.ports.OrchestrationClient).

Order of a start: the message first, then the row, as the real client has it; only then does the message go to a
loop of this process. Source: reference azure-storage-provider.md 8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import timedelta
from typing import Final

from emulator.core.entity_messages import (
    RELEASE_EVENT,
    REQUEST_EVENT,
    EntityId,
    client_signal,
    release_text,
)
from emulator.core.events import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationInstance,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instance import REPLACED, InstancePage, InstanceQuery, InstanceRecord
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.status import LIVE, TERMINAL, RuntimeStatus
from emulator.engine import entity_cleanup
from emulator.engine.admission import Admission
from emulator.engine.clock import Clock, IdSource
from emulator.engine.completions import Completions
from emulator.engine.courier import Courier
from emulator.engine.entity_state import read_state
from emulator.engine.ports import EntityCleanup, EntityRead
from emulator.errors import (
    ConfigError,
    InstanceConflictError,
    InstanceNotFoundError,
    NotFoundError,
    PayloadTooLargeError,
    StorageError,
    TransientStorageError,
)
from emulator.hub.message_queue import CLIENT_SENDER
from emulator.hub.purge import purge_instance, purge_instances
from emulator.hub.rewind import rewind_history
from emulator.hub.task_hub import TaskHub
from emulator.settings import OverridableStates
from emulator.wire import instance_row
from emulator.wire.keys import KEY_LENGTH_MAX, escape

_REPLACE_LIMIT: Final = timedelta(hours=1)
"""How long a live instance may take to end that is to be replaced (extension, HttpApiHandler)."""
_REPLACE_INTERVAL: Final = timedelta(milliseconds=50)
LOOK_ANYWAY: Final = timedelta(seconds=30)
"""How long an end that is to be told in this process is waited for without a look: the partition may have been away."""
_SUSPENDABLE: Final = LIVE - {RuntimeStatus.SUSPENDED}


class HubClient:
    """The client of one hub."""

    def __init__(
        self,
        hub: TaskHub,
        courier: Courier,
        *,
        clock: Clock,
        ids: IdSource,
        on_purge: Callable[[InstanceId], None] | None = None,
        completions: Completions | None = None,
        admission: Admission | None = None,
    ) -> None:
        """Nothing is sent or created before the first call.

        Args:
            on_purge: told of every instance whose rows this client deletes or rewrites.
            completions: tells of ends in this process, so that waiting need not be polling.
            admission: where instances wait that are started faster than this process can begin them.
        """
        self._hub = hub
        self._courier = courier
        self._clock = clock
        self._ids = ids
        self._completions = completions or Completions()
        self._admission = admission
        self._on_purge: Callable[[InstanceId], None] = on_purge or _ignore

    @property
    def task_hub(self) -> str:
        """Name of the hub, in its own case."""
        return self._hub.name

    # --- start ------------------------------------------------------------------------------------------------

    async def start(
        self,
        name: str,
        *,
        input: str | None = None,  # noqa: A002 - the field's name in the protocol
        instance_id: str | None = None,
        version: str | None = None,
        scheduled_start: Instant | None = None,
    ) -> InstanceId:
        """See OrchestrationClient.start."""
        await self._hub.ensure(self._clock.now())
        instance = InstanceId(instance_id or self._ids.hex32())
        if len(escape(instance)) > KEY_LENGTH_MAX:
            raise PayloadTooLargeError(
                f"the instance id has {len(instance)} characters: no row can have a key of more than "
                f"{KEY_LENGTH_MAX}; use a shorter id"
            )
        async with self._place(instance):
            existing = await self._replaceable(instance) if instance_id else None
            start = ExecutionStarted(
                timestamp=self._clock.now(),
                instance=OrchestrationInstance(
                    instance_id=instance, execution_id=ExecutionId(self._ids.guid())
                ),
                name=name,
                version=version if version is not None else self._hub.settings.default_version,
                input=input,
                scheduled_start=scheduled_start,
                generation=(existing.generation or 0) + 1 if existing is not None else 0,
            )
            await self._send_start(start, existing, has_drawn_id=not instance_id)
        return instance

    def _place(self, instance: InstanceId) -> AbstractAsyncContextManager[None]:
        """Room for one more instance, which is waited for if this process will work on it."""
        if self._admission is None or not self._courier.reads(instance):
            return nullcontext()
        return self._admission.place()

    async def _replaceable(self, instance: InstanceId) -> InstanceRecord | None:
        """The instance that a start with the same id replaces, ended first if that is allowed; None if there is none.

        Raises:
            InstanceConflictError: it is alive, and may not be replaced or does not end.
        """
        existing = await self._hub.instances.get(instance, payloads=False)
        if existing is None or existing.status in TERMINAL:
            return existing
        if self._hub.settings.overridable_states is OverridableStates.ANY:
            await self.terminate(instance, REPLACED)
            await self.wait(instance, limit=_REPLACE_LIMIT, interval=_REPLACE_INTERVAL)
            existing = await self._hub.instances.get(instance, payloads=False)
            if existing is None or existing.status in TERMINAL:
                return existing
        raise InstanceConflictError(
            f"An Orchestration instance with the status {existing.status} already exists.",
            status=str(existing.status),
        )

    async def _send_start(
        self, start: ExecutionStarted, existing: InstanceRecord | None, *, has_drawn_id: bool
    ) -> None:
        message = TaskMessage(event=start, target=start.instance)
        outbound = OutboundMessage(message=message, not_before=start.scheduled_start)
        sent = await self._courier.put(outbound, sender=CLIENT_SENDER, episode=None)
        columns = instance_row.created_columns(
            start, task_hub=self._hub.name, now=self._clock.now()
        )
        if sent.in_hand.payload is not None:
            columns["Input"] = self._hub.payloads.url(sent.in_hand.payload)
        etag = existing.etag if existing is not None else None
        row = await self._hub.instances.create(start.instance.instance_id, columns, etag=etag)
        await sent.hand_over(row=row, is_new_instance=row is not None and has_drawn_id)

    async def restart(self, instance_id: str, *, new_id: bool) -> InstanceId:
        """See OrchestrationClient.restart."""
        record = await self.get(instance_id)
        if record is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        return await self.start(
            record.name, input=record.input, instance_id=None if new_id else instance_id
        )

    # --- reading ----------------------------------------------------------------------------------------------

    async def get(self, instance_id: str) -> InstanceRecord | None:
        """See OrchestrationClient.get. Nothing is found in a hub that is not there."""
        return await self._look(InstanceId(instance_id))

    async def _look(self, instance: InstanceId, *, payloads: bool = True) -> InstanceRecord | None:
        try:
            return await self._hub.instances.get(instance, payloads=payloads)
        except NotFoundError:
            return None

    async def history(self, instance_id: str) -> tuple[HistoryEvent, ...]:
        """See OrchestrationClient.history."""
        return (await self._hub.history.load(InstanceId(instance_id))).events

    async def query(
        self, where: InstanceQuery, *, top: int | None = None, continuation: str | None = None
    ) -> InstancePage:
        """See OrchestrationClient.query."""
        if top is not None and top < 0:
            raise StorageError(f"a page cannot have {top} rows: give a top of 1 or more")
        try:
            return await self._hub.instances.page(where, top=top, continuation=continuation)
        except NotFoundError:
            return InstancePage(records=(), continuation=None)

    async def make_primary(self) -> None:
        """See OrchestrationClient.make_primary."""
        if not self._hub.settings.use_app_lease:
            raise ConfigError(
                "Cannot make current app primary. This app is not using the AppLease feature."
            )
        await self._hub.ensure(self._clock.now())
        if not await self._hub.app_lease.is_ours():
            await self._hub.app_lease.want()

    async def wait(
        self,
        instance_id: str,
        *,
        limit: timedelta,
        interval: timedelta,
        is_new: bool = False,
    ) -> InstanceRecord | None:
        """See OrchestrationClient.wait."""
        deadline = self._clock.monotonic() + limit.total_seconds()
        instance = InstanceId(instance_id)
        with self._completions.watch(instance) as ended:
            if is_new:
                await self._until_worth_a_look(instance, ended, interval, deadline)
            while True:
                # Large payloads are not read at every look, but once, when there is something to tell.
                is_told = ended.is_set()
                ended.clear()
                try:
                    record = await self._look(instance, payloads=is_told)
                    is_late = self._clock.monotonic() >= deadline
                    if is_late or (record is not None and record.status in TERMINAL):
                        return record if is_told or record is None else await self._look(instance)
                except TransientStorageError:
                    remaining = deadline - self._clock.monotonic()
                    if remaining <= 0:
                        raise
                    await asyncio.sleep(min(max(interval.total_seconds(), 0.001), remaining))
                    if is_told:
                        ended.set()
                    continue
                await self._until_worth_a_look(instance, ended, interval, deadline)

    async def _until_worth_a_look(
        self, instance: InstanceId, ended: asyncio.Event, interval: timedelta, deadline: float
    ) -> None:
        """Wait for one interval, or as long as the end would be told here: a thousand who wait must not poll."""
        until = min(deadline, self._clock.monotonic() + LOOK_ANYWAY.total_seconds())
        while (remaining := until - self._clock.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(interval.total_seconds(), 0.001), remaining)):
                    await ended.wait()
                    return
            if not self._courier.reads(instance):
                return

    # --- steering ---------------------------------------------------------------------------------------------

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """See OrchestrationClient.raise_event."""
        event = EventRaised(timestamp=self._clock.now(), name=name, input=data)
        await self._send(instance_id, event)

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        """See OrchestrationClient.terminate."""
        event = ExecutionTerminated(timestamp=self._clock.now(), reason=reason)
        await self._send(instance_id, event)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """See OrchestrationClient.suspend."""
        await self._require(instance_id, _SUSPENDABLE, "suspend")
        event = ExecutionSuspended(timestamp=self._clock.now(), reason=reason)
        await self._send(instance_id, event)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """See OrchestrationClient.resume."""
        await self._require(instance_id, frozenset({RuntimeStatus.SUSPENDED}), "resume")
        event = ExecutionResumed(timestamp=self._clock.now(), reason=reason)
        await self._send(instance_id, event)

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """See OrchestrationClient.rewind."""
        record = await self.get(instance_id)
        if record is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        if record.status is not RuntimeStatus.FAILED:
            raise InstanceConflictError(
                "The rewind operation is only supported on failed orchestration instances.",
                status=str(record.status),
            )
        for leaf, event in await rewind_history(
            self._hub, InstanceId(instance_id), reason, self._clock.now()
        ):
            self._on_purge(leaf)
            await self._send(leaf, event)

    async def _require(
        self, instance_id: str, allowed: frozenset[RuntimeStatus], operation: str
    ) -> None:
        record = await self._hub.instances.get(InstanceId(instance_id), payloads=False)
        if record is not None and record.status not in allowed:
            raise InstanceConflictError(
                f"Cannot {operation} the orchestration instance {instance_id} because instance is "
                f"in the {record.status} state.",
                status=str(record.status),
            )

    async def _send(self, instance_id: str, event: HistoryEvent) -> None:
        await self._hub.ensure(self._clock.now())
        target = OrchestrationInstance(instance_id=InstanceId(instance_id), execution_id=None)
        outbound = OutboundMessage(message=TaskMessage(event=event, target=target))
        sent = await self._courier.put(outbound, sender=CLIENT_SENDER, episode=None)
        await sent.hand_over()

    # --- purge ------------------------------------------------------------------------------------------------

    async def purge(self, instance_id: str) -> bool:
        """See OrchestrationClient.purge."""
        await self._hub.ensure(self._clock.now())
        self._on_purge(InstanceId(instance_id))
        return await purge_instance(self._hub, InstanceId(instance_id))

    async def purge_where(
        self,
        *,
        created_from: Instant,
        created_to: Instant | None,
        statuses: frozenset[RuntimeStatus],
    ) -> int:
        """See OrchestrationClient.purge_where. A hub that does not exist is not created for it."""
        if statuses and not statuses & TERMINAL:
            return 0
        where = InstanceQuery(
            created_from=created_from,
            created_to=created_to,
            statuses=statuses & TERMINAL,
            fetch_input=False,
            fetch_output=False,
        )
        return (await purge_instances(self._hub, where, self._on_purge)).instances

    # --- entities ---------------------------------------------------------------------------------------------

    async def signal_entity(
        self, entity_name: str, entity_key: str, operation: str, data: str | None
    ) -> None:
        """See OrchestrationClient.signal_entity."""
        text = client_signal(operation, data, request_id=self._ids.guid())
        entity = EntityId(name=entity_name, key=entity_key)
        await self.raise_event(entity.instance_id, REQUEST_EVENT, text)

    async def read_entity(self, entity_name: str, entity_key: str) -> EntityRead | None:
        """See OrchestrationClient.read_entity."""
        record = await self.get(EntityId(name=entity_name, key=entity_key).instance_id)
        return read_state(record) if record is not None else None

    async def clean_entities(
        self, *, remove_empty: bool = True, release_orphaned_locks: bool = True
    ) -> EntityCleanup:
        """See OrchestrationClient.clean_entities."""
        await self._hub.ensure(self._clock.now())
        removed = released = 0
        now, window = self._clock.now(), self._hub.settings.entity_message_reorder_window
        async for record in entity_cleanup.all_entities(self._hub):
            if remove_empty and entity_cleanup.is_removable(record, now, window):
                removed += await self.purge(record.instance_id)
                continue
            owner = await entity_cleanup.orphaned_by(self._hub, record)
            if release_orphaned_locks and owner is not None:
                await self._release(record.instance_id, owner)
                released += 1
        return EntityCleanup(removed=removed, released=released)

    async def _release(self, entity: InstanceId, owner: str) -> None:
        text = release_text(owner, entity_cleanup.ORPHANED_LOCK_ID, typed=False)
        await self.raise_event(entity, RELEASE_EVENT, text)


def _ignore(instance: InstanceId) -> None:
    """Nobody here keeps anything of an instance."""
