"""All three services in one SQLite file that several processes may share.

Operations that arrive in one turn of the event loop are executed in one transaction (group commit): each checks
before it writes, so that one that is refused leaves the others alone. Rows are clustered by a monotonic number, not
by the random instance id: with 30,000 stored instances that keeps writes as fast as in an empty file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from emulator.errors import ConfigError, EmulatorError, TransientStorageError
from emulator.storage.sources import Clock, IdSource
from emulator.storage.sqlite_blobs import SqliteBlobs
from emulator.storage.sqlite_queues import SqliteQueues
from emulator.storage.sqlite_tables import SqliteTables

T = TypeVar("T")

APPLICATION_ID: Final = 0x44464D55
"""Marks the file as ours ("DFMU")."""
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_MS: Final = 5000

_SCHEMA: Final = """
CREATE TABLE queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL,
  inserted INTEGER NOT NULL, visible INTEGER NOT NULL, count INTEGER NOT NULL, receipt INTEGER NOT NULL);
CREATE INDEX messages_by_visibility ON messages (queue, visible);
CREATE UNIQUE INDEX messages_by_id ON messages (id);
CREATE TABLE tables (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE);
CREATE TABLE rows (
  number INTEGER PRIMARY KEY AUTOINCREMENT, tbl INTEGER NOT NULL, pk TEXT NOT NULL, rk TEXT NOT NULL,
  etag INTEGER NOT NULL, stamp INTEGER NOT NULL, columns TEXT NOT NULL);
CREATE UNIQUE INDEX rows_by_key ON rows (tbl, pk, rk);
CREATE TABLE containers (
  name TEXT PRIMARY KEY, lease TEXT, lease_s INTEGER, lease_until INTEGER) WITHOUT ROWID;
CREATE TABLE blobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, container TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
  etag INTEGER NOT NULL, lease TEXT, lease_s INTEGER, lease_until INTEGER);
CREATE UNIQUE INDEX blobs_by_name ON blobs (container, name);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('tag', 0);
"""

Operation = Callable[[sqlite3.Connection], Any]


class SqliteFile:
    """The connection, and the operations waiting for the next commit."""

    def __init__(self, path: Path) -> None:
        """Name the file; open() opens it."""
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[Operation, asyncio.Future[Any]]] = []

    def open(self) -> None:
        """Open or create the file.

        Raises:
            ConfigError: it cannot be opened, is no such file, or was made by a newer version.
        """
        if self._connection is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, isolation_level=None)
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            self._prepare(connection)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(
                f"the embedded store {self.path} cannot be used: {error}. Check that the folder can be written and "
                "the file is one of ours, or name another with --storage embedded:PATH"
            ) from error
        self._connection = connection

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
            for statement in _SCHEMA.strip().split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")

    def close(self) -> None:
        """Commit what waits and close the file."""
        if self._connection is None:
            return
        self._commit()
        self._connection.close()
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
        waiting, self._waiting = self._waiting, []
        connection = self._connection
        if connection is None or not waiting:
            return
        outcomes: list[Any] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_outcome(operation, connection) for operation, _ in waiting]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = TransientStorageError(f"the embedded store {self.path} failed: {error}")
            outcomes = [failure] * len(waiting)
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def _outcome(operation: Operation, connection: sqlite3.Connection) -> object:
    try:
        return operation(connection)
    except (EmulatorError, ValueError) as error:
        return error


class SqliteStorage:
    """An account in one file (storage.ports.Storage)."""

    def __init__(self, path: Path, clock: Clock, ids: IdSource) -> None:
        """Name the file; open() opens it."""
        self._file = SqliteFile(path)
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
