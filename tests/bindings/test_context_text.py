"""The context string, built from recorded rows, against the one that the real extension built from them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bindings.oop_schema import ContextSettings, context_text
from emulator.core.events import HistoryEvent
from emulator.core.instant import Instant
from emulator.wire import history_row
from emulator.wire.event_table import EVENT_NUMBERS
from tests import vectors
from tests.support.rows import written

SETTINGS = ContextSettings(
    long_timer_interval=timedelta(days=3),
    max_short_timer=timedelta(days=6),
    default_http_sleep=timedelta(milliseconds=30_000),
)
ORCHESTRATOR_STARTED = EVENT_NUMBERS["OrchestratorStarted"]
ORCHESTRATOR_COMPLETED = EVENT_NUMBERS["OrchestratorCompleted"]


def stored_rows(instance: dict[str, Any]) -> dict[tuple[int, int, Instant], HistoryEvent]:
    """Rows by number, task id and time."""
    rows = [written(row) for row in instance["history"] if "EventType" in row]
    whole = [row for row in rows if not any(name.endswith("BlobName") for name in row)]
    events = [history_row.decode(row, "x") for row in whole]
    numbers = [EVENT_NUMBERS[str(row["EventType"])] for row in whole]
    return {(n, e.event_id, e.timestamp): e for n, e in zip(numbers, events, strict=True)}


def from_rows(
    members: list[dict[str, Any]], rows: dict[tuple[int, int, Instant], HistoryEvent]
) -> list[HistoryEvent] | None:
    """The stored events behind a context's, with the flags they had when it was built; None if not all are stored."""
    numbers = [member["EventType"] for member in members]
    last_started = len(numbers) - 1 - numbers[::-1].index(ORCHESTRATOR_STARTED)
    if (
        numbers[-1] == ORCHESTRATOR_COMPLETED
    ):  # first episode after a continue-as-new: nothing of it was stored
        return None
    events: list[HistoryEvent] = []
    for place, member in enumerate(members):
        key = (member["EventType"], member["EventId"], Instant.parse(member["Timestamp"]))
        if key not in rows:
            return None
        events.append(replace(rows[key], is_played=False) if place >= last_started else rows[key])
    return events


def episodes() -> list[Any]:
    found: list[Any] = []
    for scenario in vectors.oop_scenarios():
        for instance in vectors.oop(scenario).get("instances", []):
            rows = stored_rows(instance)
            for number, episode in enumerate(instance["episodes"]):
                if "context" not in episode or '"upperSchemaVersion"' not in episode["context"]:
                    continue
                events = from_rows(json.loads(episode["context"])["history"], rows)
                if events is not None:
                    name = f"{scenario}-{instance['instanceId']}-{number}"
                    found.append(pytest.param(events, episode["context"], id=name))
    return found


EPISODES = episodes()


@pytest.mark.parametrize(("events", "context"), EPISODES)
def test_the_context_is_the_recorded_one(events: list[HistoryEvent], context: str) -> None:
    assert context_text(events, SETTINGS) == context


def test_most_episodes_are_compared() -> None:
    assert len(EPISODES) > 150
