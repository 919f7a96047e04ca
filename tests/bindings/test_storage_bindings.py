"""Queues, blobs and tables as functions are given them and write them, on the memory store."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import azure.functions as func
import pytest

from bindings.registry import Registry
from emulator.errors import ConfigError, ConflictError
from emulator.host.binding_api import Direction, Services
from emulator.host.trigger_values import BlobItem, QueueItem
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import ETag, Int64, RowKey, Value
from tests.support.clocks import BEGINNING, CountedIds, ManualClock
from tests.support.functions import binding, invocation, services

REGISTRY = Registry()
CALL = invocation(name="a", id="5")


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage(ManualClock(), CountedIds())


@pytest.fixture
def given(storage: MemoryStorage) -> Services:
    return services(storage)


async def set_output(given: Services, value: object, type: str, **properties: object) -> None:  # noqa: A002
    spec = binding(type, direction=Direction.OUT, **properties)
    sink = REGISTRY.output_sink(spec, given)
    assert sink is not None
    await sink(value, CALL)


async def read_input(
    given: Services,
    type: str,  # noqa: A002
    *,
    annotation: object = str,
    **properties: object,
) -> Any:
    return await REGISTRY.input_source(binding(type, **properties), annotation, given)(CALL)


# --- queues ------------------------------------------------------------------------------------------------------

SENT = [
    ("hello", ["hello"]),
    (b"hello", ["hello"]),
    (func.QueueMessage(body="hello"), ["hello"]),
    (["a", "b"], ["a", "b"]),
    ([func.QueueMessage(body=b"a"), "b"], ["a", "b"]),
    ('{"a": 1}', ['{"a": 1}']),
    ('["a", {"b": 1}, 2]', ["a", '{"b":1}', "2"]),
    ("[no list", ["[no list"]),
    ({"a": 1}, ['{"a":1}']),
]


@pytest.mark.parametrize("base64_messages", [True, False])
@pytest.mark.parametrize(("value", "expected"), SENT)
async def test_an_output_becomes_messages_of_a_queue_that_is_made_for_it(
    storage: MemoryStorage, value: object, expected: list[str], base64_messages: bool
) -> None:
    given = services(storage, base64_messages=base64_messages)
    await set_output(given, value, "queue", queueName="out-{id}")
    texts = [message.text for message in await storage.queues.peek("out-5", count=32)]
    decoded = [base64.b64decode(text).decode() for text in texts] if base64_messages else texts
    assert decoded == expected


async def test_what_cannot_be_a_message_is_told(given: Services) -> None:
    with pytest.raises(TypeError, match="set to int; set str, bytes, func"):
        await set_output(given, 5, "queue", queueName="out")


ITEM = QueueItem(
    id="7",
    body=b'{"x": "\xc3\xa9"}',
    dequeue_count=2,
    pop_receipt="r",
    inserted_at=BEGINNING,
    next_visible_at=BEGINNING,
)


def test_a_message_is_given_with_its_metadata() -> None:
    message = REGISTRY.decode_trigger(binding("queueTrigger"), ITEM, func.QueueMessage)
    assert isinstance(message, func.QueueMessage)
    assert (message.id, message.dequeue_count, message.pop_receipt) == ("7", 2, "r")
    assert (message.get_body(), message.get_json()) == (ITEM.body, {"x": "\u00e9"})
    assert message.insertion_time == message.time_next_visible == BEGINNING.to_datetime()
    assert message.expiration_time is not None
    assert message.expiration_time.year == 9999


@pytest.mark.parametrize(("annotation", "expected"), [(str, '{"x": "\u00e9"}'), (bytes, ITEM.body)])
def test_a_message_is_given_as_its_parameter_is_annotated(
    annotation: object, expected: object
) -> None:
    assert REGISTRY.decode_trigger(binding("queueTrigger"), ITEM, annotation) == expected


def test_a_message_makes_its_members_known() -> None:
    data = REGISTRY.trigger_data(binding("queueTrigger"), ITEM)
    assert data["x"] == "\u00e9"
    assert (data["id"], data["queueTrigger"]) == ("7", ITEM.body.decode())


# --- blobs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["\u00e9", "\u00e9".encode(), io.StringIO("\u00e9"), bytearray(b"\xc3\xa9")]
)
async def test_an_output_becomes_a_blob_in_a_container_that_is_made_for_it(
    storage: MemoryStorage, given: Services, value: object
) -> None:
    await set_output(given, value, "blob", path="out/{name}.txt")
    found = await storage.blobs.download("out", "a.txt")
    assert found is not None
    assert found.content == "\u00e9".encode()


async def test_what_cannot_be_content_is_told(given: Services) -> None:
    with pytest.raises(TypeError, match="set to int; set str, bytes or an object with read"):
        await set_output(given, 5, "blob", path="out/x")


async def test_a_blob_input_is_as_its_parameter_is_annotated(
    storage: MemoryStorage, given: Services
) -> None:
    await storage.blobs.create_container("in")
    await storage.blobs.upload("in", "a.txt", b"content")
    path = "in/{name}.txt"
    assert await read_input(given, "blob", annotation=str, path=path) == "content"
    assert await read_input(given, "blob", annotation=bytes, path=path) == b"content"
    stream = await read_input(given, "blob", annotation=func.InputStream, path=path)
    assert (stream.name, stream.length, stream.read()) == ("in/a.txt", 7, b"content")
    assert stream.uri.endswith("/in/a.txt")


@pytest.mark.parametrize("path", ["in/other", "nowhere/other"])
async def test_a_blob_that_is_not_there_is_none(given: Services, path: str) -> None:
    assert await read_input(given, "blob", annotation=func.InputStream, path=path) is None


def test_a_blob_trigger_makes_the_parts_of_its_path_known() -> None:
    item = BlobItem(container="in", name="x/5.txt", content=b"1", etag=ETag('"1"'), uri="u")
    trigger = binding("blobTrigger", path="in/{folder}/{id}.txt")
    data = REGISTRY.trigger_data(trigger, item)
    assert (data["folder"], data["id"], data["blobTrigger"]) == ("x", "5", "in/x/5.txt")


# --- tables ------------------------------------------------------------------------------------------------------

ADDED: list[tuple[object, Mapping[str, Value]]] = [
    ('{"PartitionKey": "p", "RowKey": "r", "A": 1}', {"A": 1}),
    ({"PartitionKey": "p", "RowKey": "r", "A": 2**40}, {"A": Int64(2**40)}),
    (
        {"PartitionKey": "p", "RowKey": "r", "A": 1.5, "B": True, "C": None, "D": {"x": 1}},
        {"A": 1.5, "B": True, "D": '{"x":1}'},
    ),
]


@pytest.mark.parametrize(("value", "columns"), ADDED)
async def test_an_output_becomes_a_row_of_a_table_that_is_made_for_it(
    storage: MemoryStorage, given: Services, value: object, columns: Mapping[str, Value]
) -> None:
    await set_output(given, value, "table", tableName="T")
    row = await storage.tables.get("T", RowKey(partition="p", row="r"))
    assert row is not None
    assert row.columns == columns
    assert {name: type(v) for name, v in row.columns.items()} == {
        name: type(v) for name, v in columns.items()
    }


async def test_keys_may_come_from_the_binding(storage: MemoryStorage, given: Services) -> None:
    rows = json.dumps([{"RowKey": "1"}, {"RowKey": "2"}])
    await set_output(given, rows, "table", tableName="T", partitionKey="of {name}")
    page = await storage.tables.query("T", None)
    assert [(row.key.partition, row.key.row) for row in page.rows] == [("of a", "1"), ("of a", "2")]


async def test_a_row_is_added_and_never_replaced(given: Services) -> None:
    row = {"PartitionKey": "p", "RowKey": "r"}
    await set_output(given, row, "table", tableName="T")
    with pytest.raises(ConflictError):
        await set_output(given, row, "table", tableName="T")


NO_ROWS = [
    ("no JSON", TypeError, "no JSON"),
    ("5", TypeError, "takes a row as a JSON object"),
    ('{"RowKey": "r"}', ValueError, "has no PartitionKey"),
]


@pytest.mark.parametrize(("value", "kind", "why"), NO_ROWS)
async def test_what_cannot_be_a_row_is_told(
    given: Services, value: object, kind: type[Exception], why: str
) -> None:
    with pytest.raises(kind, match=why):
        await set_output(given, value, "table", tableName="T")


async def test_rows_are_read_by_key_partition_and_filter(given: Services) -> None:
    rows = [{"PartitionKey": "p", "RowKey": str(n), "Age": n} for n in range(3)]
    await set_output(given, [*rows, {"PartitionKey": "q", "RowKey": "0"}], "table", tableName="T")

    async def read(**properties: object) -> Any:
        text = await read_input(given, "table", tableName="T", **properties)
        return None if text is None else json.loads(text)

    assert await read(partitionKey="p", rowKey="1") == rows[1]
    assert await read(partitionKey="p", rowKey="9") is None
    assert await read(partitionKey="p") == rows
    assert await read(partitionKey="p", take=2) == rows[:2]
    assert await read(partitionKey="p", filter="Age gt 0") == rows[1:]
    assert len(await read()) == 4
    assert json.loads(await read_input(given, "table", tableName="Nowhere")) == []


# --- declarations ------------------------------------------------------------------------------------------------

REFUSED = [
    ("queueTrigger", {"queueName": "A_b"}, "cannot name a queue"),
    ("queueTrigger", {}, "the queue's name is missing"),
    ("queue", {"queueName": "-a-"}, "cannot name a queue"),
    ("blob", {"path": "container"}, "must be CONTAINER/BLOB"),
    ("blobTrigger", {"path": ""}, "must begin with the name of a container"),
    ("table", {}, "the table's name is missing"),
    ("table", {"tableName": "T", "take": "all"}, "write a whole number"),
    ("table", {"tableName": "T", "filter": "a like 5"}, "the filter 'a like 5' cannot be read"),
    ("timerTrigger", {"schedule": "often"}, "has 1 fields"),
]


@pytest.mark.parametrize(("type_", "properties", "why"), REFUSED)
def test_a_wrong_member_is_found_before_anything_runs(
    type_: str, properties: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        REGISTRY.check(binding(type_, **properties))


UNKNOWN = [
    (binding("serviceBusTrigger"), "Known triggers, in any case: activityTrigger, blobTrigger"),
    (
        binding("cosmosDB"),
        "Known bindings of direction in, in any case: blob, durableClient, table",
    ),
    (binding("queue"), "'queue' .* direction in"),
]


@pytest.mark.parametrize(("spec", "why"), UNKNOWN)
def test_a_type_that_is_not_served_is_told_with_those_that_are(spec: Any, why: str) -> None:
    refusal = REGISTRY.refusal(spec)
    assert refusal is not None
    assert re.search(why, refusal), refusal
    assert refusal.endswith("The app's other functions run")
