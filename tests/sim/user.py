"""A user who starts instances and steers them from outside, on any store and in any time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Protocol

from emulator.core.instance import InstanceRecord
from emulator.core.status import TERMINAL, RuntimeStatus
from emulator.errors import InstanceConflictError, TransientStorageError
from emulator.hub.task_hub import TaskHub
from tests.sim.effects import World as Effects
from tests.sim.scenarios import Scenario, Step

SETTLE_LIMIT_S = 4 * 3600.0
"""Virtual time in which everything must have come to rest."""


class Client(Protocol):
    """What a user does to instances (engine.client.HubClient)."""

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None: ...

    async def signal_entity(
        self, name: str, key: str, operation: str, data: str | None
    ) -> None: ...

    async def suspend(self, instance_id: str, reason: str | None) -> None: ...

    async def resume(self, instance_id: str, reason: str | None) -> None: ...

    async def terminate(self, instance_id: str, reason: str | None) -> None: ...

    async def rewind(self, instance_id: str, reason: str | None) -> None: ...


class Watcher(Protocol):
    """Whoever must know what was done (sim.checkers.Checkers)."""

    def event_raised(self, instance: str, text: str | None) -> None: ...

    def rewound(self, instance: str) -> None: ...


class User:
    """Plays scenarios. Who inherits starts the instances."""

    hub: TaskHub
    client: Client
    checkers: Watcher
    effects: Effects
    steered: dict[str, Scenario]
    pace = 1.0
    """What the pauses of the scenarios are multiplied by."""

    async def start(
        self, scenario: Scenario, instance: str, text: str | None, *, from_outside: bool
    ) -> None:
        """Start an instance under its id, however often it takes."""
        raise NotImplementedError

    async def look(self, instance: str) -> InstanceRecord | None:
        """The instance's row without its payloads."""
        return await self.hub.instances.get(instance, payloads=False)

    async def play(self, scenario: Scenario, instance: str, *, from_outside: bool = False) -> None:
        """Start an instance and steer it. Starts go through a host, which may die of them."""
        self.steered[instance] = scenario
        text = json.dumps(scenario.input) if scenario.input is not None else None
        await self.start(scenario, instance, text, from_outside=from_outside)
        for step in scenario.steps:
            await asyncio.sleep(step.after * self.pace)
            await self._steer(step, instance)

    async def _steer(self, step: Step, instance: str) -> None:
        client = self.client
        match step.what:
            case "raise":
                self.checkers.event_raised(instance, step.text)
                await client.raise_event(instance, "go", step.text)
            case "signal":
                await client.signal_entity("Ledger", instance, "add", step.text)
            case "put_right":
                await self.until_status(instance, {RuntimeStatus.FAILED})
                self.effects.put_right.add(instance)
            case "suspend":
                await self.until_status(instance, {RuntimeStatus.RUNNING})
                await client.suspend(instance, step.text)
                await self.until_status(instance, {RuntimeStatus.SUSPENDED})
            case "resume":
                await self._resume(instance, step.text)
            case "terminate":
                await self.until_status(instance, {RuntimeStatus.RUNNING})
                await client.terminate(instance, step.text)
            case "rewind":
                await self._rewind(instance, step.text)
            case _:
                raise ValueError(step.what)

    async def _resume(self, instance: str, reason: str | None) -> None:
        """A worker that was stopped may show an older status for a moment: try again then, as people do."""
        async with asyncio.timeout(SETTLE_LIMIT_S):
            while True:
                await self.until_status(instance, {RuntimeStatus.SUSPENDED})
                try:
                    await self.client.resume(instance, reason)
                    return
                except InstanceConflictError:
                    continue

    async def _rewind(self, instance: str, reason: str | None) -> None:
        """As often as it takes: a child that is told to fail twice may fail its parent once more."""
        self.checkers.rewound(instance)
        status = RuntimeStatus.FAILED
        while status is RuntimeStatus.FAILED:
            try:
                await self.client.rewind(instance, reason)
            except TransientStorageError:  # a child's failure is told, but not stored yet
                await asyncio.sleep(1.0)
                continue
            await asyncio.sleep(1.0)
            status = await self.until_status(instance, TERMINAL)

    async def until_status(self, instance: str, wanted: Iterable[RuntimeStatus]) -> RuntimeStatus:
        async with asyncio.timeout(SETTLE_LIMIT_S):
            while True:
                record = await self.look(instance)
                if record is not None and record.status in wanted:
                    return record.status
                await asyncio.sleep(1.0)
