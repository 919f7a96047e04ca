"""One run: load that goes on all the time, trouble, rest, and a look at what is left."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from azurite import Azurite
from emulator.core.backoff import abandon_delay_s
from emulator.core.events import HistoryEvent
from emulator.core.inbox import START_DEQUEUE_COUNT_MAX
from emulator.core.instance import InstanceRecord
from emulator.core.status import TERMINAL
from emulator.engine.client import HubClient
from emulator.engine.clock import SystemClock, SystemIds
from emulator.engine.courier import Courier
from emulator.errors import InstanceConflictError, StorageError
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from tests.chaos.client import PatientClient
from tests.chaos.hosts import PARTITIONS, Slot, slots
from tests.chaos.logs import Told
from tests.chaos.scenarios import HEAVY, SCENARIOS, repeated, with_quick_steps
from tests.chaos.trouble import WRITES_WITHIN_S, Trouble
from tests.sim.checkers import Checkers
from tests.sim.effects import SharedWorld
from tests.sim.scenarios import Scenario
from tests.sim.user import User
from tests.support.stores import azure_storage

HUB = "Sim"
IN_FLIGHT_MAX = 60
NEW_EVERY_S = 0.3
LOOK_EVERY_S = 1.0
HISTORY_EVERY_S = 5.0
REST_WITHIN_S = 600.0
"""For every instance after the last trouble, on a busy machine."""
EMPTY_WITHIN_S = REST_WITHIN_S + sum(map(abandon_delay_s, range(1, START_DEQUEUE_COUNT_MAX)))
"""For the queues then. A start whose sender died before it wrote the row is given up at its tenth delivery, about
seventeen minutes later. It is one that was sent again, because its answer was lost, and whose instance had ended."""


@dataclass
class Figures:
    """What is told at the end."""

    accepted: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    recovery_s: float = 0.0
    """The longest time from the end of a trouble to the next end of an instance."""
    rest_s: float = 0.0
    messages_left: int = 0
    begun_again: int = 0
    """Instances that had ended, and were begun again by a start that a host had held back."""
    histories_read: int = 0
    told: Told = field(default_factory=Told)


class Chaos(User):
    """Use run(), and see figures and checkers.violations afterwards."""

    slots: Sequence[Slot]
    trouble: Trouble

    def __init__(self, folder: Path, *, hosts: int, seed: int, minutes: float) -> None:
        self.folder = folder
        self.figures = Figures()
        self.steered: dict[str, Scenario] = {}
        self._hosts = hosts
        self._seconds = minutes * 60
        self._chance = random.Random(seed)
        self._clock = SystemClock()
        self.checkers = Checkers(self._clock, PARTITIONS, may_repeat=True)
        self.effects = SharedWorld(folder / "effects")
        self._azurite = Azurite(dict(os.environ), location=folder / "azurite")
        self.storage = azure_storage(self._azurite.connection_string)
        self._seen: dict[str, tuple[HistoryEvent, ...]] = {}

    # --- the course of things ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """All of it.

        Raises:
            HostFailedError: in a group; a host has failed for good.
        """
        async with self._server(), slots(self._hosts, HUB, self.folder, self._azurite) as found:
            self.slots = found
            self.trouble = Trouble(found, self._azurite, self._clock, self._chance)
            async with aiohttp.ClientSession() as session:
                self._open(session)
                async with asyncio.TaskGroup() as group:
                    for slot in self.slots:
                        group.create_task(slot.start(), name=f"start {slot.number}")
                async with asyncio.TaskGroup() as group:
                    watches = [group.create_task(slot.supervise()) for slot in self.slots]
                    await self._live()
                    for watch in watches:
                        watch.cancel()
                for slot in self.slots:
                    await slot.stop()
            self._check_logs()

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[None]:
        await self._azurite.start()
        await self.storage.open()
        try:
            yield
        finally:
            await self.storage.close()
            await self._azurite.stop(patience_s=WRITES_WITHIN_S)

    def _open(self, session: aiohttp.ClientSession) -> None:
        ids = SystemIds()
        settings = HubSettings(hub_name=HUB, partition_count=PARTITIONS)
        self.hub = TaskHub(self.storage, settings, ids.hex32)
        courier = Courier(self.hub, self._clock, ids)
        reader = HubClient(self.hub, courier, clock=self._clock, ids=ids)
        self.client = PatientClient(session, reader, self._ports, self._chance)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load(), name="load")
            group.create_task(self.trouble.rage(self._seconds), name="trouble")
        await self._rest()
        if await self._play_what_began_again():
            await self._rest()
        await self._check()

    def _ports(self) -> Sequence[int]:
        return [slot.port for slot in self.slots if slot.host is not None]

    # --- load -------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        end = self._clock.monotonic() + self._seconds
        room = asyncio.Semaphore(IN_FLIGHT_MAX)
        scenarios = [s for s in SCENARIOS for _ in range(1 if s.name in HEAVY else 3)]
        async with asyncio.TaskGroup() as group:
            while self._clock.monotonic() < end:
                await room.acquire()
                scenario = with_quick_steps(self._chance.choice(scenarios))
                self.figures.accepted[scenario.name] += 1
                instance = f"i{self.figures.accepted.total()}-{scenario.name}"
                group.create_task(self._whole_life(scenario, instance, room), name=instance)
                await asyncio.sleep(NEW_EVERY_S)

    async def _whole_life(self, scenario: Scenario, instance: str, room: asyncio.Semaphore) -> None:
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._seconds + REST_WITHIN_S), asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(instance), name=f"watch {instance}")
                await self._play_to_the_end(scenario, instance)
                watch.cancel()
        except TimeoutError:
            record = await self.look(instance)
            status = record.status if record is not None else "absent"
            self.checkers.fail(f"{instance}: never ended; it is {status}")
        else:
            self._instance_ended(scenario, instance, began_s)
        finally:
            room.release()

    async def _play_to_the_end(self, scenario: Scenario, instance: str) -> None:
        try:
            await self.play(scenario, instance)
        except InstanceConflictError as error:
            self.checkers.fail(f"{instance}: could not be steered: {error}")
        if not scenario.steps or scenario.steps[-1].what != "rewind":
            await self.until_status(instance, TERMINAL)

    async def _play_what_began_again(self) -> bool:
        """Steer instances once more whose start came late, as whoever sees that they run would; whether any did."""
        before = self.figures.begun_again
        for instance in sorted(self.client.started_in_doubt):
            record = await self.look(instance)
            if record is not None and record.status not in TERMINAL:
                self.figures.begun_again += 1
                async with asyncio.timeout(REST_WITHIN_S):
                    await self._play_to_the_end(self.steered[instance], instance)
        return self.figures.begun_again > before

    def _instance_ended(self, scenario: Scenario, instance: str, began_s: float) -> None:
        now_s = self._clock.monotonic()
        figures, over_at = self.figures, self.trouble.over_at
        figures.ended[scenario.name] += 1
        if now_s - began_s > figures.slowest_s:
            figures.slowest_s, figures.slowest = now_s - began_s, instance
        figures.recovery_s = max(figures.recovery_s, *(now_s - over for over in over_at), 0.0)
        over_at.clear()

    async def start(
        self, scenario: Scenario, instance: str, text: str | None, *, from_outside: bool
    ) -> None:
        """See User; always through a host."""
        del from_outside
        await self.client.start(scenario.orchestrator, instance, text)

    async def look(self, instance: str) -> InstanceRecord | None:
        """See User; patiently."""
        while True:
            try:
                return await super().look(instance)
            except StorageError:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _watch(self, instance: str) -> None:
        """Whoever reads a history again finds what was there before."""
        while True:
            await asyncio.sleep(HISTORY_EVERY_S)
            try:
                found = (await self.hub.history.load(instance)).events
            except StorageError:
                continue
            self._compare(instance, found)

    def _compare(self, instance: str, found: tuple[HistoryEvent, ...]) -> None:
        self.figures.histories_read += 1
        before = self._seen.get(instance, ())
        self._seen[instance] = found
        is_same_execution = bool(before and found) and before[:2] == found[:2]
        is_rewound = self.steered[instance].name.startswith("mended")
        if is_same_execution and not is_rewound and found[: len(before)] != before:
            self.checkers.fail(f"{instance}: its history has changed: {before} became {found}")

    # --- rest -------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        began_s = self._clock.monotonic()
        waiting = await self._waiting()
        while waiting and self._clock.monotonic() - began_s < EMPTY_WITHIN_S:
            await asyncio.sleep(LOOK_EVERY_S)
            waiting = await self._waiting()
        self.figures.rest_s = self._clock.monotonic() - began_s
        self.figures.messages_left = waiting.total()
        if waiting:
            self.checkers.never_at_rest([f"{name}: {count}" for name, count in waiting.items()])

    async def _waiting(self) -> Counter[str]:
        """Messages by queue; invisible ones count, too."""
        names = [queue.name for queue in (*self.hub.control_queues, self.hub.work_items)]
        return +Counter({name: await self.storage.queues.message_count(name) for name in names})

    async def _check(self) -> None:
        for instance in self._seen:
            self._compare(instance, (await self.hub.history.load(instance)).events)
        for about in self.client.repeated:
            if about in self.steered:
                self.steered[about] = repeated(self.steered[about])
        await self.checkers.check_at_rest(self)

    def _check_logs(self) -> None:
        for slot in self.slots:
            for log in slot.logs:
                for fault in self.figures.told.read(log):
                    self.checkers.fail(fault)

    @property
    def repeats(self) -> int:
        """How often activities ran again that had run before, those apart that their orchestrators retry."""
        return sum(count - 1 for name, count in self.effects.runs.items() if "/" in name)
