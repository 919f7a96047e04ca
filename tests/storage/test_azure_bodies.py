"""Messages as XML and rows as JSON."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.instant import Instant
from emulator.errors import DecodeError
from emulator.storage.azure_entities import decode_entities, decode_entity, encode_entity
from emulator.storage.azure_messages import decode_messages, encode_message, read_http_date
from emulator.storage.ports import Int64, RowKey, Value

KEY = RowKey(partition="p", row="r")
MESSAGE = (
    "<QueueMessage><MessageId>m</MessageId><InsertionTime>Tue, 24 Nov 2026 01:58:02 GMT</InsertionTime>"
    "<PopReceipt>r</PopReceipt><TimeNextVisible>Tue, 24 Nov 2026 01:58:32 GMT</TimeNextVisible>"
    "{rest}</QueueMessage>"
)

xml_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\r\n\t"))
columns = st.dictionaries(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
        lambda name: name not in ("PartitionKey", "RowKey", "Timestamp")
    ),
    st.one_of(
        st.text(),
        st.booleans(),
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**63), 2**63 - 1).map(Int64),
        st.floats(allow_nan=False),
        st.binary(),
        st.integers(0, Instant.parse("9999-12-31T23:59:59.9999999Z")).map(Instant),
    ),
)


def listing(*messages: str) -> bytes:
    inner = "".join(messages)
    return f'<?xml version="1.0"?><QueueMessagesList>{inner}</QueueMessagesList>'.encode()


@pytest.mark.parametrize(("length", "is_ascii"), [(100, True), (20_000, False)])
def test_messages_are_ascii_unless_they_would_be_too_large(length: int, *, is_ascii: bool) -> None:
    """Azurite decodes what it reads piece by piece, whatever lies between two pieces."""
    assert encode_message("\u4e2d" * length).isascii() is is_ascii


@given(xml_texts)
def test_an_xml_parser_reads_the_text_that_was_meant(text: str) -> None:
    root = ET.fromstring(encode_message(text))
    assert (root.findtext("MessageText") or "") == text


def test_messages_are_read() -> None:
    full = MESSAGE.format(
        rest="<DequeueCount>3</DequeueCount><MessageText>a&#xD;\n&lt;</MessageText>"
    )
    first, second = decode_messages(listing(full, MESSAGE.format(rest="<MessageText/>")))
    assert (first.text, first.dequeue_count) == ("a\r\n<", 3)
    assert first.handle.next_visible_at == Instant.parse("2026-11-24T01:58:32Z")
    assert (second.text, second.dequeue_count) == ("", 0)
    assert decode_messages(listing()) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<QueueMessagesList>",
        listing("<QueueMessage/>"),
        listing(MESSAGE.format(rest="<DequeueCount>many</DequeueCount>")),
        listing(MESSAGE.format(rest="").replace("Nov", "Nev")),
        listing(MESSAGE.format(rest="").replace("<PopReceipt>r</PopReceipt>", "")),
        listing(MESSAGE.format(rest="&unknown;")),
    ],
)
def test_an_answer_that_is_no_list_of_messages_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_messages(body)


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 99 Nov 2026 01:58:02 GMT"])
def test_a_senseless_date_is_said_to_be_one(text: str) -> None:
    with pytest.raises(DecodeError):
        read_http_date(text)


@given(columns)
def test_a_row_comes_back_as_it_was_sent(values: dict[str, Value]) -> None:
    sent = json.loads(encode_entity(KEY, values))
    row = decode_entity(json.dumps({**sent, "Timestamp": "2026-11-24T01:58:02.0842637Z"}), "e")
    assert (row.key, row.etag) == (KEY, "e")
    assert row.timestamp.text7() == "2026-11-24T01:58:02.0842637Z"
    assert dict(row.columns) == values
    assert {n: type(v) for n, v in row.columns.items()} == {n: type(v) for n, v in values.items()}


def test_types_are_named_as_the_service_names_them() -> None:
    values: dict[str, Value] = {
        "I": 5,
        "L": Int64(5),
        "D": 2.0,
        "N": math.nan,
        "T": Instant.parse("2026-01-01T00:00:00.1Z"),
        "B": b"\x00\xff",
        "S": "\u00e9\u2028",
        "F": False,
    }
    body = encode_entity(KEY, values)
    assert b"\\u00e9\\u2028" in body
    assert "\u00e9\\u2028".encode() in encode_entity(KEY, values, escapes=False)
    assert json.loads(body) == {
        "PartitionKey": "p",
        "RowKey": "r",
        "I": 5,
        "L@odata.type": "Edm.Int64",
        "L": "5",
        "D@odata.type": "Edm.Double",
        "D": 2.0,
        "N@odata.type": "Edm.Double",
        "N": "NaN",
        "T@odata.type": "Edm.DateTime",
        "T": "2026-01-01T00:00:00.1000000Z",
        "B@odata.type": "Edm.Binary",
        "B": "AP8=",
        "S": "\u00e9\u2028",
        "F": False,
    }


def test_rows_of_a_query_are_read() -> None:
    entity = {
        "odata.etag": "e1",
        "PartitionKey": "p",
        "RowKey": "r",
        "Null": None,
        "G": "0-0",
        "G@odata.type": "Edm.Guid",
        "D": 3,
        "D@odata.type": "Edm.Double",
    }
    [row] = decode_entities(json.dumps({"odata.metadata": "x", "value": [entity]}).encode())
    assert (row.etag, dict(row.columns)) == ("e1", {"G": "0-0", "D": 3.0})
    assert isinstance(row.columns["D"], float)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html/>",
        "[]",
        "{}",
        '{"value":{}}',
        '{"value":[1]}',
        '{"value":[{"PartitionKey":"p"}]}',
        '{"value":[{"PartitionKey":"p","RowKey":"r"}]}',
        '{"value":[{"PartitionKey":"p","RowKey":"r","odata.etag":"e","t@odata.type":"Edm.DateTime","t":1}]}',
        '{"value":[{"PartitionKey":"p","RowKey":"r","odata.etag":"e","t@odata.type":"Edm.DateTime","t":"x"}]}',
        '{"value":[{"PartitionKey":"p","RowKey":"r","odata.etag":"e","t@odata.type":"Edm.Int64","t":"x"}]}',
        '{"value":[{"PartitionKey":"p","RowKey":"r","odata.etag":"e","t@odata.type":"Edm.Binary","t":"x"}]}',
        '{"value":[{"PartitionKey":"p","RowKey":"r","odata.etag":"e","Timestamp":"x"}]}',
    ],
)
def test_an_answer_that_is_no_list_of_rows_is_said_to_be_none(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_entities(text.encode())
