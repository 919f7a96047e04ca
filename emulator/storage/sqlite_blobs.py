"""Blobs in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from emulator.core.instant import Instant
from emulator.errors import ConflictError, EtagMismatchError, NotFoundError
from emulator.storage.memory_blobs import BLOBS_PER_PAGE_MAX, blob_url
from emulator.storage.ports import Blob, BlobPage, ETag
from emulator.storage.rules import (
    Lease,
    acquired,
    changed,
    check_lease,
    check_release,
    renewed,
    written,
)
from emulator.storage.sources import Clock
from emulator.storage.sqlite_runner import Runner


class SqliteBlobs:
    """The Blob service in a file (storage.ports.BlobPort)."""

    def __init__(self, file: Runner, clock: Clock) -> None:
        """Work on an open file."""
        self._file = file
        self._clock = clock

    async def create_container(self, container: str) -> bool:
        """See BlobPort."""

        def run(db: sqlite3.Connection) -> bool:
            found = db.execute("INSERT OR IGNORE INTO containers (name) VALUES (?)", (container,))
            return found.rowcount > 0

        return await self._file.run(run)

    async def delete_container(self, container: str, *, lease_id: str | None = None) -> bool:
        """See BlobPort."""
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> bool:
            found = _container(db, container)
            if found is None:
                return False
            check_lease(_lease(found), lease_id, now)
            db.execute("DELETE FROM blobs WHERE container = ?", (container,))
            db.execute("DELETE FROM containers WHERE name = ?", (container,))
            return True

        return await self._file.run(run)

    async def list_containers(self, prefix: str = "") -> tuple[str, ...]:
        """See BlobPort."""

        def run(db: sqlite3.Connection) -> tuple[str, ...]:
            names = db.execute("SELECT name FROM containers ORDER BY name")
            return tuple(name for (name,) in names if name.startswith(prefix))

        return await self._file.run(run)

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
        """See BlobPort."""
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> ETag:
            _require_container(db, container)
            found = _blob(db, container, blob)
            if only_if_absent and found is not None:
                raise ConflictError(f"the blob {blob!r} exists already")
            if etag is not None and (found is None or _etag(found[3]) != etag):
                raise EtagMismatchError(f"the blob {blob!r} has changed since it was read")
            lease = written(_lease(found) if found is not None else None, lease_id, now)
            tag = self._file.next_tag()
            db.execute(
                "INSERT INTO blobs (container, name, content, etag, lease, lease_s, lease_until) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (container, name) DO UPDATE SET "
                "content = excluded.content, etag = excluded.etag, lease = excluded.lease, "
                "lease_s = excluded.lease_s, lease_until = excluded.lease_until",
                (container, blob, content, tag, *_lease_columns(lease)),
            )
            return _etag(tag)

        return await self._file.run(run)

    async def download(self, container: str, blob: str) -> Blob | None:
        """See BlobPort."""
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> Blob | None:
            found = _blob(db, container, blob)
            if found is None:
                return None
            content = db.execute(
                "SELECT content FROM blobs WHERE number = ?", (found[4],)
            ).fetchone()[0]
            lease = _lease(found)
            return Blob(
                content=bytes(content),
                etag=_etag(found[3]),
                leased=lease is not None and lease.holds(now),
            )

        return await self._file.run(run)

    async def delete_blob(self, container: str, blob: str) -> bool:
        """See BlobPort."""
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> bool:
            found = _blob(db, container, blob)
            if found is None:
                return False
            check_lease(_lease(found), None, now)
            db.execute("DELETE FROM blobs WHERE number = ?", (found[4],))
            return True

        return await self._file.run(run)

    async def list_blobs(
        self, container: str, *, prefix: str = "", continuation: str | None = None
    ) -> BlobPage:
        """See BlobPort."""
        start = max(prefix, continuation or "")

        def run(db: sqlite3.Connection) -> BlobPage:
            _require_container(db, container)
            found = db.execute(
                "SELECT name, etag FROM blobs WHERE container = ? AND name >= ? "
                "AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?",
                (container, start, len(prefix), prefix, BLOBS_PER_PAGE_MAX + 1),
            )
            rows: list[tuple[str, int]] = list(found)
            page, rest = rows[:BLOBS_PER_PAGE_MAX], rows[BLOBS_PER_PAGE_MAX:]
            return BlobPage(
                names=tuple(name for name, _ in page),
                etags=tuple(_etag(tag) for _, tag in page),
                continuation=rest[0][0] if rest else None,
            )

        return await self._file.run(run)

    async def acquire_lease(
        self, container: str, blob: str | None, *, lease_id: str, duration_s: int
    ) -> None:
        """See BlobPort."""
        now = self._clock.now()
        await self._change(
            container, blob, lambda lease: acquired(lease, lease_id, duration_s, now)
        )

    async def renew_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""
        now = self._clock.now()
        await self._change(container, blob, lambda lease: renewed(lease, lease_id, now))

    async def change_lease(
        self, container: str, blob: str | None, *, lease_id: str, proposed_id: str
    ) -> None:
        """See BlobPort."""
        now = self._clock.now()
        await self._change(
            container, blob, lambda lease: changed(lease, lease_id, proposed_id, now)
        )

    async def release_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""

        def release(lease: Lease | None) -> None:
            check_release(lease, lease_id)

        await self._change(container, blob, release)

    def blob_url(self, container: str, blob: str) -> str:
        """See BlobPort."""
        return blob_url(container, blob)

    async def _change(
        self, container: str, blob: str | None, change: Callable[[Lease | None], Lease | None]
    ) -> None:
        def run(db: sqlite3.Connection) -> None:
            found = _container(db, container) if blob is None else _blob(db, container, blob)
            if found is None:
                _require_container(db, container)
                raise NotFoundError(f"there is no blob {blob!r}")
            lease = change(_lease(found))
            values = _lease_columns(lease)
            if blob is None:
                db.execute(
                    "UPDATE containers SET lease = ?, lease_s = ?, lease_until = ? WHERE name = ?",
                    (*values, container),
                )
            else:
                db.execute(
                    "UPDATE blobs SET lease = ?, lease_s = ?, lease_until = ? WHERE number = ?",
                    (*values, found[4]),
                )

        await self._file.run(run)


def _container(db: sqlite3.Connection, name: str) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] | None = db.execute(
        "SELECT lease, lease_s, lease_until FROM containers WHERE name = ?", (name,)
    ).fetchone()
    return found


def _require_container(db: sqlite3.Connection, name: str) -> None:
    if _container(db, name) is None:
        raise NotFoundError(f"there is no container {name!r}")


def _blob(db: sqlite3.Connection, container: str, name: str) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] | None = db.execute(
        "SELECT lease, lease_s, lease_until, etag, number FROM blobs "
        "WHERE container = ? AND name = ?",
        (container, name),
    ).fetchone()
    return found


def _lease(found: tuple[Any, ...]) -> Lease | None:
    lease_id, duration, until = found[:3]
    return None if lease_id is None else Lease(lease_id, duration, Instant(until))


def _etag(tag: int) -> ETag:
    return ETag(f'"{tag}"')


def _lease_columns(lease: Lease | None) -> tuple[str | int | None, ...]:
    return (lease.lease_id, lease.duration_s, int(lease.until)) if lease else (None,) * 3
