"""The recorded calls of the storage scenarios that changed the store, and whose they were."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from emulator.core.events import ExecutionStarted, GenericEvent
from emulator.core.instant import Instant
from emulator.storage.ports import RowKey
from emulator.wire.queue_message import Envelope, decode_message
from emulator.wire.spill import unpack
from tests import vectors

_OPERATION = re.compile(
    r"\r\n(POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n(\{[^\r\n]*\}|)", re.DOTALL
)
_KEY = re.compile(r"PartitionKey='(.*)',RowKey='(.*)'\)")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change of a row, alone or out of a batch."""

    table: str
    method: str
    key: RowKey
    columns: Json
    is_alone: bool


@dataclass(frozen=True, eq=False)
class Call:
    """A recorded call that changed the store."""

    number: int
    """Its line in the transcript, from 0."""
    members: Json

    @property
    def at_s(self) -> float:
        """Seconds since the first call."""
        return self.members["at_ms"] / 1000

    @property
    def service(self) -> str:
        return self.members["service"]

    @property
    def method(self) -> str:
        return self.members["method"]

    @cached_property
    def path(self) -> str:
        """Without the account, decoded."""
        return unquote(urlsplit(self.members["url"]).path).split("/", 2)[2]

    @cached_property
    def query(self) -> Mapping[str, str]:
        query = parse_qs(urlsplit(self.members["url"]).query, keep_blank_values=True)
        return {name: values[0] for name, values in query.items()}

    @property
    def content(self) -> bytes:
        """The body."""
        body = self.members["body"]
        return base64.b64decode(body["base64"]) if isinstance(body, dict) else (body or "").encode()

    @cached_property
    def rows(self) -> tuple[RowChange, ...]:
        """What it changed in tables."""
        if self.service != "table" or self.path.startswith("Tables"):
            return ()
        if self.path != "$batch":
            return (_change(self.method, self.members["url"], self.members["body"], alone=True),)
        found = _OPERATION.findall(self.members["body"])
        return tuple(_change(method, url, text, alone=False) for method, url, _, text in found)

    @cached_property
    def text(self) -> str | None:
        """Of the message that it put."""
        is_put = self.service == "queue" and self.method == "POST"
        return _xml(self.members["body"]).findtext("MessageText") if is_put else None

    @cached_property
    def replied(self) -> list[ElementTree.Element]:
        """The messages in its reply."""
        reply = self.members["reply"]
        return list(_xml(reply)) if self.service == "queue" and reply else []


def _change(method: str, url: str, text: str | None, *, alone: bool) -> RowChange:
    path = unquote(urlsplit(url).path.split("/", 2)[2])
    columns: Json = json.loads(text) if text else {}
    found = _KEY.search(path)
    partition, row = found.groups() if found else (columns["PartitionKey"], columns["RowKey"])
    if found:
        partition, row = partition.replace("''", "'"), row.replace("''", "'")
    return RowChange(
        table=path.partition("(")[0],
        method=method,
        key=RowKey(partition=partition, row=row),
        columns=columns,
        is_alone=alone,
    )


def _xml(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.removeprefix("\ufeff"))


def _changes(call: Call) -> bool:
    members = call.members
    if members["status"] >= 300 or "\r\nHTTP/1.1 4" in str(members["reply"]):
        return False
    if call.service == "queue" and call.method == "GET":
        return bool(call.replied) and call.path.endswith("/messages")
    is_lease = call.query.get("comp") == "lease"
    return call.method not in ("GET", "HEAD") and not is_lease


@cache
def calls(scenario: str) -> tuple[Call, ...]:
    """Every call of a scenario that changed the store, in order."""
    lines = vectors.transcript(scenario)
    found = (Call(number, members) for number, members in enumerate(lines))
    return tuple(call for call in found if _changes(call))


@cache
def beginning(scenario: str) -> Instant:
    """When the first call of a scenario was made."""
    for call in calls(scenario):
        for change in call.rows:
            if change.table.endswith("Instances"):
                written_at = Instant.parse(change.columns["LastUpdatedTime"])
                return Instant(written_at - round(call.at_s * 10_000_000))
    raise AssertionError(f"{scenario} starts nothing")


# --- whose call it was --------------------------------------------------------------------------------------------


class Blocks:
    """Blobs that are written piece by piece: what each consists of so far."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, str], bytes] = {}

    def written(self, call: Call) -> bytes | None:
        """The blob's content after an upload; None if a block is only laid ready."""
        part = call.query.get("comp")
        if part == "block":
            self._pieces[call.path, call.query["blockid"]] = call.content
            return None
        if part == "blocklist":
            names = [block.text or "" for block in _xml(call.members["body"])]
            return b"".join(self._pieces[call.path, name] for name in names)
        return call.content


@cache
def _payloads(scenario: str) -> dict[str, str]:
    """Messages too long for their queue, by the name of the blob."""
    blocks, contents = Blocks(), dict[str, bytes]()
    for call in calls(scenario):
        if call.service == "blob" and call.method == "PUT" and call.path.endswith(".json.gz"):
            content = blocks.written(call)
            if content:
                contents[call.path.partition("/")[2]] = content
    return {name: unpack(content) for name, content in contents.items()}


def envelope(scenario: str, call: Call) -> Envelope | None:
    """The message that a call put, wherever it lies."""
    if call.text is None:
        return None
    found = decode_message(call.text)
    if isinstance(found, Envelope):
        return found
    whole = decode_message(_payloads(scenario)[found.blob_name])
    assert isinstance(whole, Envelope)
    return whole


@cache
def of_clients(scenario: str) -> tuple[Call, ...]:
    """The calls that no worker made: messages without a sender, rows of starts, rewinds and purges."""
    blobs = {
        change.columns["InputBlobName"]
        for call in calls(scenario)
        for change in call.rows
        if "InputBlobName" in change.columns
    }
    blobs |= {
        decode_message(call.text).blob_name  # type: ignore[union-attr]
        for call in calls(scenario)
        if call.text is not None
        and _is_clients_message(scenario, call)
        and not isinstance(decode_message(call.text), Envelope)
    }
    return tuple(
        call
        for call in calls(scenario)
        if _is_clients_message(scenario, call)
        or any(map(_is_clients_row, call.rows))
        or (call.service == "blob" and _is_clients_blob(call, blobs))
    )


def _is_clients_message(scenario: str, call: Call) -> bool:
    found = envelope(scenario, call)
    return found is not None and (found.sender is None or not found.sender.instance_id)


def _is_clients_row(change: RowChange) -> bool:
    if change.table.endswith("Instances"):
        status = change.columns.get("RuntimeStatus")
        return change.method != "PATCH" or (status == "Pending" and len(change.columns) < 8)
    is_history = change.table.endswith("History")
    return is_history and (
        change.method == "DELETE" or (change.is_alone and change.method == "PUT")
    )


def _is_clients_blob(call: Call, blobs: set[str]) -> bool:
    container, _, name = call.path.partition("/")
    is_container = not name and container.endswith("largemessages")
    return is_container or call.method == "DELETE" or name in blobs


def begins_start(scenario: str, call: Call) -> bool:
    """Whether its client goes on at once: to the message after a payload, to the row after a start's message."""
    found = envelope(scenario, call)
    is_blob = call.service == "blob" and call.method == "PUT"
    return is_blob or (found is not None and isinstance(found.task_message.event, ExecutionStarted))


def rewind_reason(scenario: str, call: Call) -> str | None:
    """If it ends a rewind: why it was done."""
    found = envelope(scenario, call)
    event = None if found is None else found.task_message.event
    return event.data if isinstance(event, GenericEvent) else None
