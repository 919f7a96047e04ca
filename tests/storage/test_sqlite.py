"""The file of the embedded store: shared, locked, full."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from emulator.errors import ConfigError, EtagMismatchError, InvariantError, TransientStorageError
from emulator.storage.ports import RowKey, Write, WriteKind
from emulator.storage.sqlite import SqliteStorage
from tests.support.clocks import CountedIds
from tests.support.stores import system_sources

ROUNDS = 150

PEER = """
import asyncio, sys
from pathlib import Path
from emulator.engine.clock import SystemClock, SystemIds
from emulator.storage.sqlite import SqliteStorage
from tests.storage.test_sqlite import work

async def main():
    storage = SqliteStorage(Path(sys.argv[1]), SystemClock(), SystemIds())
    await storage.open()
    await work(storage, "theirs")
    await storage.close()

asyncio.run(main())
"""


async def work(storage: SqliteStorage, name: str) -> None:
    """Put messages and add to a row that the other process adds to as well, with its tag."""
    for number in range(ROUNDS):
        await storage.queues.put("shared", f"{name} {number}")
        await add_one(storage)


async def add_one(storage: SqliteStorage) -> None:
    key = RowKey(partition="p", row="sum")
    while True:
        row = await storage.tables.get("Rows", key)
        assert row is not None
        columns = {"n": int(str(row.columns["n"])) + 1}
        try:
            await storage.tables.write(
                "Rows", Write(kind=WriteKind.MERGE, key=key, columns=columns, etag=row.etag)
            )
        except EtagMismatchError:
            continue
        return


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[SqliteStorage]:
    clock, _ = system_sources()
    storage = SqliteStorage(path, clock, CountedIds(), busy_timeout_s=0.3)
    await storage.open()
    await storage.queues.create_queue("shared")
    try:
        yield storage
    finally:
        await storage.close()


@pytest.mark.slow
async def test_two_processes_share_a_file(storage: SqliteStorage, path: Path) -> None:
    await storage.tables.create_table("Rows")
    key = RowKey(partition="p", row="sum")
    await storage.tables.write("Rows", Write(kind=WriteKind.INSERT, key=key, columns={"n": 0}))
    peer = subprocess.Popen([sys.executable, "-c", PEER, str(path)])  # noqa: ASYNC220 - returns at once
    await work(storage, "ours")
    assert await asyncio.to_thread(peer.wait) == 0
    row = await storage.tables.get("Rows", key)
    assert row is not None
    assert row.columns == {"n": 2 * ROUNDS}
    texts: list[str] = []
    while batch := await storage.queues.receive("shared", count=32, visibility_timeout_s=60):
        texts += [message.text for message in batch]
    assert sorted(texts) == sorted(
        f"{who} {n}" for who in ("ours", "theirs") for n in range(ROUNDS)
    )
    assert [text for text in texts if text.startswith("ours")] == [
        f"ours {n}" for n in range(ROUNDS)
    ]


async def test_a_locked_file_is_waited_for_and_the_loop_goes_on(
    storage: SqliteStorage, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.TaskGroup() as group:
        puts = [group.create_task(storage.queues.put("shared", str(n))) for n in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(put.done() for put in puts)
        puts.append(group.create_task(storage.queues.put("shared", "3")))
        other.execute("COMMIT")
    other.close()
    assert await storage.queues.message_count("shared") == 4


async def test_a_file_that_stays_locked_is_transient(storage: SqliteStorage, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientStorageError, match="locked"):
        await storage.queues.put("shared", "lost")
    other.execute("COMMIT")
    other.close()
    await storage.queues.put("shared", "kept")
    assert await storage.queues.message_count("shared") == 1


async def test_what_waits_for_a_lock_is_written_when_the_file_is_closed(
    storage: SqliteStorage, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.TaskGroup() as group:
        put = group.create_task(storage.queues.put("shared", "late"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        other.execute("COMMIT")
        await storage.close()
    assert put.result().message_id
    assert other.execute("SELECT text FROM messages").fetchall() == [("late",)]
    other.close()


async def test_a_full_disk_is_transient_and_loses_nothing(storage: SqliteStorage) -> None:
    await storage.queues.put("shared", "before")
    connection = storage._file._connection
    assert connection is not None
    [used] = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={used + 4}")
    with pytest.raises(TransientStorageError, match="full"):
        await storage.queues.put("shared", "x" * 60_000)
    assert await storage.queues.message_count("shared") == 1
    connection.execute("PRAGMA max_page_count=1000000")
    await storage.queues.put("shared", "x" * 60_000)
    assert await storage.queues.message_count("shared") == 2


async def test_a_defect_in_an_operation_leaves_nobody_waiting(storage: SqliteStorage) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM queues")
        raise KeyError("oops")

    async def refused(call: Awaitable[object]) -> None:
        with pytest.raises(InvariantError, match="oops"):
            await call

    async with asyncio.TaskGroup() as group:
        group.create_task(refused(storage.queues.put("shared", "with it")))
        group.create_task(refused(storage._file.run(broken)))
    assert await storage.queues.message_count("shared") == 0
    assert await storage.queues.list_queues() == ("shared",)


@pytest.mark.parametrize("kind", ["other program's", "no database", "folder"])
def test_a_file_that_is_none_of_ours_is_refused(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "no database":
        path.write_bytes(b"hello " * 1000)
    else:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE theirs (x)")
        other.close()
    clock, ids = system_sources()
    with pytest.raises(ConfigError, match="--storage embedded:PATH"):
        asyncio.run(SqliteStorage(path, clock, ids).open())


VERSION_1 = """
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
PRAGMA application_id=1145458005;
PRAGMA user_version=1;
INSERT INTO queues VALUES ('shared');
INSERT INTO messages (queue, id, text, inserted, visible, count, receipt)
  VALUES ('shared', 'first', 'one', 1, 1, 2, 3), ('shared', 'second', 'two', 2, 2, 0, 0);
INSERT INTO tables (name) VALUES ('Rows');
INSERT INTO rows (tbl, pk, rk, etag, stamp, columns) VALUES (1, 'p', 'r', 7, 1, '{"n":1}');
UPDATE counters SET value = 7 WHERE name = 'tag';
"""


async def test_a_file_of_the_first_version_is_taken_over(path: Path) -> None:
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1)
    old.close()
    clock, ids = system_sources()
    for _ in range(2):
        storage = SqliteStorage(path, clock, ids)
        await storage.open()
        messages = await storage.queues.peek("shared", count=32)
        await storage.close()
        assert [(m.text, m.dequeue_count) for m in messages] == [("one", 2), ("two", 0)]
    await storage.open()
    [first, _] = await storage.queues.receive("shared", count=2, visibility_timeout_s=30)
    await storage.queues.delete("shared", "first", first.handle.pop_receipt)
    assert await storage.queues.message_count("shared") == 1
    key = RowKey(partition="p", row="r")
    row = await storage.tables.get("Rows", key)
    assert row is not None
    write = Write(kind=WriteKind.MERGE, key=key, columns={"n": 2}, etag=row.etag)
    assert await storage.tables.write("Rows", write) not in (None, row.etag)
    await storage.close()


async def test_tags_of_processes_that_share_a_file_differ(
    storage: SqliteStorage, path: Path
) -> None:
    clock, ids = system_sources()
    other = SqliteStorage(path, clock, ids)
    await other.open()
    await storage.tables.create_table("Rows")
    tags = [
        await each.tables.write(
            "Rows",
            Write(kind=WriteKind.UPSERT_REPLACE, key=RowKey(partition="p", row="r"), columns={}),
        )
        for each in (storage, other, storage, other)
    ]
    await other.close()
    assert len(set(tags)) == len(tags)
