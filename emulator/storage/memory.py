"""All three services in memory: for tests, virtual time and throw-away runs. Nothing survives the process."""

from __future__ import annotations

from emulator.storage.memory_blobs import MemoryBlobs
from emulator.storage.memory_queues import MemoryQueues
from emulator.storage.memory_tables import MemoryTables
from emulator.storage.sources import Clock, IdSource


class MemoryStorage:
    """An account in memory (storage.ports.Storage)."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        """Begin empty."""
        self._queues = MemoryQueues(clock, ids)
        self._tables = MemoryTables(clock)
        self._blobs = MemoryBlobs(clock)

    @property
    def queues(self) -> MemoryQueues:
        """The Queue service."""
        return self._queues

    @property
    def tables(self) -> MemoryTables:
        """The Table service."""
        return self._tables

    @property
    def blobs(self) -> MemoryBlobs:
        """The Blob service."""
        return self._blobs

    @property
    def description(self) -> str:
        """What a person would call it."""
        return "memory"

    @property
    def is_local(self) -> bool:
        """It lies in this process."""
        return True

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to give back; the content stays for as long as the object does."""
