"""Everything that runs for one hub in this process, under one task group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from emulator.core.entity import EntityRules
from emulator.core.entity_messages import is_entity_id
from emulator.core.episode import EpisodeSettings
from emulator.core.ids import InstanceId
from emulator.engine.activity_worker import ActivityWorker
from emulator.engine.admission import WAITING_PER_SLOT, Admission
from emulator.engine.attendant import Attendant
from emulator.engine.client import HubClient
from emulator.engine.clock import Clock, IdSource
from emulator.engine.completions import Completions
from emulator.engine.courier import Courier
from emulator.engine.entity_worker import EntityWorker
from emulator.engine.orchestration_worker import OrchestrationWorker
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.partition_manager import PartitionManager
from emulator.engine.ports import Runners
from emulator.engine.session import Session
from emulator.engine.touches import Touches
from emulator.engine.turns import Turns
from emulator.errors import TransientStorageError
from emulator.hub.task_hub import TaskHub

ACTIVITY_DRAIN_S: Final = 5.0
"""How long running activities may take to end when the host stops."""


class Engine:
    """Orchestrations, activities and entities of one hub."""

    def __init__(
        self,
        hub: TaskHub,
        runners: Runners,
        episode: EpisodeSettings,
        entities: EntityRules,
        *,
        clock: Clock,
        ids: IdSource,
        sessions_max: int,
    ) -> None:
        """Wire everything; nothing runs before run()."""
        self._hub = hub
        self._clock = clock
        self._ids = ids
        self._sessions_max = sessions_max
        self.outage = Outage(hub.storage.description, clock)
        """Of the hub's store."""
        self.courier = Courier(hub, clock, ids)
        self._ready: Turns[tuple[PartitionLoop, Session]] = Turns()
        self._ready_entities: Turns[tuple[PartitionLoop, Session]] = Turns()
        self._admission = Admission(
            WAITING_PER_SLOT * hub.settings.max_concurrent_orchestrations,
            lambda: self._ready.new,
            lambda: len(self.activities.custody),
            clock,
        )
        self.activities = ActivityWorker(
            hub,
            runners.activities,
            self.courier,
            clock=clock,
            ids=ids,
            outage=self.outage,
            is_shared=lambda: self.partitions.is_shared,
            on_end=self._admission.activity_ended,
        )
        self._completions = Completions()
        self._touches = Touches(hub, self.outage)
        attendant = Attendant(
            hub,
            self.courier,
            episode,
            clock=clock,
            outage=self.outage,
            completions=self._completions,
            touches=self._touches,
        )
        self._orchestrations = OrchestrationWorker(
            hub, runners.orchestrators, attendant, episode, clock=clock, ids=ids
        )
        self._entities = EntityWorker(
            runners.entities,
            attendant,
            self._orchestrations,
            entities,
            episode,
            clock=clock,
            ids=ids,
        )
        self.partitions = PartitionManager(
            hub, self._new_loop, clock=clock, outage=self.outage, on_change=self._route_partitions
        )
        self.client = HubClient(
            hub,
            self.courier,
            clock=clock,
            ids=ids,
            on_purge=self._forget_instance,
            completions=self._completions,
            admission=self._admission,
        )
        self._routed: dict[int, PartitionLoop] = {}

    @property
    def awaited(self) -> str | None:
        """What has to come before work can be taken, and its cure; None once it can."""
        return self.partitions.awaited

    def share(self, put: Callable[[str], None], ended: Callable[[str], None]) -> None:
        """Tell other processes, which then need not poll, what they could not know: see hear().

        Args:
            put: told the name of a queue in which something was left for anyone.
            ended: told the id of an instance that has ended.
        """
        self.courier.tell_others = put
        self._completions.tell_others = ended

    def hear(self, queues: Iterable[str], instances: Iterable[str]) -> None:
        """What another process tells: look into queues that are read here, and wake who waits for instances."""
        found = frozenset(queues)
        if self._hub.work_items.name in found:
            self.activities.wake()
        for loop in self.partitions.owned:
            if loop.queue.name in found:
                loop.wake()
        for instance in instances:
            self._completions.heard(InstanceId(instance))

    async def run(self, started: asyncio.Event | None = None) -> None:
        """Work until cancelled, then drain: give partitions and messages back. A store that is away is waited for.

        Args:
            started: set when the first partitions are read.

        Raises:
            StorageError: the store refuses to create the hub.
        """
        await self.outage.outlast(
            f"creating task hub {self._hub.name}",
            lambda: self._hub.ensure(self._clock.now()),
            retried=TransientStorageError,
        )
        self.courier.set_activities(self.activities)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.activities.run(), name="activities")
                group.create_task(self._touches.run(), name="times of instances")
                for number in range(self._hub.settings.max_concurrent_orchestrations):
                    group.create_task(self._work(), name=f"orchestrations {number}")
                for number in range(self._hub.settings.max_concurrent_entities):
                    group.create_task(self._work_on_entities(), name=f"entities {number}")
                group.create_task(self.partitions.run(), name="partitions")
                try:
                    await self.partitions.ready.wait()
                    if started is not None:
                        started.set()
                    await asyncio.Event().wait()
                finally:
                    await asyncio.shield(self._drain())
        finally:
            self.courier.set_activities(None)

    async def _work(self) -> None:
        while True:
            loop, session = await self._ready.get()
            self._admission.look()
            await self._orchestrations.handle(loop, session)

    async def _work_on_entities(self) -> None:
        while True:
            loop, session = await self._ready_entities.get()
            await self._entities.handle(loop, session)

    async def _drain(self) -> None:
        """Stop taking work, let what runs end for a while, give the rest back."""
        self.courier.set_activities(None)
        await self.activities.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(ACTIVITY_DRAIN_S):
                await self.activities.wait_until_idle()
        await self.activities.give_back()
        await self.partitions.stop()

    def _new_loop(self, index: int) -> PartitionLoop:
        return PartitionLoop(
            index,
            self._hub.control_queues[index],
            self._hub.settings,
            self._enqueue,
            clock=self._clock,
            ids=self._ids,
            outage=self.outage,
            sessions_max=self._sessions_max,
        )

    def _enqueue(self, loop: PartitionLoop, session: Session) -> None:
        ready = self._ready_entities if is_entity_id(session.instance) else self._ready
        ready.put((loop, session), has_begun=session.loaded is not None)

    def _route_partitions(self) -> None:
        """Let the courier hand messages to the loops that run now."""
        running = {loop.index: loop for loop in self.partitions.owned}
        for index in set(self._routed) - set(running):
            self.courier.remove_partition(index)
        for index, loop in running.items():
            self.courier.add_partition(index, loop)
        self._routed = running

    def _forget_instance(self, instance: InstanceId) -> None:
        """Drop what is known of an instance whose rows a client of ours has changed."""
        for loop in self.partitions.owned:
            for session in loop.sessions:
                if session.instance == instance and not session.busy:
                    session.forget()
