"""Every behaviour that an app may rely on: memory and file in virtual time, Azurite in real time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from azurite import Azurite
from emulator.core.instance import InstanceRecord
from emulator.core.parity import Rule
from emulator.core.status import TERMINAL
from emulator.engine.ports import OrchestrationClient
from emulator.settings import Parity
from tests.e2e.scenarios import ANY, GROUPS, SCENARIOS, Scenario, Step
from tests.support.engines import on_azurite, play
from tests.support.histories import notation, without_borders

APP = Path(__file__).parent / "behaviours"
TOLERANCE_S = 0.001
SLACK_S = 0.5
"""How much later than planned an instance may end in virtual time."""
ENDING = {
    Rule.UNKNOWN_FUNCTION,
    Rule.NO_ATTEMPTS,
    Rule.CHILD_WITH_OWN_ID,
    Rule.CHILD_WITH_BAD_ID,
    Rule.NOTHING_OPEN,
    Rule.TOO_MANY_ACTIONS,
}
"""Rules that fail an instance whether asked to or not."""
PATIENCE = timedelta(seconds=60)
"""How long an instance may take beyond its planned end."""


@dataclass(frozen=True)
class Seen:
    """What was left of a scenario."""

    record: InstanceRecord
    rows: str


async def perform(client: OrchestrationClient, scenario: Scenario, patience: timedelta) -> Seen:
    """Start the instance, do what the scenario does to it, and look at it when it rests."""
    value = None if scenario.input is None else json.dumps(json.dumps(scenario.input))
    await client.start(scenario.orchestrator, instance_id=scenario.name, input=value)
    began = asyncio.get_running_loop().time()
    for step in scenario.steps:
        await _until(began + step.at)
        await _do(client, scenario.name, step)
    await _until(began + (scenario.looks_at or scenario.lasts or 0))
    record = await client.get(scenario.name)
    if scenario.looks_at is None:
        record = await client.wait(scenario.name, limit=patience, interval=timedelta(seconds=0.1))
    assert record is not None
    return Seen(record=record, rows=notation(await client.history(scenario.name)))


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


async def _do(client: OrchestrationClient, instance: str, step: Step) -> None:
    if (
        step.verb == "rewind"
    ):  # only a failed instance can be; on a busy machine that may be later than planned
        await client.wait(instance, limit=PATIENCE, interval=timedelta(seconds=0.1))
    if step.verb == "raise_event":
        name, data = step.arguments
        await client.raise_event(instance, name, json.dumps(data))
        return
    await getattr(client, step.verb)(instance, *step.arguments)


def check(scenario: Scenario, seen: Seen) -> None:
    """To the row, which is possible where time and order are ours."""
    assert seen.rows == scenario.rows, seen.record.output
    check_status(scenario, seen.record)
    if scenario.lasts is not None:
        lasted = seen.record.last_updated_at.minus(seen.record.created_at).total_seconds()
        assert scenario.lasts - TOLERANCE_S <= lasted <= scenario.lasts + SLACK_S


def check_loosely(scenario: Scenario, seen: Seen) -> None:
    """What shares an episode, and the order of what runs at once, is up to the store."""
    ours, expected = without_borders(seen.rows), without_borders(scenario.rows)
    if scenario.any_order:
        ours, expected = sorted(ours), sorted(expected)
    assert ours == expected, seen.record.output
    check_status(scenario, seen.record)


def check_status(scenario: Scenario, record: InstanceRecord) -> None:
    assert record.status == scenario.status, record.output
    if scenario.output is not ANY:
        assert _value(record) == scenario.output
    if scenario.custom_status is not ANY:
        status = record.custom_status
        assert (None if status is None else json.loads(status)) == scenario.custom_status


def _value(record: InstanceRecord) -> Any:
    """An output as the caller meant it: JSON of a result, plain text of a failure or reason."""
    if record.output is None or record.status.value != "Completed":
        return record.output
    return json.loads(record.output)


@pytest.mark.parametrize("way", ["memory", "memory-replayed", "sqlite"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_in_virtual_time(
    scenario: Scenario, way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With orchestrators that live on between episodes, with full replays, and in a file."""
    seen = play(
        APP,
        lambda parts: perform(parts.engine.client, scenario, PATIENCE),
        file=tmp_path / "state.db" if way == "sqlite" else None,
        always_replay=way == "memory-replayed",
    )
    (check_loosely if scenario.any_order else check)(scenario, seen)
    assert told(caplog) == (scenario.warns or "").split()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Rules of the parity warnings, but for those that end an instance."""
    rules = [
        record.__dict__["rule"]
        for record in caplog.records
        if getattr(record, "event", None) == "parity_warning"
    ]
    return [rule for rule in rules if rule not in ENDING]


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.warns], ids=str)
def test_strict_parity_fails_what_it_else_warns_of(scenario: Scenario) -> None:
    late = replace(scenario, looks_at=None, lasts=10.0)
    seen = play(
        APP, lambda parts: perform(parts.engine.client, late, PATIENCE), parity=Parity.STRICT
    )
    assert seen.record.status == "Failed"
    assert "Azure" in (seen.record.output or "")


def test_a_warning_names_the_line_that_waits(caplog: pytest.LogCaptureFixture) -> None:
    scenario = next(s for s in SCENARIOS if s.name == "old-timer-awaited-again")
    play(APP, lambda parts: perform(parts.engine.client, scenario, PATIENCE))
    lines = (APP / "function_app.py").read_text().splitlines()
    line = 1 + next(
        i for i, text in enumerate(lines) if "task_any([context.wait_for_external_event" in text
    )
    [message] = [
        r.getMessage() for r in caplog.records if getattr(r, "event", "") == "parity_warning"
    ]
    assert f"function_app.py, line {line})" in message
    assert "any of (the event 'go')" in message


def test_non_determinism_is_explained(caplog: pytest.LogCaptureFixture) -> None:
    scenario = Scenario(
        name="chance",
        orchestrator="depends_on_chance",
        rows="ES TS#0(echo) | TC>0 EC#1(Failed)",
        status="Failed",
    )
    seen = play(
        APP, lambda parts: perform(parts.engine.client, scenario, PATIENCE), always_replay=True
    )
    check(scenario, seen)
    assert (seen.record.output or "").startswith(
        "Non-Deterministic workflow detected: A previous execution"
    )
    [message] = [
        r.getMessage() for r in caplog.records if getattr(r, "event", "") == "parity_warning"
    ]
    assert "the history has an activity task named 'echo' as number 0" in message
    assert "the code now asked for the activity 'hello' there" in message
    assert "function_app.py, line" in message


@pytest.mark.azurite
@pytest.mark.parametrize("group", GROUPS)
async def test_on_azurite(group: str, azurite: Azurite) -> None:
    """Those of a group at once, in real time, but for the ones that take too much of it."""
    scenarios = [scenario for scenario in GROUPS[group] if not scenario.is_long]
    seen: dict[str, Seen] = {}

    async def one(client: OrchestrationClient, scenario: Scenario) -> None:
        seen[scenario.name] = await perform(client, scenario, PATIENCE)

    async with (
        on_azurite(APP, azurite, f"Behaviours{group}") as parts,
        asyncio.TaskGroup() as tasks,
    ):
        for scenario in scenarios:
            tasks.create_task(one(parts.engine.client, scenario))
    for scenario in scenarios:
        check_loosely(scenario, seen[scenario.name])


def test_names_are_unique_and_many() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names) >= 150
    assert all(s.status in {str(t) for t in TERMINAL} or s.looks_at for s in SCENARIOS)
