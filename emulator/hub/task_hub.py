"""A task hub: its queues, tables and containers under one name."""

from __future__ import annotations

import itertools
from asyncio import Lock
from collections.abc import Awaitable, Callable

from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.core.partition import partition_of
from emulator.errors import LeaseLostError
from emulator.hub.blob_leases import LeaseBlobs, describe_hub
from emulator.hub.history import HistoryTable
from emulator.hub.instances import InstanceTable
from emulator.hub.leases import AppLease, PartitionTable
from emulator.hub.message_queue import MessageQueue
from emulator.hub.payloads import PayloadStore
from emulator.hub.together import together
from emulator.log import fields, get_logger
from emulator.settings import HubSettings
from emulator.storage.ports import Storage
from emulator.wire.lease import HubInfo
from emulator.wire.names import HubNames

_log = get_logger(__name__)


class TaskHub:
    """Everything that belongs to one hub name on one account."""

    def __init__(self, storage: Storage, settings: HubSettings, unique: Callable[[], str]) -> None:
        """Name everything; nothing is created or read yet.

        Args:
            unique: gives 32 hex digits that nobody else has.
        """
        self.storage = storage
        self.settings = settings
        self.names = HubNames(settings.hub_name)
        self.payloads = PayloadStore(storage.blobs, self.names.large_messages)
        self.history = HistoryTable(self.names.history, storage.tables, self.payloads, unique)
        self.instances = InstanceTable(
            self.names.instances,
            storage.tables,
            self.payloads,
            unique,
            fetch_large=settings.fetch_large_messages,
        )
        self.partitions = PartitionTable(self.names.partitions, storage.tables)
        """The leases of a hub whose queues are dealt out by a table."""
        self.intents = self._leases(self.names.intents, unique)
        """The leases of a hub whose queues are dealt out by blobs: who is to read a queue."""
        self.ownerships = self._leases(self.names.ownerships, unique)
        """And who reads it."""
        self.app_lease = AppLease(
            storage.blobs, self.names.app_lease, self.names.app_lease_info, settings.app_name
        )
        self.control_queues = tuple(
            self._queue(self.names.control_queue(index))
            for index in range(settings.partition_count)
        )
        self.work_items = self._queue(self.names.work_items)
        self._created = False
        self._creating = Lock()

    @property
    def name(self) -> str:
        """The hub's name in its own case."""
        return self.settings.hub_name

    def control_queue_of(self, instance: InstanceId) -> int:
        """Which control queue an instance's messages go to."""
        return partition_of(instance, self.settings.partition_count)

    async def ensure(self, now: Instant) -> None:
        """Create what is missing; once per process, unless that failed.

        Order: app lease, partitions, then everything else together.

        Args:
            now: stands in the description of a new hub whose queues are dealt out by blobs.
        """
        async with self._creating:
            if self._created:
                return
            await self.app_lease.create()
            await self._create_lease_store(now)
            await together(
                [
                    self._create_table(self.names.history),
                    self._create_table(self.names.instances),
                    self._create_queue(self.names.work_items),
                    *(self._create_control_queue(queue.name) for queue in self.control_queues),
                ]
            )
            self._created = True

    async def delete(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Delete everything that belongs to the hub; what is not there is no error.

        Args:
            progress: told of the number of queues, tables and containers that are gone so far.
        """
        await self.app_lease.release()
        queues = await self.storage.queues.list_queues(self.names.prefix)
        tables = (self.names.history, self.names.instances, self.names.partitions)
        containers = (self.names.app_lease, self.names.large_messages, self.names.leases)
        numbers = itertools.count(1)

        async def delete(by: Callable[[str], Awaitable[None]], name: str) -> None:
            await by(name)
            progress(next(numbers))

        await together(
            [
                *(delete(self._delete_queue, q) for q in queues if self.names.owns_queue(q)),
                *(delete(self._delete_table, table) for table in tables),
                *(delete(self._delete_container, container) for container in containers),
            ]
        )
        self._created = False

    async def _create_lease_store(self, now: Instant) -> None:
        if self.settings.use_table_partition_management:
            await self.storage.tables.create_table(self.names.partitions)
            return
        container = self.names.leases
        await self.storage.blobs.create_container(container)
        count = self.settings.partition_count
        info = HubInfo(task_hub=self.name, created_at=now, partition_count=count)
        await describe_hub(self.storage.blobs, container, self.names.hub_info, info)

    def _leases(self, folder: str, unique: Callable[[], str]) -> LeaseBlobs:
        return LeaseBlobs(self.storage.blobs, self.names.leases, folder, unique)

    def _queue(self, name: str) -> MessageQueue:
        return MessageQueue(
            name, self.storage.queues, self.payloads, base64=self.settings.base64_messages
        )

    async def _create_table(self, name: str) -> None:
        await self.storage.tables.create_table(name)

    async def _create_queue(self, name: str) -> None:
        await self.storage.queues.create_queue(name)

    async def _create_control_queue(self, name: str) -> None:
        await self.storage.queues.create_queue(name)
        if self.settings.use_table_partition_management:
            await self.partitions.add(name)
            return
        await self.intents.add(name)
        await self.ownerships.add(name)

    async def _delete_queue(self, name: str) -> None:
        await self.storage.queues.delete_queue(name)

    async def _delete_table(self, name: str) -> None:
        await self.storage.tables.delete_table(name)

    async def _delete_container(self, name: str) -> None:
        try:
            await self.storage.blobs.delete_container(name)
        except LeaseLostError:
            _log.warning(
                "the container %s is leased by someone else and was left behind",
                name,
                extra=fields("app_lease_waiting"),
            )
