"""What is run under chaos: the simulation's scenarios, and where those expect too much of a client that retries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.sim.scenarios import ENTRIES, Scenario
from tests.sim.scenarios import SCENARIOS as SIMULATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything(Scenario):
    """An output that depends on how often an event was raised."""

    def expects(self, output: str | None, instance: str) -> bool:
        return output is not None


SCENARIOS = (*(s for s in SIMULATED if s.name != "approval"), ENTRIES)
"""Without the one whose timer stays in its queue for twenty hours."""
COUNTING = frozenset({"events", "eternal"})
"""Scenarios whose output tells how often an event was raised."""
HEAVY = frozenset({"large", "large-eternal"})


def repeated(scenario: Scenario) -> Scenario:
    """What can be expected when an event may have been raised twice, because an answer to the client got lost."""
    if scenario.name not in COUNTING:
        return scenario
    return Anything(name=scenario.name, orchestrator=scenario.orchestrator, status=scenario.status)


def with_quick_steps(scenario: Scenario) -> Scenario:
    """The same with pauses of seconds in place of a minute, for time that is real."""
    steps = tuple(replace(step, after=min(step.after, 4.0)) for step in scenario.steps)
    return replace(scenario, steps=steps)
