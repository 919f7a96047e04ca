"""What a hub must be so that the real product can go on with it, looked up row by row and message by message.

Works on a hub as a stage file shows it, so that the recordings of the real product can be held against it too.
Source: azure-storage-provider.md, section 14 of the reference, and the sections that it sums up.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final
from urllib.parse import quote

from emulator.wire.event_table import BY_NAME, EventSpec, Kind
from emulator.wire.keys import SENTINEL, history_row_key
from emulator.wire.names import HubNames
from tests.support.message_checklist import EXECUTION_ID, envelope_breaches, message_breaches

Json = dict[str, Any]
_EDM: Final = {Kind.NUMBER: "Edm.Int32", Kind.FLAG: "Edm.Boolean", Kind.TIME: "Edm.DateTime"}
_CELLS_OF_JSON: Final = {Kind.TAGS, Kind.INSTANCE, Kind.PARENT, Kind.TRACE, Kind.FAILURE}
_RECEIVED: Final = {
    "ExecutionStarted", "TaskCompleted", "TaskFailed", "SubOrchestrationInstanceCompleted",
    "SubOrchestrationInstanceFailed", "TimerFired", "EventRaised", "ExecutionTerminated",
    "ExecutionSuspended", "ExecutionResumed",
}  # fmt: skip
_ASKED_FOR: Final = {
    "TaskScheduled", "SubOrchestrationInstanceCreated", "TimerCreated", "EventSent",
    "ExecutionCompleted",
}  # fmt: skip
_ANSWERS: Final = {
    "TaskCompleted": "TaskScheduledId", "TaskFailed": "TaskScheduledId", "TimerFired": "TimerId",
    "SubOrchestrationInstanceCompleted": "TaskScheduledId",
    "SubOrchestrationInstanceFailed": "TaskScheduledId",
}  # fmt: skip
_WITHOUT_INPUT: Final = {"TaskScheduled", "SubOrchestrationInstanceCreated"}
_STATUSES: Final = {"Pending", "Running", "Completed", "Failed", "Terminated", "Suspended"}
_OVER: Final = {"Completed", "Failed", "Terminated"}
_COLUMNS: Final = {
    "Name": "Edm.String", "Version": "Edm.String", "ExecutionId": "Edm.String",
    "CreatedTime": "Edm.DateTime", "LastUpdatedTime": "Edm.DateTime",
    "CompletedTime": "Edm.DateTime", "ScheduledStartTime": "Edm.DateTime",
    "RuntimeStatus": "Edm.String", "CustomStatus": "Edm.String", "Input": "Edm.String",
    "Output": "Edm.String", "Generation": "Edm.Int32", "Tags": "Edm.String",
    "TaskHubName": "Edm.String", "InputBlobName": "Edm.String",
}  # fmt: skip
_SENTINEL: Final = {
    "ExecutionId": "Edm.String", "IsCheckpointComplete": "Edm.Boolean",
    "CheckpointCompletedTimestamp": "Edm.DateTime", "HandledEvents": "Edm.String",
}  # fmt: skip
"""The last one is of our own; whoever does not know a column passes over it."""
_LEASE: Final = {
    "CurrentOwner": "Edm.String", "NextOwner": "Edm.String", "OwnedSince": "Edm.DateTime",
    "LastRenewal": "Edm.DateTime", "ExpiresAt": "Edm.DateTime", "IsDraining": "Edm.Boolean",
}  # fmt: skip
_PAYLOAD: Final = re.compile(
    r".+/(message-[0-9a-f]{32}-\w+|history-([0-9A-F]{16})?-\w+-[0-9A-F]{8}-\w+)\.json\.gz"
)


def breaches(hub: Json, partition_count: int = 4, *, at_rest: bool = True) -> list[str]:
    """Everything in a hub that another implementation would stumble over.

    Args:
        hub: as a stage file has it.
        at_rest: False for a hub in which someone works: rows of instances may lag behind their history.
    """
    return [*_Hub(hub, partition_count, at_rest=at_rest).breaches()]


class _Hub:
    def __init__(self, hub: Json, partition_count: int, *, at_rest: bool) -> None:
        [instances] = [name for name in hub["tables"] if name.endswith("Instances")]
        self.names = HubNames(instances.removesuffix("Instances"))
        self._hub = hub
        self._count = partition_count
        self._at_rest = at_rest
        self._payloads = hub["blobs"].get(self.names.large_messages, {})
        self._histories: dict[str, list[Json]] = {}
        for row in hub["tables"].get(self.names.history, []):
            self._histories.setdefault(_text(row, "PartitionKey"), []).append(row)

    def breaches(self) -> Iterator[str]:
        yield from self._names()
        yield from self._leases()
        for queue, content in self._hub["queues"].items():
            for message in content["visible"]:
                found = message_breaches(message["MessageText"], queue, self.names, self._count)
                yield from _said(queue, found)
        for key, rows in self._histories.items():
            yield from _said(f"history of {key}", self._history(rows))
        for row in self._hub["tables"][self.names.instances]:
            yield from _said(f"row of {_text(row, 'PartitionKey')}", self._instance(row))
        named = json.dumps([self._hub["tables"], self._hub["queues"]], ensure_ascii=False)
        for name, blob in self._payloads.items():
            if quote(name) in named or name in named:
                yield from _said(f"blob {name}", _payload(name, blob))
            elif not _PAYLOAD.fullmatch(name):
                yield f"blob {name}: its name is not one of a payload"

    # --- the hub's parts ---

    def _names(self) -> Iterator[str]:
        names = self.names
        queues = {names.work_items, *map(names.control_queue, range(self._count))}
        if missing := queues - set(self._hub["queues"]):
            yield f"queues are missing: {missing}"
        tables = {names.history, names.instances}
        if missing := tables - set(self._hub["tables"]):
            yield f"tables are missing: {missing}"
        info = self._hub["blobs"].get(names.app_lease, {}).get(names.app_lease_info)
        if info is None or not isinstance(json.loads(info["text"]), dict):
            yield "the blob of the app lease is missing, or no JSON object"

    def _leases(self) -> Iterator[str]:
        yield from self._lease_blobs()
        rows = self._hub["tables"].get(self.names.partitions)
        if rows is None:
            return
        wanted = [self.names.control_queue(index) for index in range(self._count)]
        if [_text(row, "RowKey") for row in rows] != wanted:
            yield "the table of leases lacks rows"
        for row in rows:
            yield from _said(f"lease {_text(row, 'RowKey')}", _typed(row, _LEASE))
            if "IsDraining" not in row or _text(row, "PartitionKey"):
                yield "a lease needs IsDraining, and an empty PartitionKey"

    def _lease_blobs(self) -> Iterator[str]:
        """Of a hub whose queues are dealt out by blobs."""
        blobs = self._hub["blobs"].get(self.names.leases)
        if blobs is None:
            return
        queues = [self.names.control_queue(index) for index in range(self._count)]
        wanted = {
            f"{folder}/{queue}": queue for folder in ("intent", "ownership") for queue in queues
        }
        if set(blobs) != {"taskhub.json", *wanted}:
            yield "the container of leases has other blobs than it should"
            return
        info = json.loads(blobs["taskhub.json"]["text"])
        if [info["TaskHubName"], info["PartitionCount"]] != [self.names.hub, self._count]:
            yield f"taskhub.json says {info}"
        for name, queue in wanted.items():
            lease = json.loads(blobs[name]["text"])
            if [*lease] != ["PartitionId", "Owner", "Token", "Epoch"]:
                yield f"lease {name} has other members than it should"
            elif lease["PartitionId"] != queue or bool(lease["Owner"]) != bool(lease["Token"]):
                yield f"lease {name} is of another queue, or of nobody under a token: {lease}"

    # --- history ---

    def _history(self, rows: Sequence[Json]) -> Iterator[str]:
        if _text(rows[-1], "RowKey") != SENTINEL:
            yield "it has no sentinel at its end"
            return
        sentinel = rows[-1]
        execution = _text(sentinel, "ExecutionId")
        yield from _typed(sentinel, _SENTINEL)
        if self._at_rest and not sentinel["IsCheckpointComplete"]["value"]:
            yield "its last checkpoint is not complete"
        if not EXECUTION_ID.fullmatch(execution):
            yield f"its execution id is {execution}"
        current = [*takewhile(lambda row: _text(row, "ExecutionId") == execution, rows[:-1])]
        if [_text(row, "RowKey") for row in current] != [
            *map(history_row_key, range(len(current)))
        ]:
            yield "its ordinals have gaps"
        for row in current:
            yield from _said(_text(row, "RowKey"), self._event(row))
        is_entity = _text(sentinel, "PartitionKey").startswith("@")
        yield from (_entity if is_entity else _order)(current)

    def _event(self, row: Json) -> Iterator[str]:
        name = _text(row, "EventType")
        spec = BY_NAME[name]
        if _text(row, "Reason").startswith("Rewound: "):
            return
        inner = row["EventId"]["value"]
        if (inner >= 0) != (name in _ASKED_FOR):
            yield f"{name} has the id {inner}"
        if name in _RECEIVED and not row["IsPlayed"]["value"]:
            yield f"{name} was received and is not marked as played"
        if name in _ASKED_FOR and row["IsPlayed"]["value"]:
            yield f"{name} was asked for and is marked as played"
        if name in _WITHOUT_INPUT and "Input" in row:
            yield f"{name} shows its input"
        yield from _typed(row, {**_row_types(spec), **dict(_TAIL)})
        for member in (*spec.before, *spec.members):
            if member.kind in _CELLS_OF_JSON:
                yield from _json_cell(row, member.name)
        for column, cell in row.items():
            if column.endswith("BlobName"):
                yield from self._offloaded(row, column.removesuffix("BlobName"), cell["value"])

    def _offloaded(self, row: Json, column: str, blob: str) -> Iterator[str]:
        if _text(row, column):
            yield f"{column} holds a text beside its blob"
        if blob not in self._payloads:
            yield f"{column} names a blob that does not exist: {blob}"

    # --- instances ---

    def _instance(self, row: Json) -> Iterator[str]:
        status = _text(row, "RuntimeStatus")
        yield from _typed(row, _COLUMNS)
        if status not in _STATUSES:
            yield f"its status is {status}"
        if _text(row, "RowKey") or _text(row, "TaskHubName") != self.names.hub:
            yield "it needs an empty RowKey, and the hub's name"
        yield from _json_cell(row, "Tags")
        for column in ("Input", "Output"):
            mark = f"/{self.names.large_messages}/"
            _, found, blob = _text(row, column).partition(mark)
            if found and blob not in self._payloads:
                yield f"{column} points to no blob"
        rows = self._histories.get(_text(row, "PartitionKey"))
        if rows and self._at_rest and _text(rows[-1], "RowKey") == SENTINEL:
            yield from self._agreement(row, rows, status)

    def _agreement(self, row: Json, rows: Sequence[Json], status: str) -> Iterator[str]:
        execution = _text(rows[-1], "ExecutionId")
        if _text(row, "ExecutionId") != execution:
            return
        current = [r for r in rows if _text(r, "ExecutionId") == execution and "EventType" in r]
        ended = any(_text(r, "EventType") == "ExecutionCompleted" for r in current)
        if ended != (status in _OVER):
            yield f"its status is {status}, and its history {'has' if ended else 'has not'} ended"
        if (status in _OVER) != ("CompletedTime" in row) and status != "Pending":
            yield f"it is {status}, and its CompletedTime says otherwise"
        if "CustomStatus" not in row:
            yield "it has no CustomStatus, not even the text null"
        if _text(row, "PartitionKey").startswith("@"):
            return
        has_parent = any(_text(r, "ParentInstance") not in ("", "null") for r in current)
        if has_parent == ("Generation" in row):
            yield "Generation belongs to what a client started, and to nothing else"


_TAIL: Final = (
    ("EventId", "Edm.Int32"), ("EventType", "Edm.String"), ("IsPlayed", "Edm.Boolean"),
    ("_Timestamp", "Edm.DateTime"), ("ExecutionId", "Edm.String"),
)  # fmt: skip


def _row_types(spec: EventSpec) -> dict[str, str]:
    members = (*spec.before, *spec.members)
    types = {member.name: _EDM.get(member.kind, "Edm.String") for member in members}
    blobs = {f"{name}BlobName": "Edm.String" for name in types}
    return {**types, **blobs}


def _typed(row: Json, types: Mapping[str, str]) -> Iterator[str]:
    for name, cell in row.items():
        if name in ("PartitionKey", "RowKey", "Timestamp") or name.startswith("odata."):
            continue
        if types.get(name) != cell["type"]:
            yield f"the column {name} is {cell['type']}, not {types.get(name, 'there')}"


def _json_cell(row: Json, name: str) -> Iterator[str]:
    text = _text(row, name)
    if not text or ('"$type"' in text):
        yield f"{name} must be JSON without $type, or the text null: {text!r}"
    else:
        json.loads(text)


def _order(rows: Sequence[Json]) -> Iterator[str]:
    """Episodes that begin and end, one counter of task ids, answers to what was asked for."""
    names = [_text(row, "EventType") for row in rows]
    if names[0] != "OrchestratorStarted" or names[-1] != "OrchestratorCompleted":
        yield "it does not begin and end with an episode"
    ids = [row["EventId"]["value"] for row in rows if row["EventId"]["value"] >= 0]
    if sorted(set(ids)) != [*range(len(set(ids)))]:
        yield f"its task ids are {ids}"
    asked: set[int] = set()
    for row, name in zip(rows, names, strict=True):
        asked.add(row["EventId"]["value"])
        if name in _ANSWERS and row[_ANSWERS[name]]["value"] not in asked:
            yield f"{name} answers {row[_ANSWERS[name]]['value']}, which nobody asked for"


def _entity(rows: Sequence[Json]) -> Iterator[str]:
    """Three rows, the state in the second of them."""
    names = [_text(row, "EventType") for row in rows]
    if names != ["OrchestratorStarted", "ExecutionStarted", "OrchestratorCompleted"]:
        yield f"the rows of an entity are {names}"
        return
    state = json.loads(_text(rows[1], "Input"))
    if "sorter" not in state or ("state" in state) != (state.get("exists") is True):
        yield f"its state is {state}"


def _payload(name: str, blob: Json) -> Iterator[str]:
    """Only of those that something names: one that nobody names may be half written."""
    if not _PAYLOAD.fullmatch(name):
        yield "its name is not one of a payload"
    try:
        text = gzip.decompress(base64.b64decode(blob["base64"])).decode()
    except (KeyError, OSError, EOFError, UnicodeDecodeError):
        yield "it is not gzip of UTF-8"
        return
    if "/message-" in name:
        yield from envelope_breaches(json.loads(text))


def _said(where: str, found: Iterator[str]) -> Iterator[str]:
    for text in found:
        yield f"{where}: {text}"


def _text(row: Json, name: str) -> str:
    return str(row[name]["value"]) if name in row else ""
