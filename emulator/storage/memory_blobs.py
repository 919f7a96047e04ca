"""Blobs in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from emulator.errors import ConflictError, EtagMismatchError, NotFoundError
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

BLOBS_PER_PAGE_MAX: Final = 5000
URL_BASE: Final = "http://127.0.0.1:10000/devstoreaccount1"
"""Embedded stores write the addresses that Azurite would, so that hubs can be copied between them."""


class _Item:
    __slots__ = ("content", "etag", "lease")

    def __init__(self, content: bytes, etag: ETag) -> None:
        self.content = content
        self.etag = etag
        self.lease: Lease | None = None


class _Container:
    __slots__ = ("blobs", "lease")

    def __init__(self) -> None:
        self.blobs: dict[str, _Item] = {}
        self.lease: Lease | None = None


class MemoryBlobs:
    """The Blob service in memory (storage.ports.BlobPort)."""

    def __init__(self, clock: Clock) -> None:
        """Begin without containers."""
        self._clock = clock
        self._containers: dict[str, _Container] = {}
        self._tags = itertools.count(1)

    async def create_container(self, container: str) -> bool:
        """See BlobPort."""
        if container in self._containers:
            return False
        self._containers[container] = _Container()
        return True

    async def delete_container(self, container: str, *, lease_id: str | None = None) -> bool:
        """See BlobPort."""
        found = self._containers.get(container)
        if found is None:
            return False
        check_lease(found.lease, lease_id, self._clock.now())
        del self._containers[container]
        return True

    async def list_containers(self, prefix: str = "") -> tuple[str, ...]:
        """See BlobPort."""
        return tuple(sorted(name for name in self._containers if name.startswith(prefix)))

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
        blobs = self._container(container).blobs
        existing = blobs.get(blob)
        if only_if_absent and existing is not None:
            raise ConflictError(f"the blob {blob!r} exists already")
        if etag is not None and (existing is None or existing.etag != etag):
            raise EtagMismatchError(f"the blob {blob!r} has changed since it was read")
        lease = written(existing.lease if existing else None, lease_id, self._clock.now())
        item = _Item(bytes(content), ETag(f'"{next(self._tags)}"'))
        item.lease = lease
        blobs[blob] = item
        return item.etag

    async def download(self, container: str, blob: str) -> Blob | None:
        """See BlobPort."""
        found = self._containers.get(container)
        item = found.blobs.get(blob) if found is not None else None
        if item is None:
            return None
        leased = item.lease is not None and item.lease.holds(self._clock.now())
        return Blob(content=item.content, etag=item.etag, leased=leased)

    async def delete_blob(self, container: str, blob: str) -> bool:
        """See BlobPort."""
        found = self._containers.get(container)
        if found is None or blob not in found.blobs:
            return False
        check_lease(found.blobs[blob].lease, None, self._clock.now())
        del found.blobs[blob]
        return True

    async def list_blobs(
        self, container: str, *, prefix: str = "", continuation: str | None = None
    ) -> BlobPage:
        """See BlobPort."""
        blobs = self._container(container).blobs
        start = continuation or ""
        names = sorted(name for name in blobs if name.startswith(prefix) and name >= start)
        page, rest = names[:BLOBS_PER_PAGE_MAX], names[BLOBS_PER_PAGE_MAX:]
        return BlobPage(
            names=tuple(page),
            etags=tuple(blobs[name].etag for name in page),
            continuation=rest[0] if rest else None,
        )

    async def acquire_lease(
        self, container: str, blob: str | None, *, lease_id: str, duration_s: int
    ) -> None:
        """See BlobPort."""
        now = self._clock.now()
        self._lease(container, blob, lambda lease: acquired(lease, lease_id, duration_s, now))

    async def renew_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""
        now = self._clock.now()
        self._lease(container, blob, lambda lease: renewed(lease, lease_id, now))

    async def change_lease(
        self, container: str, blob: str | None, *, lease_id: str, proposed_id: str
    ) -> None:
        """See BlobPort."""
        now = self._clock.now()
        self._lease(container, blob, lambda lease: changed(lease, lease_id, proposed_id, now))

    async def release_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""

        def release(lease: Lease | None) -> None:
            check_release(lease, lease_id)

        self._lease(container, blob, release)

    def blob_url(self, container: str, blob: str) -> str:
        """See BlobPort."""
        return blob_url(container, blob)

    def _lease(
        self, container: str, blob: str | None, change: Callable[[Lease | None], Lease | None]
    ) -> None:
        found = self._container(container)
        if blob is None:
            found.lease = change(found.lease)
            return
        item = found.blobs.get(blob)
        if item is None:
            raise NotFoundError(f"there is no blob {blob!r}")
        item.lease = change(item.lease)

    def _container(self, name: str) -> _Container:
        found = self._containers.get(name)
        if found is None:
            raise NotFoundError(f"there is no container {name!r}")
        return found


def blob_url(container: str, blob: str) -> str:
    """The address of a blob of an embedded store."""
    return f"{URL_BASE}/{container}/{quote(blob, safe='/-_.~')}"
