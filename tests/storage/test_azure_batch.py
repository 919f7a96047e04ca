"""The parts of a transaction, written and read by hand."""

from __future__ import annotations

import email
import json
import re

import pytest

from emulator.errors import DecodeError
from emulator.storage.azure_batch import (
    BATCH_CONTENT_TYPE,
    Part,
    decode_batch,
    encode_batch,
    failed_index,
    key_path,
)
from emulator.storage.ports import ETag, RowKey, Write, WriteKind
from emulator.storage.rules import TRANSACTION_BYTES_MAX

ANSWER_TYPE = "multipart/mixed; boundary=batchresponse_b"
DONE = 'HTTP/1.1 204 No Content\r\nETag: W/"{tag}"\r\nDataServiceVersion: 3.0;\r\n\r\n\r\n'


def leaf(text: str) -> str:
    return f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{text}"


def answer(*leaves: str, quote: str = "") -> bytes:
    changes = "".join(f"--changesetresponse_c\r\n{each}\r\n" for each in leaves)
    return (
        "--batchresponse_b\r\n"
        f"Content-Type: multipart/mixed; boundary={quote}changesetresponse_c{quote}\r\n\r\n"
        f"{changes}--changesetresponse_c--\r\n--batchresponse_b--\r\n"
    ).encode()


def refusal(message: str, status: str = "409 Conflict", code: str = "EntityAlreadyExists") -> str:
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "x", "value": message}}})
    return leaf(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n{body}\r\n")


WHOLE = answer(leaf(DONE.format(tag="1")), leaf(DONE.format(tag="2")))


@pytest.mark.parametrize(("rows", "is_ascii"), [(2, True), (40, False)])
def test_a_batch_is_ascii_unless_it_would_be_too_large(rows: int, *, is_ascii: bool) -> None:
    columns = {"text": "\u00e9" * 20_000}
    keys = [RowKey(partition="p", row=str(number)) for number in range(rows)]
    writes = [Write(kind=WriteKind.INSERT, key=key, columns=columns) for key in keys]
    body = encode_batch("http://host/acc", "Rows", writes)
    assert body.isascii() is is_ascii
    assert len(body) <= TRANSACTION_BYTES_MAX


def test_a_batch_is_the_multipart_message_that_a_mail_reader_reads() -> None:
    writes = [
        Write(kind=WriteKind.INSERT, key=RowKey(partition="p", row="a"), columns={"n": 1}),
        Write(kind=WriteKind.UPSERT_MERGE, key=RowKey(partition="p", row="b'\u00e9")),
        Write(kind=WriteKind.REPLACE, key=RowKey(partition="p", row="c"), etag=ETag('W/"7"')),
        Write(kind=WriteKind.DELETE, key=RowKey(partition="p", row="d")),
    ]
    body = encode_batch("http://host/acc", "Rows", writes)
    outer = email.message_from_bytes(
        b"Content-Type: " + BATCH_CONTENT_TYPE.encode() + b"\r\n\r\n" + body
    )
    [changeset] = outer.get_payload()
    requests = [part.get_payload(decode=True).decode() for part in changeset.get_payload()]
    requests = [request.replace("\r\n", "\n") for request in requests]
    assert [request.partition("\n")[0] for request in requests] == [
        "POST http://host/acc/Rows HTTP/1.1",
        "PATCH http://host/acc/Rows(PartitionKey='p',RowKey='b%27%27%C3%A9') HTTP/1.1",
        "PUT http://host/acc/Rows(PartitionKey='p',RowKey='c') HTTP/1.1",
        "DELETE http://host/acc/Rows(PartitionKey='p',RowKey='d') HTTP/1.1",
    ]
    assert [re.findall(r"If-Match: (.*)", request) for request in requests] == [
        [],
        [],
        ['W/"7"'],
        ["*"],
    ]
    lengths = [int(re.findall(r"Content-Length: (\d+)", request)[0]) for request in requests]
    bodies = [request.partition("\n\n")[2] for request in requests]
    assert lengths == [len(text.encode()) for text in bodies]
    assert json.loads(bodies[0]) == {"PartitionKey": "p", "RowKey": "a", "n": 1}


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_answers_come_in_order(quote: str) -> None:
    body = answer(leaf(DONE.format(tag="1")), leaf(DONE.format(tag="2")), quote=quote)
    parts = decode_batch(ANSWER_TYPE, body)
    assert [(part.status, part.headers["etag"]) for part in parts] == [
        (204, 'W/"1"'),
        (204, 'W/"2"'),
    ]


def test_an_answer_without_a_changeset_is_read_too() -> None:
    body = f"--batchresponse_b\r\n{refusal('99:no')}\r\n--batchresponse_b--".encode()
    [part] = decode_batch(ANSWER_TYPE, body)
    assert (part.status, failed_index(part, 100)) == (409, 99)


@pytest.mark.parametrize(
    ("message", "count", "index"),
    [
        ("0:The entity exists.\nRequestId:1", 1, 0),
        ("99:x", 100, 99),
        ("100:x", 100, None),
        ("x:y", 100, None),
        ("The batch is too old", 100, None),
        ("", 100, None),
    ],
)
def test_a_refusal_says_which_write(message: str, count: int, index: int | None) -> None:
    [part] = decode_batch(ANSWER_TYPE, answer(refusal(message)))
    assert failed_index(part, count) == index


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"{}", b'{"odata.error":{"message":"1:x"}}', b"\xff", b"7"]
)
def test_a_refusal_without_a_readable_message_says_no_place(body: bytes) -> None:
    assert failed_index(Part(status=409, body=body), 5) is None


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", WHOLE),
        ("application/json", WHOLE),
        ("multipart/mixed; boundary=other", WHOLE),
        (ANSWER_TYPE, b""),
        (ANSWER_TYPE, b"<html>a proxy's page</html>"),
        (ANSWER_TYPE, WHOLE[:-10]),
        (ANSWER_TYPE, WHOLE[: len(WHOLE) // 2]),
        (ANSWER_TYPE, WHOLE.replace(b"--changesetresponse_c--\r\n", b"")),
        (ANSWER_TYPE, WHOLE.replace(b"HTTP/1.1 204", b"204")),
        (ANSWER_TYPE, WHOLE.replace(b"HTTP/1.1 204", b"HTTP/1.1 abc")),
        (ANSWER_TYPE, WHOLE.replace(b"application/http", b"text/plain")),
        (ANSWER_TYPE, WHOLE.replace(b"application/http", b"multipart/mixed; boundary=x")),
        (ANSWER_TYPE, WHOLE.replace(b"\r\n\r\n", b"\r\n")),
    ],
)
def test_a_malformed_answer_is_said_to_be_one(content_type: str, body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_batch(content_type, body)


def test_no_cut_of_an_answer_passes_for_the_whole() -> None:
    for end in range(len(WHOLE) - len("--\r\n")):
        with pytest.raises(DecodeError):
            decode_batch(ANSWER_TYPE, WHOLE[:end])


def test_a_key_is_quoted_for_the_service_and_for_the_address() -> None:
    path = key_path("Rows", RowKey(partition="it's %/?#", row="\ud800"))
    assert path == "/Rows(PartitionKey='it%27%27s%20%25%2F%3F%23',RowKey='%3F')"
