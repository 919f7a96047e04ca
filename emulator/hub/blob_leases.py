"""The leases of a hub whose control queues are dealt out by blobs, and the blob that describes such a hub.

Source: DurableTask.AzureStorage, BlobPartitionLeaseManager; reference azure-storage-provider.md 1.2, 9.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from emulator.core.blob_balance import BlobLease
from emulator.errors import ConflictError, DecodeError, LeaseLostError, NotFoundError, StorageError
from emulator.hub.together import together
from emulator.log import fields, get_logger
from emulator.storage.ports import BlobPort
from emulator.wire.lease import (
    HubInfo,
    decode_blob_lease,
    decode_hub_info,
    encode_blob_lease,
    encode_hub_info,
)

_log = get_logger(__name__)


class LeaseBlobs:
    """One folder of leases: a blob for each control queue."""

    def __init__(
        self, blobs: BlobPort, container: str, folder: str, unique: Callable[[], str]
    ) -> None:
        """Name the folder.

        Args:
            unique: gives 32 hex digits that nobody else has.
        """
        self.container = container
        self.folder = folder
        self._blobs = blobs
        self._unique = unique

    async def add(self, control_queue: str) -> bool:
        """Create the blob of a queue, owned by nobody; False if it is there."""
        content = encode_blob_lease(BlobLease(control_queue=control_queue)).encode()
        try:
            await self._blobs.upload(
                self.container, self._name(control_queue), content, only_if_absent=True
            )
        except (ConflictError, LeaseLostError):
            return False
        return True

    async def all(self) -> list[BlobLease]:
        """All leases, in order of queue name.

        Raises:
            NotFoundError: the container is not there.
        """
        page = await self._blobs.list_blobs(self.container, prefix=f"{self.folder}/")
        return await self.read(name.removeprefix(f"{self.folder}/") for name in page.names)

    async def read(self, control_queues: Iterable[str]) -> list[BlobLease]:
        """The leases of these queues, as far as they are there."""
        found = await together([self._read(queue) for queue in control_queues])
        return [lease for lease in found if lease is not None]

    async def _read(self, queue: str) -> BlobLease | None:
        """A blob that nobody can read says nothing: the lease itself is what counts."""
        blob = await self._blobs.download(self.container, self._name(queue))
        if blob is None:
            return None
        try:
            return decode_blob_lease(queue, blob.content.decode(), is_held=blob.leased)
        except (DecodeError, UnicodeDecodeError) as error:
            _log.warning(
                "the lease blob %s in the container %s cannot be read and is written anew by whoever takes its "
                "lease: %s",
                self._name(queue),
                self.container,
                error,
                extra=fields("lease_unreadable"),
            )
            return BlobLease(control_queue=queue, is_held=blob.leased)

    async def take(self, lease: BlobLease, worker: str, *, duration_s: int) -> BlobLease:
        """Take a lease that is free, or another's away, and write down that it is ours.

        Args:
            lease: as it was read just now.
            duration_s: 15 to 60.

        Raises:
            LeaseLostError: another worker was faster.
        """
        taken = replace(
            lease, owner=worker, token=self._token(), epoch=lease.epoch + 1, is_held=True
        )
        await self._lease(lease, taken.token or "", duration_s)
        try:
            await self._write(taken, taken.token)
        except StorageError:
            # A lease that is held under an id which no blob tells can be neither renewed nor taken away.
            with suppress(StorageError):
                await self._release(taken)
            raise
        return taken

    async def _lease(self, lease: BlobLease, token: str, duration_s: int) -> None:
        name = self._name(lease.control_queue)
        if lease.is_held and lease.token:
            await self._blobs.change_lease(
                self.container, name, lease_id=lease.token, proposed_id=token
            )
        else:
            await self._blobs.acquire_lease(
                self.container, name, lease_id=token, duration_s=duration_s
            )

    async def renew(self, lease: BlobLease) -> bool:
        """Keep a lease; False if it is lost. One that ran out is kept, too, unless somebody has taken it since."""
        try:
            await self._blobs.renew_lease(
                self.container, self._name(lease.control_queue), lease_id=lease.token or ""
            )
        except (LeaseLostError, NotFoundError):
            return False
        return True

    async def release(self, lease: BlobLease) -> None:
        """Write down that nobody has it, and give it up. Nothing if it is not ours any more."""
        try:
            await self._write(replace(lease, owner=None, token=None), lease.token)
            await self._release(lease)
        except (LeaseLostError, NotFoundError):
            return

    async def _release(self, lease: BlobLease) -> None:
        await self._blobs.release_lease(
            self.container, self._name(lease.control_queue), lease_id=lease.token or ""
        )

    async def _write(self, lease: BlobLease, token: str | None) -> None:
        await self._blobs.upload(
            self.container,
            self._name(lease.control_queue),
            encode_blob_lease(lease).encode(),
            lease_id=token,
        )

    def _token(self) -> str:
        return str(UUID(self._unique()))

    def _name(self, control_queue: str) -> str:
        return f"{self.folder}/{control_queue}"


async def describe_hub(blobs: BlobPort, container: str, blob: str, info: HubInfo) -> None:
    """Create the blob that describes a hub; one that tells another number of queues is written anew.

    Source: BlobPartitionLeaseManager.GetOrCreateTaskHubInfoAsync.
    """
    found = await blobs.download(container, blob)
    if found is None:
        with suppress(ConflictError):
            await blobs.upload(container, blob, encode_hub_info(info).encode(), only_if_absent=True)
        return
    said = _hub_info(found.content)
    if said is None or _differ(said, info):
        _log.warning(
            "the blob %s in the container %s told of %s and is written anew for task hub %s with %d control queues. "
            "Queues beyond those are read by nobody; with another number instances are looked for in other queues",
            blob,
            container,
            f"task hub {said.task_hub} with {said.partition_count}" if said else "nothing readable",
            info.task_hub,
            info.partition_count,
            extra=fields("lease_unreadable"),
        )
        await blobs.upload(container, blob, encode_hub_info(info).encode())


def _hub_info(content: bytes) -> HubInfo | None:
    try:
        return decode_hub_info(content.decode())
    except (DecodeError, UnicodeDecodeError):
        return None


def _differ(said: HubInfo, info: HubInfo) -> bool:
    return (
        said.task_hub.lower() != info.task_hub.lower()
        or said.partition_count != info.partition_count
    )
