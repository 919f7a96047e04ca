"""Recorded writes, applied one by one to a store of ours: the hub as it stood after any of them.

Receives hide the messages that were recorded, by update, since a store of ours might choose others. Time-outs of
receives are short, as in a hub whose hosts are set so; leases of blobs are left out, as if they had lapsed.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Final
from xml.etree import ElementTree

from emulator.core.instant import TICKS_PER_SECOND, Instant
from emulator.errors import NotFoundError
from emulator.storage.ports import MessageHandle, Storage, Write, WriteKind
from tests.support.rows import written
from tests.support.transcripts import Blocks, Call, RowChange

HELD_S: Final = 5
"""For how long a message that the other worker received stays hidden."""
_RECORDED_BLOBS: Final = re.compile(r"http://127\.0\.0\.1:22010/devstoreaccount1")
_KINDS: Final = {
    "POST": WriteKind.INSERT,
    "PUT": WriteKind.UPSERT_REPLACE,
    "PATCH": WriteKind.UPSERT_MERGE,
}


class Replay:
    """Applies calls to a store.

    Args:
        base64_messages: write messages as versions 1 of the provider did.
        short_leases: let leases of partitions last as short as the time-outs of receives.
    """

    def __init__(
        self, storage: Storage, *, base64_messages: bool = False, short_leases: bool = False
    ) -> None:
        self._short_leases = short_leases
        self._storage = storage
        self._base64 = base64_messages
        self._handles: dict[str, MessageHandle] = {}
        """Of the messages that are there, by their recorded ids."""
        self._blocks = Blocks()
        self._account = storage.blobs.blob_url("", "").rstrip("/")

    async def apply(self, call: Call) -> None:
        """Do what a call did. What it means to delete may be gone already, by ours."""
        await getattr(self, f"_{call.service}")(call)

    async def _blob(self, call: Call) -> None:
        blobs = self._storage.blobs
        container, _, name = call.path.partition("/")
        if call.query.get("restype") == "container":
            await blobs.create_container(container)
        elif call.method == "DELETE":
            await blobs.delete_blob(container, name)
        elif (content := self._blocks.written(call)) is not None:
            await blobs.upload(container, name, content)

    async def _table(self, call: Call) -> None:
        if not call.rows:
            await self._storage.tables.create_table(json.loads(call.members["body"])["TableName"])
            return
        writes = [self._write(change) for change in call.rows]
        try:
            if call.path == "$batch":
                await self._storage.tables.transact(call.rows[0].table, writes)
            else:
                await self._storage.tables.write(call.rows[0].table, writes[0])
        except NotFoundError:
            if call.rows[0].method != "DELETE":
                raise

    def _write(self, change: RowChange) -> Write:
        if change.method == "DELETE":
            return Write(kind=WriteKind.DELETE, key=change.key)
        columns = written(change.columns)
        for name, value in columns.items():
            if isinstance(value, str):
                columns[name] = _RECORDED_BLOBS.sub(self._account, value)
        renewed = columns.get("LastRenewal")
        if self._short_leases and isinstance(renewed, Instant):
            columns["ExpiresAt"] = Instant(renewed + HELD_S * TICKS_PER_SECOND)
        return Write(kind=_KINDS[change.method], key=change.key, columns=columns)

    async def _queue(self, call: Call) -> None:
        queue, _, rest = call.path.partition("/")
        if not rest:
            await self._storage.queues.create_queue(queue)
        elif call.text is not None:
            await self._put(queue, call)
        elif call.method == "GET":
            for message in call.replied:
                await self._hide(queue, _id(message), HELD_S)
        elif call.method == "PUT":
            await self._hide(queue, _last(rest), int(call.query["visibilitytimeout"]))
        else:
            await self._delete(queue, _last(rest))

    async def _put(self, queue: str, call: Call) -> None:
        assert call.text is not None
        hidden = int(call.query.get("visibilitytimeout", 0))
        text = b64encode(call.text.encode()).decode() if self._base64 else call.text
        handle = await self._storage.queues.put(queue, text, visibility_timeout_s=hidden)
        self._handles[_id(call.replied[0])] = handle

    async def _hide(self, queue: str, message_id: str, seconds: int) -> None:
        handle = self._handles[message_id]
        self._handles[message_id] = await self._storage.queues.update(
            queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=seconds
        )

    async def _delete(self, queue: str, message_id: str) -> None:
        handle = self._handles.pop(message_id)
        await self._storage.queues.delete(queue, handle.message_id, handle.pop_receipt)


def _id(message: ElementTree.Element) -> str:
    return message.findtext("MessageId") or ""


def _last(path: str) -> str:
    return path.rpartition("/")[2]
