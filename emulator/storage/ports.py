"""The three storage services at the level of their own operations.

Every adapter behaves as the Azure service does where a caller can see it: visibility time-outs in whole seconds, a
new pop receipt at each dequeue and update, ETags that change with every write, entity-group transactions that are
all or nothing, leases. `emulator/testing/port_suite` says it in tests; each adapter passes all of them.

Every operation may raise TransientStorageError (nothing is known of the outcome); other errors are named where
they can occur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType, Protocol

from emulator.core.instant import Instant

MESSAGE_BYTES_MAX: Final = 64 * 1024
"""UTF-8 bytes of a message text (Queue service limit)."""

RECEIVE_COUNT_MAX: Final = 32
"""Messages per receive or peek (Queue service limit)."""

VISIBILITY_TIMEOUT_S_MAX: Final = 7 * 24 * 3600
"""Longest visibility time-out of a put, receive or update, in seconds (Queue service limit)."""

TRANSACTION_OPERATIONS_MAX: Final = 100
"""Operations of one entity-group transaction (Table service limit)."""

PAGE_ROWS_MAX: Final = 1000
"""Rows of one query page (Table service limit)."""

STRING_CODE_UNITS_MAX: Final = 32 * 1024
"""UTF-16 code units of one string column (Table service limit of 64 KiB)."""

ETag = NewType("ETag", str)
"""Opaque version of a row or blob."""

ANY: Final = ETag("*")
"""Matches whatever version is there, but something must be there."""


# --- queues ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHandle:
    """What a put, receive or update returns: the right to update or delete the message until it is visible again."""

    message_id: str
    pop_receipt: str
    next_visible_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A received or peeked message. A peeked one has no handle to act upon: its pop receipt is empty."""

    handle: MessageHandle
    text: str
    inserted_at: Instant
    dequeue_count: int


class QueuePort(Protocol):
    """Queue service. Queue names are lower-case."""

    async def create_queue(self, queue: str) -> bool:
        """Create the queue; False if it was there already."""
        ...

    async def delete_queue(self, queue: str) -> bool:
        """Delete the queue with all its messages; False if there was none."""
        ...

    async def list_queues(self, prefix: str = "") -> tuple[str, ...]:
        """Names of the queues that start with prefix, in order."""
        ...

    async def put(self, queue: str, text: str, *, visibility_timeout_s: int = 0) -> MessageHandle:
        """Append a message that never expires, invisible for the time-out.

        Args:
            visibility_timeout_s: 0 to 604800. The returned handle is valid even while the message is invisible.

        Raises:
            NotFoundError: no such queue.
            PayloadTooLargeError: the text is larger than 64 KiB in UTF-8.
        """
        ...

    async def receive(
        self, queue: str, *, count: int, visibility_timeout_s: int
    ) -> tuple[QueueMessage, ...]:
        """Take up to `count` (1 to 32) visible messages, oldest first, and hide them for the time-out (1 to 604800).

        Raises:
            NotFoundError: no such queue.
        """
        ...

    async def peek(self, queue: str, *, count: int) -> tuple[QueueMessage, ...]:
        """Look at up to `count` (1 to 32) visible messages without touching them.

        Raises:
            NotFoundError: no such queue.
        """
        ...

    async def update(
        self,
        queue: str,
        message_id: str,
        pop_receipt: str,
        *,
        visibility_timeout_s: int,
        text: str | None = None,
    ) -> MessageHandle:
        """Set the time-out anew (0: visible at once) and, if given, the text. The old pop receipt is void after.

        Raises:
            NotFoundError: no such queue or message.
            PopReceiptMismatchError: someone else has dequeued or updated it since.
        """
        ...

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> None:
        """Remove the message.

        Raises:
            NotFoundError: no such queue or message.
            PopReceiptMismatchError: someone else has dequeued or updated it since.
        """
        ...

    async def message_count(self, queue: str) -> int:
        """Approximate number of messages, invisible ones included.

        Raises:
            NotFoundError: no such queue.
        """
        ...


# --- tables ---------------------------------------------------------------------------------------------------


class Int64(int):
    """A column of type Edm.Int64 (a plain int is Edm.Int32)."""

    __slots__ = ()


Value = str | bool | int | float | Int64 | Instant | bytes
"""A column value. Instant is Edm.DateTime, bytes Edm.Binary; a null is an absent column."""

Columns = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKey:
    """Address of a row in its table."""

    partition: str
    row: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stored row. `columns` holds neither the keys nor the service's Timestamp."""

    key: RowKey
    etag: ETag
    timestamp: Instant
    columns: Columns


class WriteKind(StrEnum):
    """How a write treats what is there."""

    INSERT = "insert"
    """The row must not exist (else ConflictError)."""
    REPLACE = "replace"
    """It must exist with the given ETag; columns not named disappear."""
    MERGE = "merge"
    """It must exist with the given ETag; columns not named stay."""
    UPSERT_REPLACE = "upsert_replace"
    """Insert or replace, no condition."""
    UPSERT_MERGE = "upsert_merge"
    """Insert or merge, no condition."""
    DELETE = "delete"
    """It must exist with the given ETag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of a row. `etag` belongs to REPLACE, MERGE and DELETE (ANY: whatever is there)."""

    kind: WriteKind
    key: RowKey
    columns: Columns = field(default_factory=dict[str, Value])
    etag: ETag = ANY


class Comparison(StrEnum):
    """Operators of a filter, spelled as in OData."""

    EQ = "eq"
    GE = "ge"
    GT = "gt"
    LE = "le"
    LT = "lt"


@dataclass(frozen=True, slots=True)
class Condition:
    """`column op value`. PartitionKey and RowKey are columns here. False for a row without the column."""

    column: str
    op: Comparison
    value: Value


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Filter, ...]


Filter = Condition | AllOf | AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Rows in order of partition and row key (ordinal); `continuation` is None on the last page.

    A page may be short, or even empty, and still not be the last.
    """

    rows: tuple[Row, ...]
    continuation: str | None


class TablePort(Protocol):
    """Table service. Table names keep their case; whether it matters when they are compared is up to the store."""

    async def create_table(self, table: str) -> bool:
        """Create the table; False if it was there already."""
        ...

    async def delete_table(self, table: str) -> bool:
        """Delete the table with all its rows; False if there was none."""
        ...

    async def list_tables(self) -> tuple[str, ...]:
        """Names of all tables."""
        ...

    async def get(self, table: str, key: RowKey) -> Row | None:
        """Read one row by its key; None if it does not exist.

        Raises:
            NotFoundError: no such table.
        """
        ...

    async def query(
        self,
        table: str,
        where: Filter | None,
        *,
        select: Sequence[str] | None = None,
        top: int | None = None,
        continuation: str | None = None,
    ) -> RowPage:
        """Read one page (at most 1000 rows, or `top`) of the rows that match.

        Args:
            select: columns wanted, None for all; the keys, ETag and Timestamp come regardless.
            continuation: from the page before; an unknown one gives an empty page.

        Raises:
            NotFoundError: no such table.
        """
        ...

    async def write(self, table: str, write: Write) -> ETag | None:
        """Do one write; the row's new ETag, None after a DELETE.

        Raises:
            NotFoundError: no such table, or no such row for REPLACE, MERGE, DELETE.
            ConflictError: INSERT of a row that exists.
            EtagMismatchError: the row has another ETag.
            PayloadTooLargeError: a column or the row is too large.
        """
        ...

    async def transact(self, table: str, writes: Sequence[Write]) -> tuple[ETag | None, ...]:
        """Do 1 to 100 writes of rows of one partition, all or none; each row at most once.

        Raises:
            As write(); `failed_index` of ConflictError and EtagMismatchError tells which write was refused.
        """
        ...


# --- blobs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob with its content."""

    content: bytes
    etag: ETag
    leased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPage:
    """Names in order, and the ETag of each; `continuation` is None on the last page."""

    names: tuple[str, ...]
    etags: tuple[ETag, ...]
    continuation: str | None


class BlobPort(Protocol):
    """Blob service: small block blobs, and leases on blobs and containers.

    Where a method takes `blob: str | None`, None means the container itself.
    """

    async def create_container(self, container: str) -> bool:
        """Create the container; False if it was there already."""
        ...

    async def delete_container(self, container: str, *, lease_id: str | None = None) -> bool:
        """Delete the container with its blobs; False if there was none.

        Raises:
            LeaseLostError: it is leased and the lease id is missing or another.
        """
        ...

    async def list_containers(self, prefix: str = "") -> tuple[str, ...]:
        """Names of the containers that start with prefix, in order."""
        ...

    async def upload(
        self,
        container: str,
        blob: str,
        content: bytes,
        *,
        only_if_absent: bool = False,
        etag: ETag | None = None,
        lease_id: str | None = None,
    ) -> ETag:
        """Create or overwrite a block blob (application/octet-stream).

        Raises:
            NotFoundError: no such container.
            ConflictError: `only_if_absent` and it exists.
            EtagMismatchError: it has another ETag than `etag`.
            LeaseLostError: it is leased and the lease id is missing or another.
        """
        ...

    async def download(self, container: str, blob: str) -> Blob | None:
        """Read a blob; None if it, or its container, does not exist."""
        ...

    async def delete_blob(self, container: str, blob: str) -> bool:
        """Delete a blob; False if it, or its container, does not exist."""
        ...

    async def list_blobs(
        self, container: str, *, prefix: str = "", continuation: str | None = None
    ) -> BlobPage:
        """One page (at most 5000) of the blob names that start with prefix.

        Raises:
            NotFoundError: no such container.
        """
        ...

    async def acquire_lease(
        self, container: str, blob: str | None, *, lease_id: str, duration_s: int
    ) -> None:
        """Take the lease under a proposed id (a GUID), for 15 to 60 seconds. Taking one's own again succeeds.

        Raises:
            NotFoundError: it does not exist.
            LeaseLostError: someone else holds it.
        """
        ...

    async def renew_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """Begin the lease's duration again.

        Raises:
            NotFoundError: it does not exist.
            LeaseLostError: it is not held under this id.
        """
        ...

    async def change_lease(
        self, container: str, blob: str | None, *, lease_id: str, proposed_id: str
    ) -> None:
        """Give the held lease another id.

        Raises:
            NotFoundError: it does not exist.
            LeaseLostError: it is held under neither id.
        """
        ...

    async def release_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """Give the lease up.

        Raises:
            NotFoundError: it does not exist.
            LeaseLostError: it is not held under this id.
        """
        ...

    def blob_url(self, container: str, blob: str) -> str:
        """The address that stands for this blob in a column: path segments percent-encoded as RFC 3986 has it."""
        ...


# --- all three ------------------------------------------------------------------------------------------------


class Storage(Protocol):
    """One account: its three services, opened and closed together."""

    @property
    def queues(self) -> QueuePort:
        """The Queue service."""
        ...

    @property
    def tables(self) -> TablePort:
        """The Table service."""
        ...

    @property
    def blobs(self) -> BlobPort:
        """The Blob service."""
        ...

    @property
    def description(self) -> str:
        """What a person would call it: `memory`, a file's path, or the account's endpoint. No secrets."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine (loopback), so that destructive commands need no extra flag."""
        ...

    async def open(self) -> None:
        """Connect.

        Raises:
            ConfigError: the account or file cannot be used; says which, why and what to do.
        """
        ...

    async def close(self) -> None:
        """Give back connections and files. Safe to call twice."""
        ...
