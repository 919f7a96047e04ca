"""Runs a function for each blob that is new or has changed, once per ETag.

Containers are polled. A receipt in the store says which version of a blob has been handled, so that a restart does
not handle it again. Source: WebJobs Storage extension, BlobListener, BlobReceiptManager and BlobQueueTriggerExecutor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from emulator.core.json_text import compact
from emulator.engine.polling import Poller
from emulator.errors import StorageError
from emulator.host.blob_path import BlobPath
from emulator.host.function_app import LoadedFunction
from emulator.host.trigger_values import BlobItem
from emulator.listeners.singleton import HOSTS_CONTAINER
from emulator.listeners.work import Surroundings
from emulator.log import fields, get_logger
from emulator.storage.pages import all_blobs
from emulator.storage.ports import ETag, Storage

_log = get_logger(__name__)

POLL_S_MAX: Final = 2.0
"""Ours: the real host scans every few seconds to minutes."""
TRIES_MAX: Final = 5
POISON_QUEUE: Final = "webjobs-blobtrigger-poison"
AT_ONCE_MAX: Final = 8
"""Source: extensions.blobs.maxDegreeOfParallelism, per core."""


class BlobListener:
    """One function's container, while this host holds its lock."""

    def __init__(
        self,
        function: LoadedFunction,
        path: BlobPath,
        storage: Storage,
        receipts: Storage,
        around: Surroundings,
    ) -> None:
        """Nothing is read before run().

        Args:
            storage: where the blobs are.
            receipts: where the host keeps its own.
        """
        self._function = function
        self._path = path
        self._blobs = storage.blobs
        self._receipts = receipts
        self._around = around
        self._work = around.work
        self._outage = around.outage
        self._prefix = f"blobreceipts/{around.host_id}/Host.Functions.{function.name}"
        self._handled: dict[str, ETag] = {}
        self._tries: dict[tuple[str, ETag], int] = {}
        self._poller = Poller(f"listing {path.container}", POLL_S_MAX, around.ids, around.outage)

    async def run(self) -> None:
        """Look for blobs until cancelled."""
        await self._receipts.blobs.create_container(HOSTS_CONTAINER)
        await self._poller.run(self.scan)

    async def scan(self) -> int:
        """Handle what is new in the container; how many blobs that were.

        Raises:
            NotFoundError: there is no such container.
        """
        fresh = [] if self._work.stopping else [item async for item in self._fresh()]
        slots = asyncio.Semaphore(AT_ONCE_MAX)
        async with asyncio.TaskGroup() as group:
            for name, etag in fresh:
                group.create_task(self._handle(name, etag, slots), name=f"blob {name}")
        return len(fresh)

    async def _fresh(self) -> AsyncIterator[tuple[str, ETag]]:
        path = self._path
        async for name, etag in all_blobs(self._blobs, path.container, prefix=path.prefix):
            if self._handled.get(name) == etag or path.match(name) is None:
                continue
            if await self._has_receipt(name, etag):
                self._handled[name] = etag
            else:
                yield name, etag

    async def _handle(self, name: str, etag: ETag, slots: asyncio.Semaphore) -> None:
        async with slots:
            if self._work.stopping:
                return
            try:
                with self._work.unit():
                    await self._try(name, etag)
            except StorageError as error:
                self._outage.given_up(f"handling blobs of {self._path.container}", error)

    async def _try(self, name: str, etag: ETag) -> None:
        found = await self._blobs.download(self._path.container, name)
        if found is None or found.etag != etag:
            return
        item = BlobItem(
            container=self._path.container,
            name=name,
            content=found.content,
            etag=etag,
            uri=self._blobs.blob_url(self._path.container, name),
        )
        reason = f"New blob detected(LogsAndContainerScan): {item.container}/{item.name}"
        if await self._around.run(self._function, item, reason):
            await self._done(name, etag)
            return
        tries = self._tries[name, etag] = self._tries.get((name, etag), 0) + 1
        if tries >= TRIES_MAX:
            await self._poison(item)
            await self._done(name, etag)

    async def _has_receipt(self, name: str, etag: ETag) -> bool:
        found = await self._receipts.blobs.download(HOSTS_CONTAINER, self._receipt(name, etag))
        return found is not None

    async def _done(self, name: str, etag: ETag) -> None:
        await self._receipts.blobs.upload(HOSTS_CONTAINER, self._receipt(name, etag), b"")
        self._handled[name] = etag
        self._tries.pop((name, etag), None)

    def _receipt(self, name: str, etag: ETag) -> str:
        version = etag.strip('"')
        return f"{self._prefix}/{version}/{self._path.container}/{name}"

    async def _poison(self, item: BlobItem) -> None:
        message = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{self._function.name}",
            "BlobType": "BlockBlob",
            "ContainerName": item.container,
            "BlobName": item.name,
            "ETag": item.etag,
        }
        await self._receipts.queues.create_queue(POISON_QUEUE)
        await self._receipts.queues.put(POISON_QUEUE, compact(message))
        _log.warning(
            "The function %s failed %d times for the blob %s/%s. Moving message to queue '%s'.",
            self._function.name,
            TRIES_MAX,
            item.container,
            item.name,
            POISON_QUEUE,
            extra=fields("trigger_poisoned", function=self._function.name),
        )
