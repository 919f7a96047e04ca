"""All three services in one SQLite file that several processes may share.

Operations that arrive in one turn of the event loop are executed in one transaction (group commit): each checks
before it writes, so that one that is refused leaves the others alone. Rows are clustered by a monotonic number, not
by the random instance id: with 30,000 stored instances that keeps writes as fast as in an empty file.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from emulator.errors import ConfigError, EmulatorError, InvariantError, TransientStorageError
from emulator.storage.sources import Clock, IdSource
from emulator.storage.sqlite_blobs import SqliteBlobs
from emulator.storage.sqlite_queues import SqliteQueues
from emulator.storage.sqlite_tables import SqliteTables

T = TypeVar("T")

APPLICATION_ID: Final = 0x44464D55
"""Marks the file as ours ("DFMU")."""
SCHEMA_VERSION: Final = 2
TAG_BITS: Final = 40
"""Tags of one opening of the file differ in these bits, those of different ones in the others."""
BUSY_TIMEOUT_S: Final = 5.0
"""How long another process may hold the file before what waits for it fails."""
BUSY_PAUSE_S: Final = 0.001
"""Between looks at a file that another process holds. The loop goes on meanwhile; SQLite's waiting would stop it."""

_SCHEMA: Final = """
CREATE TABLE queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE messages (
  number INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL,
  inserted INTEGER NOT NULL, visible INTEGER NOT NULL, count INTEGER NOT NULL, receipt INTEGER NOT NULL,
  hidden INTEGER NOT NULL);
CREATE INDEX messages_to_receive ON messages (queue) WHERE hidden = 0;
CREATE INDEX messages_by_time ON messages (queue, visible) WHERE hidden = 1;
CREATE TABLE tables (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE);
CREATE TABLE rows (
  number INTEGER PRIMARY KEY, tbl INTEGER NOT NULL, pk TEXT NOT NULL, rk TEXT NOT NULL,
  etag INTEGER NOT NULL, stamp INTEGER NOT NULL, columns TEXT NOT NULL);
CREATE UNIQUE INDEX rows_by_key ON rows (tbl, pk, rk);
CREATE TABLE containers (
  name TEXT PRIMARY KEY, lease TEXT, lease_s INTEGER, lease_until INTEGER) WITHOUT ROWID;
CREATE TABLE blobs (
  number INTEGER PRIMARY KEY, container TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
  etag INTEGER NOT NULL, lease TEXT, lease_s INTEGER, lease_until INTEGER);
CREATE UNIQUE INDEX blobs_by_name ON blobs (container, name);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('openings', 0);
"""

_UPGRADES: Final = {
    1: """
CREATE TABLE messages_2 (
  number INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL,
  inserted INTEGER NOT NULL, visible INTEGER NOT NULL, count INTEGER NOT NULL, receipt INTEGER NOT NULL,
  hidden INTEGER NOT NULL);
INSERT INTO messages_2 SELECT number, queue, id, text, inserted, visible, count, receipt, 1 FROM messages;
DROP TABLE messages;
ALTER TABLE messages_2 RENAME TO messages;
CREATE INDEX messages_to_receive ON messages (queue) WHERE hidden = 0;
CREATE INDEX messages_by_time ON messages (queue, visible) WHERE hidden = 1;
INSERT INTO counters VALUES ('openings', 0);
"""
}
"""Statements that make the next version of one."""

Operation = Callable[[sqlite3.Connection], Any]


class SqliteFile:
    """The connection, and the operations waiting for the next commit."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        """Name the file; open() opens it."""
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[Operation, asyncio.Future[Any]]] = []
        self._busy_since: float | None = None
        self._tags: Iterator[int] = itertools.count()

    def next_tag(self) -> int:
        """See Runner."""
        return next(self._tags)

    def open(self) -> None:
        """Open or create the file.

        Raises:
            ConfigError: it cannot be opened, is no such file, or was made by a newer version.
        """
        if self._connection is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(
                f"the embedded store {self.path} cannot be used: {error}. Check that the folder can be written and "
                "the file is one of ours, or name another with --storage embedded:PATH"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        """A connection to a file that is known to be ours; none is left open if it is not."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout={int(self._busy_timeout_s * 1000)}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            self._prepare(connection)
            connection.execute("PRAGMA busy_timeout=0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        mark: int = connection.execute("PRAGMA application_id").fetchone()[0]
        tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and mark != APPLICATION_ID:
            connection.execute("ROLLBACK")
            raise ConfigError(
                f"{self.path} is a database of another program; name another file with "
                "--storage embedded:PATH"
            )
        if version > SCHEMA_VERSION:
            connection.execute("ROLLBACK")
            raise ConfigError(
                f"{self.path} was made by a newer version of this program (format {version}, this one reads "
                f"{SCHEMA_VERSION}); upgrade, or name another file with --storage embedded:PATH"
            )
        if not tables:
            _execute_script(connection, _SCHEMA)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        else:
            for older in range(version, SCHEMA_VERSION):
                _execute_script(connection, _UPGRADES[older])
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._tags = itertools.count(_count_opening(connection) << TAG_BITS)
        connection.execute("COMMIT")

    def close(self) -> None:
        """Commit what waits and close the file."""
        connection = self._connection
        if connection is None:
            return
        if self._waiting:
            connection.execute(f"PRAGMA busy_timeout={int(self._busy_timeout_s * 1000)}")
            self._execute_all(connection)
        connection.close()
        self._connection = None

    async def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Execute an operation with all others of this turn of the loop, in order of arrival.

        Raises:
            EmulatorError: the operation refused.
            TransientStorageError: the file is locked for too long, full, or not open.
        """
        if self._connection is None:
            raise TransientStorageError(f"the embedded store {self.path} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit)
        self._waiting.append((operation, future))
        return await future

    def _commit(self) -> None:
        """Execute what waits, or look again soon if another process holds the file."""
        connection = self._connection
        if connection is None or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            since = self._busy_since = self._busy_since or loop.time()
            if _is_busy(error) and loop.time() - since < self._busy_timeout_s:
                loop.call_later(BUSY_PAUSE_S, self._commit)
                return
        self._busy_since = None
        self._execute_all(connection)

    def _execute_all(self, connection: sqlite3.Connection) -> None:
        """Execute what waits in one transaction, which may have begun."""
        waiting, self._waiting = self._waiting, []
        outcomes: list[Any] = []
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            outcomes = [_outcome(operation, connection) for operation, _ in waiting]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a defect in one operation must not leave the others waiting
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            outcomes = [self._failure(error) for _ in waiting]
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error):
            return TransientStorageError(f"the embedded store {self.path} failed: {error}")
        return InvariantError(f"an operation on the embedded store {self.path} failed: {error!r}")


def _execute_script(connection: sqlite3.Connection, script: str) -> None:
    """Statements in the transaction that has begun; executescript() would end it."""
    for statement in script.strip().split(";\n"):
        connection.execute(statement)


def _count_opening(connection: sqlite3.Connection) -> int:
    """How often the file has been opened, this time included."""
    found = connection.execute(
        "UPDATE counters SET value = value + 1 WHERE name = 'openings' RETURNING value"
    ).fetchone()
    return int(found[0])


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _outcome(operation: Operation, connection: sqlite3.Connection) -> object:
    try:
        return operation(connection)
    except (EmulatorError, ValueError) as error:
        return error


class SqliteStorage:
    """An account in one file (storage.ports.Storage)."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        ids: IdSource,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Name the file; open() opens it."""
        self._file = SqliteFile(path, busy_timeout_s=busy_timeout_s)
        self._queues = SqliteQueues(self._file, clock, ids)
        self._tables = SqliteTables(self._file, clock)
        self._blobs = SqliteBlobs(self._file, clock)

    @property
    def queues(self) -> SqliteQueues:
        """The Queue service."""
        return self._queues

    @property
    def tables(self) -> SqliteTables:
        """The Table service."""
        return self._tables

    @property
    def blobs(self) -> SqliteBlobs:
        """The Blob service."""
        return self._blobs

    @property
    def description(self) -> str:
        """What a person would call it."""
        return f"embedded store {self._file.path}"

    @property
    def is_local(self) -> bool:
        """It lies on this machine."""
        return True

    async def open(self) -> None:
        """See Storage."""
        self._file.open()

    async def close(self) -> None:
        """See Storage."""
        self._file.close()
