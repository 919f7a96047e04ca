from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.events import HistoryEvent
from emulator.core.ids import ExecutionId
from emulator.errors import DecodeError
from emulator.wire import history_row
from tests import vectors
from tests.strategies import events
from tests.support.rows import staged, written


def again(columns: history_row.Columns) -> dict[str, history_row.Value]:
    """The columns, decoded and encoded."""
    execution = ExecutionId(str(columns["ExecutionId"]))
    if "EventType" in columns:
        return history_row.encode(history_row.decode(columns, "x"), execution)
    completed = columns.get("CheckpointCompletedTimestamp")
    assert completed is None or not isinstance(completed, str)
    return history_row.sentinel_columns(execution, completed)


def is_of_a_checkpoint(columns: history_row.Columns) -> bool:
    """Not one that a rewind made out of another, and not one whose large columns stand in blobs."""
    rewound = columns.get("EventType") == "GenericEvent" or str(
        columns.get("Reason", "")
    ).startswith("Rewound: ")
    return (
        "ExecutionId" in columns
        and not rewound
        and not any(n.endswith("BlobName") for n in columns)
    )


@pytest.mark.parametrize("scenario", vectors.storage_scenarios())
def test_every_recorded_write_is_encoded_as_it_was(scenario: str) -> None:
    for call in vectors.table_calls(scenario):
        if not call.table.endswith("History") or not call.columns:
            continue
        columns = written(call.columns)
        if not is_of_a_checkpoint(columns):
            continue
        assert list(again(columns).items()) == list(columns.items())


@pytest.mark.parametrize("scenario", vectors.storage_scenarios())
def test_every_stored_row_is_encoded_as_it_was(scenario: str) -> None:
    for stage in vectors.stages(scenario).values():
        for table, rows in stage["tables"].items():
            if table.endswith("History"):
                for row in rows:
                    columns = {k: v for k, v in staged(row).items() if not k.endswith("BlobName")}
                    if is_of_a_checkpoint(columns):
                        assert again(columns) == columns


@given(events(), st.uuids().map(lambda u: ExecutionId(u.hex)))
def test_what_is_written_is_read_again(event: HistoryEvent, execution: ExecutionId) -> None:
    assert history_row.decode(history_row.encode(event, execution), "x") == event


def test_an_unknown_event_type_is_named() -> None:
    with pytest.raises(DecodeError, match=r"instance i9 has the unknown EventType 'Exploded'"):
        history_row.decode({"EventType": "Exploded"}, "i9")


def test_a_column_that_is_no_json_is_named() -> None:
    with pytest.raises(DecodeError, match=r"instance i9 has no JSON in its column Tags"):
        history_row.decode({"EventType": "TaskScheduled", "Tags": "{"}, "i9")
