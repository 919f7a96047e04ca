"""Hosts on one account in memory, in virtual time, and a user who starts and steers instances from outside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path

from emulator.compose import Parts, load_functions, running_engine
from emulator.core.events import TimerFired
from emulator.core.status import TERMINAL
from emulator.engine.client import HubClient
from emulator.engine.courier import Courier
from emulator.errors import InstanceConflictError, StorageError
from emulator.host.function_app import FunctionApp
from emulator.hub.task_hub import TaskHub
from emulator.settings import AppSettings, HubSettings, Settings
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.faults import (
    FaultyStorage,
    HostDiedError,
    Injector,
    Plan,
    SkewedClock,
    no_faults,
)
from emulator.testing.virtual_loop import VirtualClock
from emulator.wire.queue_message import Wrapper, decode_envelope, decode_message
from tests.sim import effects
from tests.sim.checkers import Checkers
from tests.sim.scenarios import Scenario
from tests.sim.user import SETTLE_LIMIT_S, User

APP = Path(__file__).parent / "app"
PARTITIONS = 3
RESTART_S = 1.0
"""Pause before a host that died is started again."""


def settings(worker: str, **hub: object) -> Settings:
    values: dict[str, object] = {
        "hub_name": "Sim",
        "app_name": "sim",
        "partition_count": PARTITIONS,
        "worker_id": worker,
        "max_concurrent_orchestrations": 4,
        "max_concurrent_activities": 3,
        **hub,
    }
    return Settings(app=AppSettings(root=APP), hub=HubSettings(**values))  # type: ignore[arg-type]


@cache
def the_app() -> FunctionApp:
    """Loaded once: it keeps nothing that would end with a process, and loading it takes a fifth of a story's time."""
    return load_functions(settings("any"))


@dataclass
class Host:
    """One process, from its start to its end."""

    name: str
    injector: Injector
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    parts: Parts | None = None
    error: BaseException | None = None

    @property
    def is_up(self) -> bool:
        return self.parts is not None and not self.injector.is_dead and not self.ended.is_set()


class World(User):
    """Use inside a VirtualLoop, within run()."""

    def __init__(self, group: asyncio.TaskGroup, seed: int = 0, **hub: object) -> None:
        self.group = group
        self.seed = seed
        self.hub_settings = hub
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.effects = effects.begin()
        self.storage = MemoryStorage(self.clock, SeededIds(seed))
        self.hub = TaskHub(self.storage, settings("user", **hub).hub, SeededIds(seed + 1).hex32)
        ids = SeededIds(seed + 2)
        self.client = HubClient(
            self.hub, Courier(self.hub, self.clock, ids), clock=self.clock, ids=ids
        )
        self.checkers = Checkers(self.clock, PARTITIONS)
        self.hosts: list[Host] = []
        self.starts = 0
        self.steered: dict[str, Scenario] = {}

    # --- hosts ------------------------------------------------------------------------------------------------

    def start_host(
        self,
        name: str,
        plan: Plan = no_faults,
        *,
        latency: Callable[[], float] | None = None,
        skew_s: float = 0.0,
    ) -> Host:
        self.starts += 1
        observe = self.checkers.observer(name, self.starts)
        injector = Injector(plan=plan, observe=observe)
        if latency is not None:
            injector.latency = latency
        host = Host(name, injector)
        self.hosts.append(host)
        self.group.create_task(self._live(host, self.starts, skew_s), name=f"host {name}")
        return host

    async def _live(self, host: Host, number: int, skew_s: float) -> None:
        clock = SkewedClock(self.clock, timedelta(seconds=skew_s)) if skew_s else self.clock
        ids = SeededIds(self.seed * 1000 + number)
        storage = FaultyStorage(self.storage, host.injector)
        try:
            async with running_engine(
                settings(host.name, **self.hub_settings),
                storage,
                clock=clock,
                ids=ids,
                app=the_app(),
            ) as parts:
                host.parts = parts
                await host.stop.wait()
        except BaseException as error:  # noqa: BLE001 - the end of a process, not ours
            host.error = error
        finally:
            host.injector.is_dead = True
            host.ended.set()
            self.checkers.host_ended(host.name, host.parts is not None, host.error)

    def kill(self, host: Host) -> None:
        host.injector.kill()
        host.stop.set()

    async def any_host(self) -> Host:
        while True:
            for host in self.hosts:
                if host.is_up and host.injector.running.is_set():
                    return host
            await asyncio.sleep(0.25)

    # --- the user ---------------------------------------------------------------------------------------------

    async def start(
        self, scenario: Scenario, instance: str, text: str | None, *, from_outside: bool
    ) -> None:
        while True:
            client = self.client
            if not from_outside:
                host = await self.any_host()
                assert host.parts is not None
                client = host.parts.engine.client
            try:
                await client.start(scenario.orchestrator, input=text, instance_id=instance)
                return
            except InstanceConflictError:
                return
            except (HostDiedError, StorageError, BaseExceptionGroup):
                await asyncio.sleep(0.5)

    # --- rest -------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until every instance has ended and nothing is on its way but timers nobody waits for any more."""
        try:
            async with asyncio.timeout(SETTLE_LIMIT_S):
                step = 0.5
                while not await self._is_at_rest():
                    await asyncio.sleep(step)
                    step = min(step * 1.3, 15.0)
        except TimeoutError:
            self.checkers.never_at_rest(await self._what_waits())

    async def _is_at_rest(self) -> bool:
        for instance in self.steered:
            record = await self.hub.instances.get(instance, payloads=False)
            if record is None or record.status not in TERMINAL:
                return False
        return not await self._waiting_messages()

    async def _waiting_messages(self) -> list[str]:
        waiting: list[str] = []
        for queue in (*self.hub.control_queues, self.hub.work_items):
            for text, deliveries in self._texts(queue.name):
                envelope = decode_message(text)
                if isinstance(envelope, Wrapper):
                    blob = await self.hub.payloads.download(envelope.blob_name)
                    envelope = decode_envelope(blob)
                message = envelope.task_message
                if isinstance(message.event, TimerFired) and self._is_later(message.event):
                    continue
                kind = type(message.event).__name__
                waiting.append(
                    f"{queue.name}: {kind} for {message.target.instance_id} ({deliveries} deliveries)"
                )
        return waiting

    def _texts(self, queue: str) -> list[tuple[str, int]]:
        """All messages of a queue, invisible ones too: what no client of the service can see."""
        messages = self.storage.queues._queues[queue].messages.values()
        return [(message.text, message.count) for message in messages]

    def _is_later(self, event: TimerFired) -> bool:
        return event.fire_at > self.clock.now()

    async def _what_waits(self) -> list[str]:
        found = await self._waiting_messages()
        for instance in self.steered:
            record = await self.hub.instances.get(instance, payloads=False)
            if record is None or record.status not in TERMINAL:
                found.append(f"instance {instance} is {record.status if record else 'absent'}")
        return found

    async def finish(self) -> None:
        """End every process, and let what is left of them die."""
        for host in self.hosts:
            self.kill(host)
        for host in self.hosts:
            await host.ended.wait()
        await asyncio.sleep(RESTART_S)

    async def check(self) -> None:
        await self.checkers.check_at_rest(self)


def random_latency(seed: int) -> Callable[[], float]:
    """Mostly a few milliseconds, sometimes a lot."""
    chance = random.Random(seed)
    return lambda: chance.expovariate(200.0) if chance.random() < 0.95 else chance.uniform(0.1, 2.0)
