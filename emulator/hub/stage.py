"""A hub as one JSON file, in the form of the recordings of the real product (NN-STAGE.json).

`queues`: visible messages and the approximate count; `tables`: every column with its EDM type; `blobs`: headers and
content, as text where it is text. Written piece by piece, read at once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final, TextIO, cast

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.errors import ConfigError, DecodeError
from emulator.hub.image import BlobImage, HubImage, QueueImage
from emulator.storage.ports import (
    Blob,
    ETag,
    Int64,
    MessageHandle,
    QueueMessage,
    Row,
    RowKey,
    Value,
)
from emulator.wire.names import HubNames

_NEVER: Final = "Fri, 31 Dec 9999 23:59:59 GMT"
_INSTANCES: Final = "Instances"
_KEYS: Final = ("PartitionKey", "RowKey", "Timestamp")
Json = dict[str, Any]


# --- writing ------------------------------------------------------------------------------------------------------


async def write_stage(
    image: HubImage, file: TextIO, *, scenario: str, stage: str, progress: Callable[[int], None]
) -> int:
    """Write an image; how many messages could not be read.

    Args:
        progress: told of the number of things written so far.
    """
    writer = _Writer(file, progress)
    head = {"scenario": scenario, "stage": stage, "transcript_lines_before": 0}
    file.write(json.dumps(head, ensure_ascii=False)[:-1])
    unseen = 0
    writer.open("queues")
    for name in image.queues():
        queue = await image.queue(name)
        unseen += queue.unseen
        writer.member(name, _queue_object(queue))
    writer.close("}")
    writer.open("tables")
    for table in image.tables():
        writer.open(table, "[")
        async for row in image.rows(table):
            writer.item(row_object(row))
        writer.close("]")
    writer.close("}")
    writer.open("blobs")
    for container in image.containers():
        writer.open(container)
        async for item in image.blobs(container):
            writer.member(item.name, _blob_object(item.blob))
        writer.close("}")
    writer.close("}")
    file.write("}\n")
    return unseen


class _Writer:
    """JSON, one member at a time."""

    def __init__(self, file: TextIO, progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress
        self._count = 0
        self._is_first = [False]

    def open(self, name: str, bracket: str = "{") -> None:
        """Begin an object or array as a member."""
        self._separate()
        self._file.write(f"{json.dumps(name, ensure_ascii=False)}: {bracket}")
        self._is_first.append(True)

    def close(self, bracket: str) -> None:
        """End what was begun last."""
        self._is_first.pop()
        self._file.write(bracket)

    def member(self, name: str, value: object) -> None:
        """A whole member."""
        self._separate()
        text = json.dumps(value, ensure_ascii=False)
        self._file.write(f"{json.dumps(name, ensure_ascii=False)}: {text}")
        self._counted()

    def item(self, value: object) -> None:
        """A whole item of an array."""
        self._separate()
        self._file.write(json.dumps(value, ensure_ascii=False))
        self._counted()

    def _separate(self) -> None:
        if not self._is_first[-1]:
            self._file.write(", ")
        self._is_first[-1] = False

    def _counted(self) -> None:
        self._count += 1
        self._progress(self._count)


def _queue_object(queue: QueueImage) -> Json:
    return {
        "approximate_count": queue.count,
        "visible": [
            {
                "MessageId": message.handle.message_id,
                "InsertionTime": format_datetime(message.inserted_at.to_datetime(), usegmt=True),
                "ExpirationTime": _NEVER,
                "DequeueCount": str(message.dequeue_count),
                "MessageText": message.text,
            }
            for message in queue.messages
        ],
    }


def row_object(row: Row) -> Json:
    """A row with its ETag, keys first and the service's time last."""
    return {
        "odata.etag": row.etag,
        "PartitionKey": _cell(row.key.partition),
        "RowKey": _cell(row.key.row),
        **{name: _cell(value) for name, value in row.columns.items()},
        "Timestamp": _cell(row.timestamp),
    }


def _cell(value: Value) -> Json:
    match value:
        case bool():
            return {"type": "Edm.Boolean", "value": value}
        case Instant():
            return {"type": "Edm.DateTime", "value": value.text7()}
        case Int64():
            return {"type": "Edm.Int64", "value": str(int(value))}
        case int():
            return {"type": "Edm.Int32", "value": value}
        case float():
            return {"type": "Edm.Double", "value": value}
        case bytes():
            return {"type": "Edm.Binary", "value": base64.b64encode(value).decode()}
        case str():
            return {"type": "Edm.String", "value": value}


def _blob_object(blob: Blob) -> Json:
    headers = {
        "content-length": str(len(blob.content)),
        "content-type": "application/octet-stream",
        "etag": blob.etag,
        "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-state": "leased" if blob.leased else "available",
        "x-ms-lease-status": "locked" if blob.leased else "unlocked",
    }
    try:
        return {"headers": headers, "text": blob.content.decode()}
    except UnicodeDecodeError:
        return {"headers": headers, "base64": base64.b64encode(blob.content).decode()}


# --- reading ------------------------------------------------------------------------------------------------------


class StageImage:
    """A file of that form (hub.image.HubImage)."""

    def __init__(self, text: str, where: str) -> None:
        """Parse a file.

        Args:
            where: its name, for messages.

        Raises:
            ConfigError: it is no such file.
        """
        self._where = where
        try:
            content: object = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is no JSON: {error}") from error
        members = _mapping(content, where)
        self._queues = _mapping(members.get("queues"), f"{where}: queues")
        self._tables = _mapping(members.get("tables"), f"{where}: tables")
        self._blobs = _mapping(members.get("blobs"), f"{where}: blobs")
        instances = [name for name in self._tables if name.endswith(_INSTANCES)]
        if len(instances) != 1:
            raise ConfigError(
                f"{where} shows {len(instances)} task hubs; it must have the tables of exactly one"
            )
        self.names = HubNames(instances[0].removesuffix(_INSTANCES))

    def tables(self) -> Sequence[str]:
        """See HubImage."""
        return tuple(self._tables)

    async def rows(self, table: str) -> AsyncIterator[Row]:
        """See HubImage."""
        for row in self._reading(table, self._tables[table], _row):
            yield row

    def containers(self) -> Sequence[str]:
        """See HubImage."""
        return tuple(self._blobs)

    async def blobs(self, container: str) -> AsyncIterator[BlobImage]:
        """See HubImage."""
        items = _mapping(self._blobs[container], f"{self._where}: {container}").items()
        for name, blob in items:
            for content in self._reading(f"{container}/{name}", [blob], _content):
                image = Blob(content=content, etag=ETag(""))
                yield BlobImage(container=container, name=name, blob=image)

    def queues(self) -> Sequence[str]:
        """See HubImage."""
        return tuple(self._queues)

    async def queue(self, name: str) -> QueueImage:
        """See HubImage."""
        members = _mapping(self._queues[name], f"{self._where}: {name}")
        messages = tuple(self._reading(name, members.get("visible"), _message))
        count = members.get("approximate_count")
        return QueueImage(
            name=name,
            count=count if isinstance(count, int) else len(messages),
            messages=messages,
        )

    def _reading(self, what: str, items: object, read: Callable[[Json], Any]) -> Iterator[Any]:
        if not isinstance(items, list):
            raise ConfigError(f"{self._where}: {what} holds no list")
        for index, item in enumerate(cast("list[Json]", items)):
            try:
                yield read(item)
            except (KeyError, TypeError, ValueError, AttributeError, DecodeError) as error:
                raise ConfigError(
                    f"{self._where}: item {index} of {what} cannot be read: {error!r}"
                ) from error


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(
            f"{where} is no JSON object; expected a file that `durable hub export` wrote"
        )
    return cast("Mapping[str, Any]", value)


def _row(item: Json) -> Row:
    stamp = item.get("Timestamp")
    return Row(
        key=RowKey(partition=item["PartitionKey"]["value"], row=item["RowKey"]["value"]),
        etag=ETag(str(item.get("odata.etag", ""))),
        timestamp=Instant.parse(stamp["value"]) if stamp else MIN_INSTANT,
        columns={
            name: _value(cell)
            for name, cell in item.items()
            if name not in _KEYS and not name.startswith("odata.")
        },
    )


def _value(cell: Json) -> Value:
    value = cell["value"]
    match cell["type"]:
        case "Edm.DateTime":
            return Instant.parse(value)
        case "Edm.Int64":
            return Int64(value)
        case "Edm.Double":
            return float(value)
        case "Edm.Binary":
            return base64.b64decode(value)
        case _:
            return cast("Value", value)


def _content(item: Json) -> bytes:
    return item["text"].encode() if "text" in item else base64.b64decode(item["base64"])


def _message(item: Json) -> QueueMessage:
    moment = item.get("InsertionTime")
    inserted = parsedate_to_datetime(moment) if moment else datetime(1, 1, 1, tzinfo=UTC)
    handle = MessageHandle(
        message_id=item["MessageId"], pop_receipt="", next_visible_at=MIN_INSTANT
    )
    return QueueMessage(
        handle=handle,
        text=item["MessageText"],
        inserted_at=Instant.from_datetime(inserted),
        dequeue_count=int(item.get("DequeueCount", 0)),
    )
