"""Queues in the embedded store."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any, Final

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.errors import NotFoundError, PopReceiptMismatchError, StorageError
from emulator.storage.ports import MessageHandle, QueueMessage
from emulator.storage.rules import check_message
from emulator.storage.sources import Clock, IdSource
from emulator.storage.sqlite_runner import Runner

_SURFACE: Final = "UPDATE messages SET hidden = 0 WHERE queue = ? AND hidden = 1 AND visible <= ?"
"""What has become visible joins the others; `hidden` says in which of the two indexes a message is."""
_VISIBLE: Final = (
    "SELECT number, id, text, inserted, count, receipt FROM messages "
    "WHERE queue = ? AND hidden = 0 ORDER BY number LIMIT ?"
)
_HIDE: Final = (
    "UPDATE messages SET visible = ?, hidden = 1, count = count + 1, receipt = receipt + 1 "
    "WHERE number = ?"
)
_PUT: Final = (
    "INSERT INTO messages (id, text, inserted, visible, hidden, queue, count, receipt) "
    "SELECT ?, ?, ?, ?, ?, name, 0, 0 FROM queues WHERE name = ?"
)
_HELD: Final = "WHERE number = ? AND receipt = ? AND id = ? AND queue = ?"
_DELETE: Final = f"DELETE FROM messages {_HELD}"
_UPDATE: Final = f"UPDATE messages SET visible = ?, hidden = ?, receipt = receipt + 1, text = coalesce(?, text) {_HELD}"


class SqliteQueues:
    """The Queue service in a file (storage.ports.QueuePort)."""

    def __init__(self, file: Runner, clock: Clock, ids: IdSource) -> None:
        """Work on an open file."""
        self._file = file
        self._clock = clock
        self._ids = ids

    async def create_queue(self, queue: str) -> bool:
        """See QueuePort."""

        def run(db: sqlite3.Connection) -> bool:
            return db.execute("INSERT OR IGNORE INTO queues VALUES (?)", (queue,)).rowcount > 0

        return await self._file.run(run)

    async def delete_queue(self, queue: str) -> bool:
        """See QueuePort."""

        def run(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM messages WHERE queue = ?", (queue,))
            return db.execute("DELETE FROM queues WHERE name = ?", (queue,)).rowcount > 0

        return await self._file.run(run)

    async def list_queues(self, prefix: str = "") -> tuple[str, ...]:
        """See QueuePort."""

        def run(db: sqlite3.Connection) -> tuple[str, ...]:
            names = db.execute("SELECT name FROM queues ORDER BY name")
            return tuple(name for (name,) in names if name.startswith(prefix))

        return await self._file.run(run)

    async def put(self, queue: str, text: str, *, visibility_timeout_s: int = 0) -> MessageHandle:
        """See QueuePort."""
        check_message(text)
        now = self._clock.now()
        visible = now.plus(timedelta(seconds=visibility_timeout_s))
        message_id = self._ids.guid()

        def run(db: sqlite3.Connection) -> MessageHandle:
            done = db.execute(
                _PUT, (message_id, text, int(now), int(visible), visible > now, queue)
            )
            if not done.rowcount:
                raise _no_queue(queue)
            receipt = _receipt(done.lastrowid, 0)
            return MessageHandle(
                message_id=message_id, pop_receipt=receipt, next_visible_at=visible
            )

        return await self._file.run(run)

    async def receive(
        self, queue: str, *, count: int, visibility_timeout_s: int
    ) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        now = self._clock.now()
        visible = now.plus(timedelta(seconds=visibility_timeout_s))

        def run(db: sqlite3.Connection) -> tuple[QueueMessage, ...]:
            _require_queue(db, queue)
            found = _first_visible(db, queue, now, count)
            db.executemany(_HIDE, [(int(visible), number) for number, *_ in found])
            return tuple(
                _message(
                    message_id, _receipt(number, receipt + 1), visible, text, inserted, times + 1
                )
                for number, message_id, text, inserted, times, receipt in found
            )

        return await self._file.run(run)

    async def peek(self, queue: str, *, count: int) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        now = self._clock.now()

        def run(db: sqlite3.Connection) -> tuple[QueueMessage, ...]:
            _require_queue(db, queue)
            found = _first_visible(db, queue, now, count)
            return tuple(
                _message(message_id, "", MIN_INSTANT, text, inserted, times)
                for _, message_id, text, inserted, times, _ in found
            )

        return await self._file.run(run)

    async def update(
        self,
        queue: str,
        message_id: str,
        pop_receipt: str,
        *,
        visibility_timeout_s: int,
        text: str | None = None,
    ) -> MessageHandle:
        """See QueuePort."""
        if text is not None:
            check_message(text)
        now = self._clock.now()
        visible = now.plus(timedelta(seconds=visibility_timeout_s))

        number, times = _held_by(pop_receipt)

        def run(db: sqlite3.Connection) -> MessageHandle:
            done = db.execute(
                _UPDATE, (int(visible), visible > now, text, number, times, message_id, queue)
            )
            if not done.rowcount:
                raise _not_held(db, queue, message_id)
            return MessageHandle(
                message_id=message_id,
                pop_receipt=_receipt(number, times + 1),
                next_visible_at=visible,
            )

        return await self._file.run(run)

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> None:
        """See QueuePort."""

        def run(db: sqlite3.Connection) -> None:
            if not db.execute(_DELETE, (*_held_by(pop_receipt), message_id, queue)).rowcount:
                raise _not_held(db, queue, message_id)

        await self._file.run(run)

    async def message_count(self, queue: str) -> int:
        """See QueuePort."""

        def run(db: sqlite3.Connection) -> int:
            _require_queue(db, queue)
            found = db.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,))
            return int(found.fetchone()[0])

        return await self._file.run(run)


def _first_visible(
    db: sqlite3.Connection, queue: str, now: Instant, count: int
) -> list[tuple[Any, ...]]:
    """In the order in which they were put."""
    db.execute(_SURFACE, (queue, int(now)))
    return db.execute(_VISIBLE, (queue, count)).fetchall()


def _require_queue(db: sqlite3.Connection, queue: str) -> None:
    if db.execute("SELECT 1 FROM queues WHERE name = ?", (queue,)).fetchone() is None:
        raise _no_queue(queue)


def _no_queue(queue: str) -> NotFoundError:
    return NotFoundError(f"there is no queue {queue!r}")


def _receipt(number: int | None, times: int) -> str:
    """A message is found by its number, and held by who knows how often it was handed out or changed."""
    return f"{number}.{times}"


def _held_by(pop_receipt: str) -> tuple[int, int]:
    number, _, times = pop_receipt.partition(".")
    return (int(number), int(times)) if number.isdecimal() and times.isdecimal() else (-1, -1)


def _not_held(db: sqlite3.Connection, queue: str, message_id: str) -> StorageError:
    found = db.execute("SELECT 1 FROM messages WHERE queue = ? AND id = ?", (queue, message_id))
    if found.fetchone() is not None:
        return PopReceiptMismatchError(f"message {message_id!r} was dequeued or updated since")
    _require_queue(db, queue)
    return NotFoundError(f"there is no message {message_id!r} in queue {queue!r}")


def _message(
    message_id: str, receipt: str, visible: Instant, text: str, inserted: int, count: int
) -> QueueMessage:
    handle = MessageHandle(message_id=message_id, pop_receipt=receipt, next_visible_at=visible)
    return QueueMessage(
        handle=handle, text=text, inserted_at=Instant(inserted), dequeue_count=count
    )
