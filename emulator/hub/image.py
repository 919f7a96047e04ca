"""All that a task hub consists of, as plain values: what an export writes, an import reads and a copy carries.

An image has names as they are in the hub it comes from; Renaming gives those in the hub it goes to. Messages that
someone holds or that are not due yet cannot be read from a queue by anyone, so an image lacks them; it says how many.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from emulator.errors import DecodeError, NotFoundError
from emulator.hub.task_hub import TaskHub
from emulator.storage.pages import all_blobs, all_rows
from emulator.storage.ports import (
    RECEIVE_COUNT_MAX,
    Blob,
    QueueMessage,
    QueuePort,
    Row,
    Storage,
    Value,
)
from emulator.wire.lease import (
    decode_blob_lease,
    decode_hub_info,
    encode_blob_lease,
    encode_hub_info,
)
from emulator.wire.names import HubNames
from emulator.wire.spill import looks_like_url

HOLD_S: Final = 60
"""For how long messages are hidden from others while more than a peek can show are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueImage:
    """Visible messages of a queue, oldest first, and how many there are in all."""

    name: str
    count: int
    messages: tuple[QueueMessage, ...]

    @property
    def unseen(self) -> int:
        """Messages that exist and could not be read."""
        return max(0, self.count - len(self.messages))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobImage:
    """A blob with where it lies."""

    container: str
    name: str
    blob: Blob


class HubImage(Protocol):
    """A hub to read from: a live one, or a file."""

    @property
    def names(self) -> HubNames:
        """Of the hub that it shows."""
        ...

    def tables(self) -> Sequence[str]:
        """Names of its tables."""
        ...

    def rows(self, table: str) -> AsyncIterator[Row]:
        """Rows of a table, in order of their keys."""
        ...

    def containers(self) -> Sequence[str]:
        """Names of its containers."""
        ...

    def blobs(self, container: str) -> AsyncIterator[BlobImage]:
        """Blobs of a container, in order of name."""
        ...

    def queues(self) -> Sequence[str]:
        """Names of its queues."""
        ...

    async def queue(self, name: str) -> QueueImage:
        """Messages of a queue."""
        ...


class LiveImage:
    """A hub in a store, read as it is asked for."""

    def __init__(self, hub: TaskHub, *, holds: bool) -> None:
        """Read nothing yet; open() finds out what there is.

        Args:
            holds: whether more than 32 messages of a queue may be read by receiving them and giving them back. That
                adds one to their dequeue counts, and hides them from hosts for a moment.
        """
        self._storage = hub.storage
        self._holds = holds
        self.names = hub.names
        self._tables: tuple[str, ...] = ()
        self._containers: tuple[str, ...] = ()
        self._queues: tuple[str, ...] = ()

    async def open(self) -> None:
        """Look which parts are there."""
        names = self.names
        present = {table.lower() for table in await self._storage.tables.list_tables()}
        wanted = (names.history, names.instances, names.partitions)
        self._tables = tuple(table for table in wanted if table.lower() in present)
        containers = await self._storage.blobs.list_containers(names.prefix)
        ours = (names.app_lease, names.large_messages, names.leases)
        self._containers = tuple(name for name in containers if name in ours)
        queues = await self._storage.queues.list_queues(names.prefix)
        self._queues = tuple(name for name in queues if names.owns_queue(name))

    def tables(self) -> Sequence[str]:
        """See HubImage."""
        return self._tables

    def rows(self, table: str) -> AsyncIterator[Row]:
        """See HubImage."""
        return all_rows(self._storage.tables, table, None)

    def containers(self) -> Sequence[str]:
        """See HubImage."""
        return self._containers

    async def blobs(self, container: str) -> AsyncIterator[BlobImage]:
        """See HubImage. One that is deleted meanwhile is left out."""
        async for name, _ in all_blobs(self._storage.blobs, container):
            blob = await self._storage.blobs.download(container, name)
            if blob is not None:
                yield BlobImage(container=container, name=name, blob=blob)

    def queues(self) -> Sequence[str]:
        """See HubImage."""
        return self._queues

    async def queue(self, name: str) -> QueueImage:
        """See HubImage."""
        queues = self._storage.queues
        count = await queues.message_count(name)
        messages = await queues.peek(name, count=RECEIVE_COUNT_MAX)
        if self._holds and len(messages) == RECEIVE_COUNT_MAX < count:
            messages = await _received(queues, name)
        return QueueImage(name=name, count=count, messages=messages)


async def _received(queues: QueuePort, name: str) -> tuple[QueueMessage, ...]:
    """All visible messages: taken, and given back whatever happens."""
    taken: list[QueueMessage] = []
    try:
        while True:
            batch = await queues.receive(name, count=RECEIVE_COUNT_MAX, visibility_timeout_s=HOLD_S)
            if not batch:
                return tuple(taken)
            taken.extend(batch)
    finally:
        for message in taken:
            handle = message.handle
            await queues.update(name, handle.message_id, handle.pop_receipt, visibility_timeout_s=0)


@dataclass(frozen=True, slots=True)
class Renaming:
    """From the names of one hub to those of another, on whatever account."""

    old: HubNames
    new: HubNames
    payload_url: str
    """Address of the new hub's container of large payloads, with a slash at the end."""

    def table(self, name: str) -> str:
        """A table."""
        return f"{self.new.hub}{name[len(self.old.hub) :]}"

    def other(self, name: str) -> str:
        """A queue, a container or a blob that begins with the hub's name."""
        if not name.startswith(self.old.prefix):
            return name
        return f"{self.new.prefix}{name[len(self.old.prefix) :]}"

    def blob(self, container: str, name: str) -> str:
        """A blob; payloads are named for instances, all others for the hub or a queue."""
        if container == self.old.large_messages:
            return name
        folder, slash, last = name.rpartition("/")
        return f"{folder}{slash}{self.other(last)}"

    def content(self, container: str, name: str, content: bytes) -> bytes:
        """What a blob says: leases name the hub and its queues. Whatever nobody can read stays as it is."""
        if container != self.old.leases:
            return content
        try:
            text = content.decode()
            if name == self.old.hub_info:
                info = replace(decode_hub_info(text), task_hub=self.new.hub)
                return encode_hub_info(info).encode()
            queue = self.other(name.rpartition("/")[2])
            return encode_blob_lease(decode_blob_lease(queue, text, is_held=False)).encode()
        except (DecodeError, UnicodeDecodeError):
            return content

    def row(self, table: str, row: Row) -> Row:
        """A row: the hub's name where it stands in keys and columns, and addresses of payloads."""
        if table == self.old.partitions:
            return replace(row, key=replace(row.key, row=self.other(row.key.row)))
        if table != self.old.instances:
            return row
        columns: dict[str, Value] = dict(row.columns)
        if "TaskHubName" in columns:
            columns["TaskHubName"] = self.new.hub
        for column in ("Input", "Output"):
            value = columns.get(column)
            if isinstance(value, str):
                columns[column] = self._address(value)
        return replace(row, columns=columns)

    def _address(self, value: str) -> str:
        mark = f"/{self.old.large_messages}/"
        if not looks_like_url(value) or mark not in value:
            return value
        return f"{self.payload_url}{value.partition(mark)[2]}"


async def has_hub(storage: Storage, names: HubNames) -> bool:
    """Whether anything of a hub is there that an import would meet."""
    tables = {table.lower() for table in await storage.tables.list_tables()}
    if {names.history.lower(), names.instances.lower()} & tables:
        return True
    try:
        queues = await storage.queues.list_queues(names.prefix)
    except NotFoundError:
        return False
    return any(names.owns_queue(queue) for queue in queues)
