"""Who owns what: the rows of the Partitions table, and the lease that lets only one app work on a hub.

Source: DurableTask.AzureStorage, TablePartitionManager and AppLeaseManager; reference azure-storage-provider.md 9.
"""

from __future__ import annotations

from typing import Final

from emulator.core.balance import PartitionLease
from emulator.errors import (
    ConflictError,
    DecodeError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
)
from emulator.log import fields, get_logger
from emulator.storage.ports import BlobPort, ETag, RowKey, TablePort, Write, WriteKind
from emulator.wire.lease import (
    AppLeaseInfo,
    app_lease_id,
    decode_app_lease,
    decode_partition,
    encode_app_lease,
    partition_columns,
)

_log = get_logger(__name__)
APP_LEASE_DURATION_S: Final = 60


class PartitionTable:
    """The leases of a hub's control queues."""

    def __init__(self, name: str, tables: TablePort) -> None:
        """Name the table."""
        self.name = name
        self._tables = tables

    async def add(self, control_queue: str) -> bool:
        """Create the row of a queue, owned by nobody; False if it is there."""
        lease = PartitionLease(control_queue=control_queue)
        write = Write(
            kind=WriteKind.INSERT,
            key=RowKey(partition="", row=control_queue),
            columns=partition_columns(lease),
        )
        try:
            await self._tables.write(self.name, write)
        except ConflictError:
            return False
        return True

    async def read(self) -> list[PartitionLease]:
        """All rows, in order of queue name."""
        page = await self._tables.query(self.name, None)
        return [decode_partition(row.key.row, row.columns, etag=row.etag) for row in page.rows]

    async def write(self, lease: PartitionLease) -> PartitionLease:
        """Replace a row that nobody has changed since it was read.

        Raises:
            EtagMismatchError: another worker was faster.
        """
        write = Write(
            kind=WriteKind.REPLACE,
            key=RowKey(partition="", row=lease.control_queue),
            columns=partition_columns(lease),
            etag=ETag(lease.etag or ""),
        )
        try:
            etag = await self._tables.write(self.name, write)
        except NotFoundError as error:
            raise EtagMismatchError(f"the lease of {lease.control_queue} is gone") from error
        from dataclasses import replace

        return replace(lease, etag=etag)


class AppLease:
    """The lease on the app-lease container."""

    def __init__(self, blobs: BlobPort, container: str, blob: str, app_name: str) -> None:
        """Name the container, its blob, and the app that wants the lease."""
        self._blobs = blobs
        self.container = container
        self._blob = blob
        self.lease_id = app_lease_id(app_name)

    async def create(self) -> None:
        """Create container and blob, if they are not there."""
        await self._blobs.create_container(self.container)
        try:
            await self._blobs.upload(self.container, self._blob, b"{}", only_if_absent=True)
        except ConflictError:
            return

    async def acquire(self) -> bool:
        """Try to take the lease for our app; False if another app has it."""
        info = await self._info()
        try:
            if info.desired_swap_id == self.lease_id and info.owner_id:
                await self._blobs.change_lease(
                    self.container, None, lease_id=info.owner_id, proposed_id=self.lease_id
                )
            else:
                await self._blobs.acquire_lease(
                    self.container,
                    None,
                    lease_id=self.lease_id,
                    duration_s=APP_LEASE_DURATION_S,
                )
        except LeaseLostError:
            return False
        if info.owner_id != self.lease_id or info.desired_swap_id is not None:
            await self._write(AppLeaseInfo(owner_id=self.lease_id))
        return True

    async def renew(self) -> bool:
        """Keep the lease; False if it is lost."""
        try:
            await self._blobs.renew_lease(self.container, None, lease_id=self.lease_id)
        except (LeaseLostError, NotFoundError):
            return False
        return True

    async def is_ours(self) -> bool:
        """Whether our app was the last to take the lease."""
        return (await self._info()).owner_id == self.lease_id

    async def want(self) -> None:
        """Ask whoever holds the lease to hand it to our app ("make primary")."""
        info = await self._info()
        await self._write(AppLeaseInfo(owner_id=info.owner_id, desired_swap_id=self.lease_id))

    async def release(self) -> None:
        """Give the lease up, if we hold it."""
        try:
            await self._blobs.release_lease(self.container, None, lease_id=self.lease_id)
        except (LeaseLostError, NotFoundError):
            return

    async def _info(self) -> AppLeaseInfo:
        """What the blob says. One that nobody can read says nothing: the lease itself is what counts."""
        blob = await self._blobs.download(self.container, self._blob)
        try:
            return decode_app_lease(blob.content.decode()) if blob else AppLeaseInfo()
        except (DecodeError, UnicodeDecodeError) as error:
            _log.warning(
                "the app-lease blob %s in the container %s cannot be read and is written anew by whoever takes the "
                "lease: %s",
                self._blob,
                self.container,
                error,
                extra=fields("app_lease_waiting"),
            )
            return AppLeaseInfo()

    async def _write(self, info: AppLeaseInfo) -> None:
        await self._blobs.upload(self.container, self._blob, encode_app_lease(info).encode())
