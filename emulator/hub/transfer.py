"""Writes an image of a hub into a store.

Order: blobs, rows, then messages, so that whoever is woken by a message finds what it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.hub.image import HubImage, Renaming
from emulator.storage.ports import (
    TRANSACTION_OPERATIONS_MAX,
    Row,
    Storage,
    Write,
    WriteKind,
)

TRANSACTION_CHARACTERS_MAX: Final = 700_000
"""Of the long texts in one transaction: below the 4 MiB of the service, whatever they are made of."""


@dataclass(slots=True)
class Transferred:
    """How much was written, and how many messages could not be."""

    rows: int = 0
    blobs: int = 0
    messages: int = 0
    unseen: int = 0

    @property
    def total(self) -> int:
        """Everything that was written."""
        return self.rows + self.blobs + self.messages


async def transfer(
    image: HubImage, storage: Storage, renaming: Renaming, progress: Callable[[int], None]
) -> Transferred:
    """Write everything under its new names.

    Args:
        progress: told of the number of things written so far.
    """
    done = Transferred()
    await _blobs(image, storage, renaming, done, progress)
    for table in image.tables():
        await _rows(image, table, storage, renaming, done, progress)
    for name in image.queues():
        queue = await image.queue(name)
        target = renaming.other(name)
        await storage.queues.create_queue(target)
        for message in queue.messages:
            await storage.queues.put(target, message.text)
        done.messages += len(queue.messages)
        done.unseen += queue.unseen
        progress(done.total)
    return done


async def _blobs(
    image: HubImage,
    storage: Storage,
    renaming: Renaming,
    done: Transferred,
    progress: Callable[[int], None],
) -> None:
    for container in image.containers():
        target = renaming.other(container)
        await storage.blobs.create_container(target)
        async for item in image.blobs(container):
            name = renaming.blob(container, item.name)
            content = renaming.content(container, item.name, item.blob.content)
            await storage.blobs.upload(target, name, content)
            done.blobs += 1
            progress(done.total)


async def _rows(
    image: HubImage,
    table: str,
    storage: Storage,
    renaming: Renaming,
    done: Transferred,
    progress: Callable[[int], None],
) -> None:
    target = renaming.table(table)
    await storage.tables.create_table(target)
    batch: list[Write] = []
    size = 0
    async for row in image.rows(table):
        write = _write(renaming.row(table, row))
        length = sum(len(v) for v in write.columns.values() if isinstance(v, str | bytes))
        other = bool(batch) and batch[0].key.partition != write.key.partition
        full = (
            len(batch) == TRANSACTION_OPERATIONS_MAX or size + length > TRANSACTION_CHARACTERS_MAX
        )
        if batch and (other or full):
            await storage.tables.transact(target, batch)
            batch, size = [], 0
        batch.append(write)
        size += length
        done.rows += 1
        progress(done.total)
    if batch:
        await storage.tables.transact(target, batch)


def _write(row: Row) -> Write:
    return Write(kind=WriteKind.UPSERT_REPLACE, key=row.key, columns=row.columns)
