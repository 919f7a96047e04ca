"""Whole runs: a world, what happens in it, and the violations that were found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from emulator.testing.faults import Fault, Plan, no_faults
from emulator.testing.virtual_loop import run_virtually
from tests.sim.scenarios import Scenario
from tests.sim.world import RESTART_S, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a run ended."""

    violations: Sequence[str]
    calls: int
    """Storage calls of the first host until everything was at rest."""
    first_host_died: bool


def run_scenario(scenario: Scenario, plan: Plan = no_faults, **hub: object) -> Report:
    """One scenario on one host that a plan may kill; another takes over."""
    return run_virtually(_scenario(scenario, plan, hub))


async def _scenario(scenario: Scenario, plan: Plan, hub: dict[str, object]) -> Report:
    async with asyncio.TaskGroup() as group:
        world = World(group, **hub)
        with world.checkers.listening():
            first = world.start_host("a", plan)
            successor = group.create_task(_succeed(world, first.ended), name="successor")
            await world.play(scenario, f"i-{scenario.name}")
            await world.settle()
            await world.check()
            first_host_died = first.injector.is_dead
            successor.cancel()
            await world.finish()
    return Report(
        violations=world.checkers.violations,
        calls=first.injector.count,
        first_host_died=first_host_died,
    )


async def _succeed(world: World, ended: asyncio.Event) -> None:
    await ended.wait()
    await asyncio.sleep(RESTART_S)
    world.start_host("b")


def fault_at(number: int, fault: Fault) -> Plan:
    """One fault at one call."""
    return lambda call: fault if call.number == number else None
