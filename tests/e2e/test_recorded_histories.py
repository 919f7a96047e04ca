"""The histories of the recorded scenarios, made by ours from their first start on, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from tests import vectors
from tests.e2e.test_takeover import ENDS_AT, SCENARIOS, plan
from tests.support.takeover import take_over

SAME = (
    "EventType",
    "EventId",
    "IsPlayed",
    "TaskScheduledId",
    "TimerId",
    "Name",
    "InstanceId",
    "OrchestrationStatus",
)
"""Columns with the recorded values. The others are times, ids and payloads: their names and types are compared."""
OF_CHILDREN = ("SubOrchestrationInstanceCreated", "ExecutionStarted")
"""Without the column Version, which the framework fills with an empty text for a child, and the extension does not."""
OTHERWISE = {
    ("failures", "unregistered"): "the framework alone looks again and again for code of that name",
    ("terminate", "terminated-scheduled"): "a scheduled start that was terminated stays so",
}
"""Instances with another history, and why."""
Json = dict[str, Any]
Row = tuple[object, ...]


def histories(scenario: str, stage: Json) -> dict[str, list[Row]]:
    """Of each instance; who shares an episode, and the order of answers that come at once, is up to the machine."""
    [rows] = [rows for name, rows in stage["tables"].items() if name.endswith("History")]
    placed = sorted(rows, key=lambda row: [row[key]["value"] for key in ("PartitionKey", "RowKey")])
    found = {
        key: [*_rows(list(group))]
        for key, group in groupby(placed, lambda row: row["PartitionKey"]["value"])
    }
    return {name: rows for name, rows in found.items() if (scenario, name) not in OTHERWISE}


def _rows(rows: list[Json]) -> Iterator[Row]:
    events = [
        row
        for row in rows
        if "EventType" in row and "Orchestrator" not in row["EventType"]["value"]
    ]
    for answers, group in groupby(map(_row, events), lambda row: row[0] == "TaskCompleted"):
        together = [*group]
        yield from sorted(together, key=repr) if answers else together


def _row(row: Json) -> Row:
    values = [row.get(name, {}).get("value") for name in SAME]
    unlike = {"Timestamp", "odata.etag"}
    if values[0] in OF_CHILDREN:
        unlike.add("Version")
    columns = {
        (name.removesuffix("BlobName"), cell["type"])
        for name, cell in row.items()
        if name not in unlike
    }
    return (*values, tuple(sorted(columns)))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_rows_are_the_recorded_ones(scenario: str) -> None:
    stage = ENDS_AT.get(scenario, [*vectors.stages(scenario)][-1])
    expected, last, _ = plan(scenario)
    wanted = {name: end for name, end in expected.items() if (scenario, name) not in OTHERWISE}
    theirs = histories(scenario, vectors.stages(scenario)[stage])
    ours = histories(scenario, take_over(scenario, 0, wanted, last).hub)
    assert ours == theirs
