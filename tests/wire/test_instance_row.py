"""The Instances rows that the real provider wrote, made again from the messages and events it wrote them for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.core.events import ExecutionStarted, ExecutionTerminated, HistoryEvent
from emulator.core.ids import InstanceId
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.status import RuntimeStatus
from emulator.errors import DecodeError
from emulator.wire import history_row, instance_row
from emulator.wire.history_row import Value
from emulator.wire.queue_message import Envelope, decode_envelope, decode_message
from tests import vectors
from tests.support.rows import written


def messages(scenario: str) -> list[Envelope]:
    packed = [t for name, t in vectors.packed_payloads().items() if "/message-" in name]
    texts = [*vectors.queue_texts(scenario), *packed]
    return [m for m in map(decode_message, texts) if isinstance(m, Envelope)]


def creations(scenario: str) -> Iterator[dict[str, Value]]:
    for call in vectors.table_calls(scenario):
        if (
            call.table.endswith("Instances")
            and call.columns.get("RuntimeStatus") == "Pending"
            and "Name" in call.columns
        ):
            yield written(call.columns)


@pytest.mark.parametrize("scenario", vectors.storage_scenarios())
def test_a_new_instance_is_written_as_it_was(scenario: str) -> None:
    starts = {
        event.instance.execution_id: event
        for envelope in messages(scenario)
        if isinstance(event := envelope.task_message.event, ExecutionStarted)
    }
    for columns in creations(scenario):
        start = starts[columns["ExecutionId"]]  # type: ignore[index]
        made = instance_row.created_columns(
            start, task_hub=str(columns["TaskHubName"]), now=instant(columns["LastUpdatedTime"])
        )
        in_blob = "InputBlobName" in columns or str(columns.get("Input")).startswith("http")
        different = {"Input", "InputBlobName"} if in_blob else set()
        made = {name: value for name, value in made.items() if name not in different}
        assert list(made.items()) == [item for item in columns.items() if item[0] not in different]


def instant(value: object) -> Instant:
    assert isinstance(value, Instant)
    return value


class Checkpoints:
    """Follows the writes of a scenario: the events of every execution that no Instances row shows yet."""

    def __init__(self) -> None:
        self.events: dict[str, list[HistoryEvent]] = {}

    def add(self, columns: dict[str, Any]) -> None:
        values = written(columns)
        rewound = (
            "Rewound: " in str(values.get("Reason")) or values.get("EventType") == "GenericEvent"
        )
        if "EventType" in values and not rewound:
            event = history_row.decode(values, "x")
            self.events.setdefault(str(columns["PartitionKey"]), []).append(event)

    def take(self, partition: str) -> list[HistoryEvent]:
        return self.events.pop(partition, [])


# Histories that the killed worker wrote without the row, and conflicting writers, cannot be told apart here.
FOLLOWED = [s for s in vectors.storage_scenarios() if s not in ("killed", "large", "medium-input")]


@pytest.mark.parametrize("scenario", FOLLOWED)
def test_a_checkpoint_merges_what_it_merged(scenario: str) -> None:
    checkpoints = Checkpoints()
    compared = 0
    for call in vectors.table_calls(scenario):
        if call.table.endswith("History"):
            checkpoints.add(call.columns)
        if not call.table.endswith("Instances") or "CustomStatus" not in call.columns:
            continue
        columns = written(call.columns)
        made = instance_row.checkpoint_columns(
            checkpoints.take(str(call.columns["PartitionKey"])),
            execution=columns["ExecutionId"],  # type: ignore[arg-type]
            custom_status=custom_status(columns),
            task_hub=str(columns["TaskHubName"]),
            now=instant(columns.get("CompletedTime", MIN_INSTANT)),
        )
        assert list(made.items()) == list(columns.items())
        compared += 1
    assert compared or scenario in ("pending", "delete-hub")


def custom_status(columns: dict[str, Value]) -> str | None:
    text = str(columns["CustomStatus"])
    return None if text == instance_row.NULL else text


def test_termination_before_the_start_is_merged_as_it_was() -> None:
    [event] = [
        message.task_message.event
        for message in map(decode_envelope, vectors.queue_texts("terminate"))
        if isinstance(message.task_message.event, ExecutionTerminated)
        and message.task_message.target.instance_id == "terminated-scheduled"
    ]
    [columns] = [
        written(call.columns)
        for call in vectors.table_calls("terminate")
        if call.table.endswith("Instances")
        and call.columns["RuntimeStatus"] == "Terminated"
        and "CustomStatus" not in call.columns
    ]
    assert isinstance(event, ExecutionTerminated)
    made = instance_row.terminated_columns(event, instant(columns["CompletedTime"]))
    assert list(made.items()) == list(columns.items())


def test_a_row_of_an_old_writer_is_read() -> None:
    created = Instant.parse("2020-01-01T00:00:00Z")
    record = instance_row.decode(
        InstanceId("old"), {"Name": "O", "RuntimeStatus": "Completed", "CreatedTime": created}
    )
    assert record.status is RuntimeStatus.COMPLETED
    assert record.last_updated_at == created
    assert (record.execution_id, record.generation, record.tags) == (None, None, None)


def test_an_unknown_state_is_named() -> None:
    with pytest.raises(DecodeError, match=r"'i9' has the unknown RuntimeStatus 'Asleep'"):
        instance_row.decode(InstanceId("i9"), {"RuntimeStatus": "Asleep"})
