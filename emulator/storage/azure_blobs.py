"""The Blob service of Azure Storage, through its SDK."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient, ContainerClient

from emulator.storage.azure_errors import mapped
from emulator.storage.ports import Blob, BlobPage, ETag

_BINARY = ContentSettings(content_type="application/octet-stream")


class AzureBlobs:
    """storage.ports.BlobPort over azure-storage-blob."""

    def __init__(self, service: BlobServiceClient, endpoint: str) -> None:
        """Use an open client.

        Args:
            endpoint: address of the service, for blob_url().
        """
        self._service = service
        self._endpoint = endpoint

    async def create_container(self, container: str) -> bool:
        """See BlobPort."""
        with mapped(f"creating container {container}"):
            try:
                await self._container(container).create_container()
            except ResourceExistsError:
                return False
            return True

    async def delete_container(self, container: str, *, lease_id: str | None = None) -> bool:
        """See BlobPort."""
        options: dict[str, Any] = {} if lease_id is None else {"lease": lease_id}
        with mapped(f"deleting container {container}"):
            try:
                await self._container(container).delete_container(**options)
            except ResourceNotFoundError:
                return False
            return True

    async def list_containers(self, prefix: str = "") -> tuple[str, ...]:
        """See BlobPort."""
        with mapped("listing containers"):
            found = self._service.list_containers(name_starts_with=prefix or None)
            return tuple(sorted([str(item.name) async for item in found]))

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
        options: dict[str, Any] = {"overwrite": not only_if_absent, "content_settings": _BINARY}
        if etag is not None:
            options |= {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        if lease_id is not None:
            options["lease"] = lease_id
        with mapped(f"uploading a blob to container {container}"):
            answer = await self._blob(container, blob).upload_blob(content, **options)
        return ETag(str(answer["etag"]))

    async def download(self, container: str, blob: str) -> Blob | None:
        """See BlobPort."""
        with mapped(f"downloading a blob of container {container}"):
            try:
                stream = await self._blob(container, blob).download_blob()
                content = await stream.readall()
            except ResourceNotFoundError:
                return None
        properties = stream.properties
        return Blob(
            content=content,
            etag=ETag(str(properties.etag)),
            leased=properties.lease.state == "leased",
        )

    async def delete_blob(self, container: str, blob: str) -> bool:
        """See BlobPort."""
        with mapped(f"deleting a blob of container {container}"):
            try:
                await self._blob(container, blob).delete_blob()
            except ResourceNotFoundError:
                return False
            return True

    async def list_blobs(
        self, container: str, *, prefix: str = "", continuation: str | None = None
    ) -> BlobPage:
        """See BlobPort."""
        with mapped(f"listing the blobs of container {container}"):
            pages: Any = (
                self._container(container)
                .list_blobs(name_starts_with=prefix or None)
                .by_page(continuation_token=continuation)
            )
            async for page in pages:
                found = [(str(item.name), _quoted(str(item.etag))) async for item in page]
                return BlobPage(
                    names=tuple(name for name, _ in found),
                    etags=tuple(etag for _, etag in found),
                    continuation=pages.continuation_token or None,
                )
        return BlobPage(names=(), etags=(), continuation=None)

    async def acquire_lease(
        self, container: str, blob: str | None, *, lease_id: str, duration_s: int
    ) -> None:
        """See BlobPort."""
        with mapped(f"taking the lease of {_what(container, blob)}"):
            await self._lease(container, blob, lease_id).acquire(lease_duration=duration_s)

    async def renew_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""
        with mapped(f"renewing the lease of {_what(container, blob)}"):
            await self._lease(container, blob, lease_id).renew()

    async def change_lease(
        self, container: str, blob: str | None, *, lease_id: str, proposed_id: str
    ) -> None:
        """See BlobPort."""
        with mapped(f"changing the lease of {_what(container, blob)}"):
            await self._lease(container, blob, lease_id).change(proposed_lease_id=proposed_id)

    async def release_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""
        with mapped(f"releasing the lease of {_what(container, blob)}"):
            await self._lease(container, blob, lease_id).release()

    def blob_url(self, container: str, blob: str) -> str:
        """See BlobPort."""
        return f"{self._endpoint}/{container}/{quote(blob, safe='/-_.~')}"

    def _container(self, name: str) -> ContainerClient:
        return self._service.get_container_client(name)

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(container, name)

    def _lease(self, container: str, blob: str | None, lease_id: str) -> BlobLeaseClient:
        client = self._container(container) if blob is None else self._blob(container, blob)
        return BlobLeaseClient(client, lease_id=lease_id)


def _quoted(etag: str) -> ETag:
    """A listing has ETags without the quotes that headers have."""
    return ETag(etag if etag.startswith('"') else f'"{etag}"')


def _what(container: str, blob: str | None) -> str:
    return f"container {container}" if blob is None else f"blob {blob} in container {container}"
