"""What the services check and compute, for the adapters that are no service themselves.

Writes of rows, leases, sizes and paging. Pure.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NoReturn, Protocol, assert_never

from emulator.core.instant import Instant
from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
    PayloadTooLargeError,
)
from emulator.storage.ports import (
    ANY,
    MESSAGE_BYTES_MAX,
    STRING_CODE_UNITS_MAX,
    TRANSACTION_OPERATIONS_MAX,
    Columns,
    ETag,
    RowKey,
    Value,
    Write,
    WriteKind,
)

ROW_BYTES_MAX: Final = 1024 * 1024
TRANSACTION_BYTES_MAX: Final = 4 * 1024 * 1024


class Stored(Protocol):
    """A row as an adapter holds it."""

    @property
    def etag(self) -> ETag:
        """Its tag."""
        ...

    @property
    def columns(self) -> Columns:
        """Its columns, as far as the write needs them."""
        ...


def apply_write(write: Write, existing: Stored | None) -> dict[str, Value] | None:
    """The row's columns after a write; None if it is deleted.

    Raises:
        ConflictError, NotFoundError, EtagMismatchError, PayloadTooLargeError: see TablePort.write.
    """
    match write.kind:
        case WriteKind.INSERT:
            if existing is not None:
                raise ConflictError(f"the row {_named(write.key)} exists already")
            return _checked(dict(write.columns), write.key)
        case WriteKind.UPSERT_REPLACE:
            return _checked(dict(write.columns), write.key)
        case WriteKind.UPSERT_MERGE:
            before: Columns = existing.columns if existing is not None else {}
            return _checked({**before, **write.columns}, write.key)
        case WriteKind.REPLACE:
            _require(write, existing)
            return _checked(dict(write.columns), write.key)
        case WriteKind.MERGE:
            return _checked({**_require(write, existing).columns, **write.columns}, write.key)
        case WriteKind.DELETE:
            _require(write, existing)
            return None
        case _:
            assert_never(write.kind)


def _require(write: Write, existing: Stored | None) -> Stored:
    if existing is None:
        raise NotFoundError(f"the row {_named(write.key)} does not exist")
    if write.etag not in (ANY, existing.etag):
        raise EtagMismatchError(f"the row {_named(write.key)} has changed since it was read")
    return existing


def _named(key: RowKey) -> str:
    return f"({key.partition!r}, {key.row!r})"


def _checked(columns: dict[str, Value], key: RowKey) -> dict[str, Value]:
    size = 0
    for name, value in columns.items():
        if isinstance(value, str):
            if len(value) > STRING_CODE_UNITS_MAX:
                raise PayloadTooLargeError(
                    f"the column {name} of the row {_named(key)} is longer than 64 KiB"
                )
            size += 2 * len(value)
        else:
            size += len(value) if isinstance(value, bytes) else 8
    if size > ROW_BYTES_MAX:
        raise PayloadTooLargeError(f"the row {_named(key)} is larger than 1 MiB")
    return columns


def check_transaction(writes: Sequence[Write]) -> None:
    """Check what can be checked before a transaction begins.

    Raises:
        ValueError: the caller broke the port's contract.
        PayloadTooLargeError: all in all more than 4 MiB.
    """
    if not 1 <= len(writes) <= TRANSACTION_OPERATIONS_MAX:
        raise ValueError(f"a transaction has 1 to 100 writes, not {len(writes)}")
    if len({write.key.partition for write in writes}) != 1:
        raise ValueError("a transaction stays in one partition")
    if len({write.key.row for write in writes}) != len(writes):
        raise ValueError("a transaction writes a row once")
    size = 0
    for write in writes:
        for value in write.columns.values():
            if isinstance(value, str):
                size += 2 * len(value)
    if size > TRANSACTION_BYTES_MAX:
        raise PayloadTooLargeError("the transaction is larger than 4 MiB")


def reraise_at(error: Exception, index: int) -> NoReturn:
    """Raise the refusal of one write of a transaction, with its place."""
    if isinstance(error, ConflictError):
        raise ConflictError(str(error), failed_index=index) from error
    if isinstance(error, EtagMismatchError):
        raise EtagMismatchError(str(error), failed_index=index) from error
    raise error


def check_message(text: str) -> None:
    """Check a message's size.

    Raises:
        PayloadTooLargeError: more than 64 KiB in UTF-8.
    """
    if (
        len(text) * 4 > MESSAGE_BYTES_MAX
        and len(text.encode("utf-8", "replace")) > MESSAGE_BYTES_MAX
    ):
        raise PayloadTooLargeError("the message is larger than 64 KiB")


def continuation_of(key: RowKey) -> str:
    """An opaque token for the page that begins with this row."""
    return base64.urlsafe_b64encode(json.dumps([key.partition, key.row]).encode()).decode()


def continuation_key(token: str) -> RowKey | None:
    """The row that a token stands for; None if it is no such token."""
    try:
        partition, row = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        return None
    return RowKey(partition=str(partition), row=str(row))


# --- leases -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease on a blob or container."""

    lease_id: str
    duration_s: int
    until: Instant

    def holds(self, now: Instant) -> bool:
        """Whether it is in force."""
        return now < self.until


def acquired(lease: Lease | None, lease_id: str, duration_s: int, now: Instant) -> Lease:
    """Take a lease.

    Raises:
        LeaseLostError: someone else holds it.
    """
    if lease is not None and lease.holds(now) and lease.lease_id != lease_id:
        raise LeaseLostError("the lease is held by someone else")
    return Lease(lease_id, duration_s, now.plus(timedelta(seconds=duration_s)))


def renewed(lease: Lease | None, lease_id: str, now: Instant) -> Lease:
    """Renew a lease; one that ran out but that nobody took is renewed too.

    Raises:
        LeaseLostError: it is not held under this id.
    """
    held = _own(lease, lease_id)
    return replace(held, until=now.plus(timedelta(seconds=held.duration_s)))


def changed(lease: Lease | None, lease_id: str, proposed_id: str, now: Instant) -> Lease:
    """Change the id of a lease.

    Raises:
        LeaseLostError: it is held under neither id, or by nobody.
    """
    if lease is None or not lease.holds(now) or lease.lease_id not in (lease_id, proposed_id):
        raise LeaseLostError("the lease is not held under this id")
    return replace(lease, lease_id=proposed_id)


def check_release(lease: Lease | None, lease_id: str) -> None:
    """See that a lease may be given up.

    Raises:
        LeaseLostError: it is not held under this id.
    """
    _own(lease, lease_id)


def check_lease(lease: Lease | None, lease_id: str | None, now: Instant) -> None:
    """See that something leased may be written or deleted.

    Raises:
        LeaseLostError: it is leased under another id.
    """
    if lease is not None and lease.holds(now) and lease.lease_id != lease_id:
        raise LeaseLostError("it is leased by someone else")
    if lease_id is not None and (lease is None or not lease.holds(now)):
        raise LeaseLostError("the lease has run out or was never taken")


def written(lease: Lease | None, lease_id: str | None, now: Instant) -> Lease | None:
    """What a write of a blob leaves of its lease: one that has run out cannot be renewed any longer.

    Raises:
        LeaseLostError: it is leased under another id.
    """
    check_lease(lease, lease_id, now)
    return lease if lease is not None and lease.holds(now) else None


def _own(lease: Lease | None, lease_id: str) -> Lease:
    if lease is None or lease.lease_id != lease_id:
        raise LeaseLostError("the lease is not held under this id")
    return lease
