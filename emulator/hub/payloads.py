"""Payloads that are too large for a message or a column: gzip blobs in the hub's large-message container."""

from __future__ import annotations

from contextlib import suppress

from emulator.errors import DecodeError, NotFoundError
from emulator.storage.pages import all_blobs
from emulator.storage.ports import BlobPort
from emulator.wire.spill import pack, unpack


class PayloadStore:
    """Blobs of one container, which is created when it is first needed."""

    def __init__(self, blobs: BlobPort, container: str) -> None:
        """Name the container; nothing is created yet."""
        self._blobs = blobs
        self.container = container
        self._created = False

    async def upload(self, name: str, text: str) -> None:
        """Store a payload under a name, in place of what was there."""
        if not self._created:
            await self._blobs.create_container(self.container)
            self._created = True
        await self._blobs.upload(self.container, name, pack(text))

    async def download(self, name: str) -> str:
        """Read a payload.

        Raises:
            NotFoundError: there is no such blob.
            DecodeError: it is no gzip of UTF-8 text.
        """
        blob = await self._blobs.download(self.container, name)
        if blob is None:
            raise NotFoundError(
                f"the large payload {name!r} is missing from the blob container {self.container!r}"
            )
        try:
            return unpack(blob.content)
        except (OSError, EOFError, ValueError) as error:
            raise DecodeError(
                f"the blob {name!r} in the container {self.container!r} is no packed payload"
            ) from error

    def url(self, name: str) -> str:
        """What stands for the payload in an Instances column."""
        return self._blobs.blob_url(self.container, name)

    def name_of(self, url: str) -> str | None:
        """The blob behind such an address; None if it does not point into this container."""
        from urllib.parse import unquote

        prefix = self._blobs.blob_url(self.container, "")
        return unquote(url[len(prefix) :]) if url.startswith(prefix) else None

    async def delete(self, name: str) -> None:
        """Delete one payload, if it is there."""
        await self._blobs.delete_blob(self.container, name)

    async def names(self, prefix: str) -> list[str]:
        """Payloads whose name starts with a prefix; none if the container does not exist."""
        found: list[str] = []
        with suppress(NotFoundError):
            async for name, _ in all_blobs(self._blobs, self.container, prefix=prefix):
                found.append(name)
        return found
