"""What every storage adapter must do, as tests: derive from the three classes and give them an `account` fixture.

class TestQueues(QueueSuite): ...

@pytest.fixture
async def account() -> AsyncIterator[Account]: ...
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import pytest

from emulator.core.instant import Instant
from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
    PayloadTooLargeError,
    PopReceiptMismatchError,
    StorageError,
)
from emulator.storage.ports import (
    ANY,
    AllOf,
    AnyOf,
    BlobPort,
    Comparison,
    Condition,
    ETag,
    Filter,
    Int64,
    QueuePort,
    Row,
    RowKey,
    Storage,
    TablePort,
    Value,
    Write,
    WriteKind,
)

T = TypeVar("T")

LEASE_A: Final = "aaaaaaaa-0000-0000-0000-000000000000"
LEASE_B: Final = "bbbbbbbb-0000-0000-0000-000000000000"

TEXTS: Final = {
    "empty": "",
    "blank": " ",
    "markup": "<a>&amp;</a>",
    "unicode": '{"a":"\u00e9\u4e2d\U0001f600"}',
    "control": "a\r\nb\tc",
    "padded": " padded ",
    "return": "\r",
    "feeds": "\n\n",
    "sections": "]]> <![CDATA[x]]> <!-- -->",
    "references": "&#13; &#x1; %41 &unknown;",
    "separators": "\x7f\x85\u2028\ufffd",
    "largest": "x" * 65536,
}
"""Messages that framing could spoil."""


@dataclass
class Account:
    """An open store, and how its time passes.

    Attributes:
        storage: the adapter under test, open.
        elapse: lets so many seconds pass as the store sees them: moves its clock, or waits.
        now: the store's time.
        moves_clock: whether long times can be tested.
    """

    storage: Storage
    elapse: Callable[[float], Awaitable[None]]
    now: Callable[[], Instant]
    moves_clock: bool

    def name(self, prefix: str = "t") -> str:
        """A name that no other test uses, good for queues, tables and containers."""
        return f"{prefix}{uuid.uuid1().hex}"


def key(row: str, partition: str = "p") -> RowKey:
    """A key."""
    return RowKey(partition=partition, row=row)


def insert(row: str, partition: str = "p", **columns: Value) -> Write:
    """An insert."""
    return Write(kind=WriteKind.INSERT, key=key(row, partition), columns=columns)


class QueueSuite:
    """The Queue service."""

    @pytest.fixture
    def queues(self, account: Account) -> QueuePort:
        """The port."""
        return account.storage.queues

    @pytest.fixture
    async def queue(self, account: Account, queues: QueuePort) -> str:
        """A new queue."""
        name = account.name("q")
        await queues.create_queue(name)
        return name

    async def test_a_queue_is_created_once(self, account: Account, queues: QueuePort) -> None:
        """The second time says that it was there."""
        name = account.name("q")
        assert await queues.create_queue(name) is True
        assert await queues.create_queue(name) is False

    async def test_a_queue_is_deleted_once(self, queue: str, queues: QueuePort) -> None:
        """With its messages."""
        await queues.put(queue, "lost")
        assert await queues.delete_queue(queue) is True
        assert await queues.delete_queue(queue) is False

    async def test_queues_are_listed_by_prefix(self, account: Account, queues: QueuePort) -> None:
        """In order of their names."""
        base = account.name("q")
        for suffix in ("-b", "-a", "-c"):
            await queues.create_queue(base + suffix)
        assert await queues.list_queues(base) == (f"{base}-a", f"{base}-b", f"{base}-c")
        assert await queues.list_queues(f"{base}-b") == (f"{base}-b",)

    async def test_messages_come_in_order(self, queue: str, queues: QueuePort) -> None:
        """Oldest first, and at most as many as wanted."""
        for text in ("one", "two", "three"):
            await queues.put(queue, text)
        first = await queues.receive(queue, count=2, visibility_timeout_s=30)
        assert [message.text for message in first] == ["one", "two"]
        rest = await queues.receive(queue, count=32, visibility_timeout_s=30)
        assert [message.text for message in rest] == ["three"]
        assert await queues.receive(queue, count=32, visibility_timeout_s=30) == ()

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_a_text_comes_back(self, queue: str, queues: QueuePort, text: str) -> None:
        """Whatever it holds."""
        await queues.put(queue, text)
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.text == text

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_an_updated_text_comes_back(
        self, queue: str, queues: QueuePort, text: str
    ) -> None:
        """Just so."""
        old = await queues.put(queue, "old", visibility_timeout_s=30)
        await queues.update(
            queue, old.message_id, old.pop_receipt, visibility_timeout_s=0, text=text
        )
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.text == text

    async def test_a_text_of_more_than_64_kib_is_refused(
        self, queue: str, queues: QueuePort
    ) -> None:
        """Counted in UTF-8."""
        with pytest.raises(PayloadTooLargeError):
            await queues.put(queue, "\u00e9" * 32769)
        assert await queues.message_count(queue) == 0

    async def test_a_received_message_is_hidden_and_comes_back(
        self, account: Account, queue: str, queues: QueuePort
    ) -> None:
        """With its dequeue count raised and another pop receipt."""
        await queues.put(queue, "m")
        [first] = await queues.receive(queue, count=1, visibility_timeout_s=1)
        assert first.dequeue_count == 1
        assert await queues.receive(queue, count=1, visibility_timeout_s=1) == ()
        await account.elapse(1.1)
        [again] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert again.dequeue_count == 2
        assert again.handle.message_id == first.handle.message_id
        assert again.handle.pop_receipt != first.handle.pop_receipt
        with pytest.raises(PopReceiptMismatchError):
            await queues.delete(queue, first.handle.message_id, first.handle.pop_receipt)
        await queues.delete(queue, again.handle.message_id, again.handle.pop_receipt)

    async def test_a_message_can_be_put_for_later(
        self, account: Account, queue: str, queues: QueuePort
    ) -> None:
        """It counts at once and is seen when its time has come."""
        await queues.put(queue, "later", visibility_timeout_s=1)
        assert await queues.receive(queue, count=1, visibility_timeout_s=30) == ()
        assert await queues.peek(queue, count=1) == ()
        assert await queues.message_count(queue) == 1
        await account.elapse(1.1)
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.text == "later"
        assert message.dequeue_count == 1

    async def test_a_put_returns_a_handle(self, queue: str, queues: QueuePort) -> None:
        """Good to delete and to update the message with, while it is invisible."""
        handle = await queues.put(queue, "mine", visibility_timeout_s=60)
        updated = await queues.update(
            queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=90
        )
        assert updated.message_id == handle.message_id
        assert updated.next_visible_at > handle.next_visible_at
        await queues.delete(queue, updated.message_id, updated.pop_receipt)
        assert await queues.message_count(queue) == 0

    async def test_an_update_voids_the_old_receipt(self, queue: str, queues: QueuePort) -> None:
        """And can change the text and make the message visible at once."""
        await queues.put(queue, "old")
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        old = message.handle
        new = await queues.update(
            queue, old.message_id, old.pop_receipt, visibility_timeout_s=0, text="new"
        )
        assert new.pop_receipt != old.pop_receipt
        with pytest.raises(PopReceiptMismatchError):
            await queues.update(queue, old.message_id, old.pop_receipt, visibility_timeout_s=5)
        [again] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        assert (again.text, again.dequeue_count) == ("new", 2)

    async def test_an_update_without_text_leaves_it(self, queue: str, queues: QueuePort) -> None:
        """Only the time-out changes."""
        await queues.put(queue, "same")
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        handle = message.handle
        await queues.update(queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=0)
        [again] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        assert again.text == "same"

    async def test_peeking_touches_nothing(self, queue: str, queues: QueuePort) -> None:
        """Not the count, not the visibility; and gives no receipt."""
        await queues.put(queue, "a")
        for _ in range(2):
            [peeked] = await queues.peek(queue, count=32)
            assert (peeked.text, peeked.dequeue_count) == ("a", 0)
            assert peeked.handle.pop_receipt == ""
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.dequeue_count == 1

    async def test_the_count_holds_hidden_messages(self, queue: str, queues: QueuePort) -> None:
        """Approximate on the service, exact when nothing else happens."""
        await queues.put(queue, "a")
        await queues.put(queue, "b", visibility_timeout_s=60)
        await queues.receive(queue, count=1, visibility_timeout_s=60)
        assert await queues.message_count(queue) == 2

    async def test_times_are_those_of_the_store(
        self, account: Account, queue: str, queues: QueuePort
    ) -> None:
        """To within a few seconds on a real one."""
        await queues.put(queue, "a")
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=40)
        assert abs(message.inserted_at.minus(account.now())) < timedelta(seconds=5)
        ahead = message.handle.next_visible_at.minus(account.now())
        assert timedelta(seconds=34) < ahead < timedelta(seconds=46)

    async def test_concurrent_receivers_share(self, queue: str, queues: QueuePort) -> None:
        """No message goes to two of them."""
        for number in range(40):
            await queues.put(queue, str(number))
        received = await _all(
            [queues.receive(queue, count=10, visibility_timeout_s=60) for _ in range(6)]
        )
        texts = [message.text for batch in received for message in batch]
        assert len(texts) == len(set(texts)) == 40

    async def test_what_is_not_there_is_said(self, account: Account, queues: QueuePort) -> None:
        """NotFoundError for the queue."""
        gone = account.name("q")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: queues.put(gone, "x"),
            lambda: queues.receive(gone, count=1, visibility_timeout_s=1),
            lambda: queues.peek(gone, count=1),
            lambda: queues.message_count(gone),
            lambda: queues.delete(gone, str(uuid.UUID(int=1)), "AgAAAAMAAAAAAAAA"),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                await call()

    async def test_a_message_is_deleted_once(self, queue: str, queues: QueuePort) -> None:
        """The second time it is not found."""
        handle = await queues.put(queue, "x")
        await queues.delete(queue, handle.message_id, handle.pop_receipt)
        with pytest.raises(NotFoundError):
            await queues.delete(queue, handle.message_id, handle.pop_receipt)
        with pytest.raises(NotFoundError):
            await queues.update(
                queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=1
            )


class TableSuite:
    """The Table service."""

    @pytest.fixture
    def tables(self, account: Account) -> TablePort:
        """The port."""
        return account.storage.tables

    @pytest.fixture
    async def table(self, account: Account, tables: TablePort) -> str:
        """A new table."""
        name = account.name("T")
        await tables.create_table(name)
        return name

    async def test_a_table_is_created_once(self, account: Account, tables: TablePort) -> None:
        """And keeps the case of its name."""
        name = account.name("Mixed")
        assert await tables.create_table(name) is True
        assert await tables.create_table(name) is False
        assert name in await tables.list_tables()
        await tables.write(name, insert("r", a=1))
        assert await tables.delete_table(name) is True
        assert await tables.delete_table(name) is False

    async def test_every_type_comes_back(self, table: str, tables: TablePort) -> None:
        """To the last digit, and as the type it was."""
        columns: dict[str, Value] = {
            "Text": "\u00e9\u4e2d\U0001f600 'quoted' \"double\" \\ \n",
            "Empty": "",
            "Odd": "\x00\x1f\u2028\u2029--changeset_of_writes--\r\n\r\n",
            "Number": -7,
            "Least": -(2**31),
            "Most": 2**31 - 1,
            "Long": Int64(2**40),
            "Longest": Int64(2**63 - 1),
            "Lowest": Int64(-(2**63)),
            "Zero": Int64(0),
            "Double": 1.5,
            "Whole": 2.0,
            "Tiny": 5e-324,
            "Large": 1e300,
            "Precise": 0.1 + 0.2,
            "Endless": float("inf"),
            "Flag": True,
            "Time": Instant.parse("2026-11-24T01:58:02.0842637Z"),
            "Early": Instant.parse("1601-01-01T00:00:00.0000000Z"),
            "Late": Instant.parse("9999-12-31T23:59:59.9999999Z"),
            "Bytes": b"\x00\xff",
            "NoBytes": b"",
        }
        await tables.write(table, Write(kind=WriteKind.INSERT, key=key("r"), columns=columns))
        write = Write(kind=WriteKind.UPSERT_REPLACE, key=key("s"), columns=columns)
        await tables.transact(table, [write])
        page = await tables.query(table, None)
        for row in (await tables.get(table, key("r")), *page.rows):
            assert row is not None
            assert dict(row.columns) == columns
            assert {name: type(value) for name, value in row.columns.items()} == {
                name: type(value) for name, value in columns.items()
            }

    async def test_the_service_stamps_rows(
        self, account: Account, table: str, tables: TablePort
    ) -> None:
        """With its own time."""
        await tables.write(table, insert("r"))
        row = await tables.get(table, key("r"))
        assert row is not None
        assert abs(row.timestamp.minus(account.now())) < timedelta(seconds=5)

    async def test_a_missing_row_is_none(self, table: str, tables: TablePort) -> None:
        """And no error."""
        assert await tables.get(table, key("nobody")) is None

    async def test_an_insert_is_refused_where_a_row_is(self, table: str, tables: TablePort) -> None:
        """And changes nothing."""
        await tables.write(table, insert("r", a=1))
        with pytest.raises(ConflictError):
            await tables.write(table, insert("r", a=2))
        assert await columns_of(tables, table, "r") == {"a": 1}

    async def test_merging_keeps_and_replacing_drops(self, table: str, tables: TablePort) -> None:
        """What is not named."""
        await tables.write(table, insert("r", a=1, b="x"))
        await tables.write(
            table, Write(kind=WriteKind.MERGE, key=key("r"), columns={"b": "y", "c": True})
        )
        assert await columns_of(tables, table, "r") == {"a": 1, "b": "y", "c": True}
        await tables.write(table, Write(kind=WriteKind.REPLACE, key=key("r"), columns={"d": 4}))
        assert await columns_of(tables, table, "r") == {"d": 4}

    async def test_upserts_ask_for_nothing(self, table: str, tables: TablePort) -> None:
        """They insert, then merge or replace."""
        upsert = WriteKind.UPSERT_MERGE
        await tables.write(table, Write(kind=upsert, key=key("r"), columns={"a": 1}))
        await tables.write(table, Write(kind=upsert, key=key("r"), columns={"b": 2}))
        assert await columns_of(tables, table, "r") == {"a": 1, "b": 2}
        upsert = WriteKind.UPSERT_REPLACE
        await tables.write(table, Write(kind=upsert, key=key("r"), columns={"c": 3}))
        await tables.write(table, Write(kind=upsert, key=key("s"), columns={"c": 3}))
        assert await columns_of(tables, table, "r") == {"c": 3}
        assert await columns_of(tables, table, "s") == {"c": 3}

    @pytest.mark.parametrize("kind", [WriteKind.REPLACE, WriteKind.MERGE, WriteKind.DELETE])
    async def test_conditional_writes(self, table: str, tables: TablePort, kind: WriteKind) -> None:
        """Need the row, and the ETag it has."""
        with pytest.raises(NotFoundError):
            await tables.write(table, Write(kind=kind, key=key("r"), columns={}, etag=ANY))
        first = await tables.write(table, insert("r", a=1))
        assert first is not None
        second = await tables.write(
            table, Write(kind=WriteKind.MERGE, key=key("r"), columns={"a": 2})
        )
        assert second is not None
        assert second != first
        with pytest.raises(EtagMismatchError):
            await tables.write(table, Write(kind=kind, key=key("r"), columns={"a": 3}, etag=first))
        assert await columns_of(tables, table, "r") == {"a": 2}
        etag = await tables.write(
            table, Write(kind=kind, key=key("r"), columns={"a": 3}, etag=second)
        )
        row = await tables.get(table, key("r"))
        if kind is WriteKind.DELETE:
            assert etag is None
            assert row is None
        else:
            assert row is not None
            assert row.etag == etag
            assert dict(row.columns) == {"a": 3}

    async def test_the_etag_of_a_write_is_that_of_the_row(
        self, table: str, tables: TablePort
    ) -> None:
        """Whether it was read alone or in a query."""
        etag = await tables.write(table, insert("r", a=1))
        row = await tables.get(table, key("r"))
        page = await tables.query(table, None)
        assert row is not None
        assert row.etag == etag == page.rows[0].etag

    @pytest.mark.parametrize(
        "odd",
        [
            "it's",
            "a b",
            "%41",
            "a+b",
            "\u4e2d\u6587",
            "&=;,:@$",
            "^0^1",
            "\u00c0",
            "a''b",
            "",
            "()",
            "100%",
            "<x>&amp;",
            '"',
            "\U0001f600",
            " ",
            "k" * 250,
        ],
    )
    async def test_odd_keys(self, table: str, tables: TablePort, odd: str) -> None:
        """Are written, read, found, changed and deleted like others."""
        where = key(odd, odd)
        await tables.write(table, insert(odd, odd, a=1))
        await tables.write(table, Write(kind=WriteKind.MERGE, key=where, columns={"b": 2}))
        row = await tables.get(table, where)
        assert row is not None
        assert row.key == where
        page = await tables.query(table, Condition("PartitionKey", Comparison.EQ, odd))
        assert [r.key for r in page.rows] == [where]
        await tables.transact(
            table, [Write(kind=WriteKind.UPSERT_MERGE, key=where, columns={"c": 3})]
        )
        assert await columns_of(tables, table, odd, odd) == {"a": 1, "b": 2, "c": 3}
        await tables.write(table, Write(kind=WriteKind.DELETE, key=where))
        assert await tables.get(table, where) is None

    async def test_rows_come_in_order_of_their_keys(self, table: str, tables: TablePort) -> None:
        """Ordinal: upper case before lower, digits before letters."""
        keys = [("b", "1"), ("a", "b"), ("a", "B"), ("a", "10"), ("a", "2"), ("B", "x")]
        for partition, row in keys:
            await tables.write(table, insert(row, partition))
        page = await tables.query(table, None)
        assert [(r.key.partition, r.key.row) for r in page.rows] == sorted(keys)

    async def test_pages(self, table: str, tables: TablePort) -> None:
        """Follow each other without gap or overlap."""
        for start in range(0, 250, 50):
            await tables.transact(table, [insert(f"{n:04}", n=n) for n in range(start, start + 50)])
        seen: list[str] = []
        continuation: str | None = None
        while True:
            page = await tables.query(table, None, top=100, continuation=continuation)
            assert len(page.rows) <= 100
            seen += [row.key.row for row in page.rows]
            continuation = page.continuation
            if continuation is None:
                break
        assert seen == [f"{n:04}" for n in range(250)]

    async def test_a_page_has_at_most_a_thousand_rows(self, table: str, tables: TablePort) -> None:
        """Without `top`."""
        for start in range(0, 1100, 100):
            await tables.transact(table, [insert(f"{n:04}") for n in range(start, start + 100)])
        page = await tables.query(table, None)
        assert len(page.rows) == 1000
        assert page.continuation is not None
        rest = await tables.query(table, None, continuation=page.continuation)
        assert [row.key.row for row in rest.rows] == [f"{n:04}" for n in range(1000, 1100)]
        assert rest.continuation is None

    async def test_selected_columns(self, table: str, tables: TablePort) -> None:
        """Only those come, with key and ETag; unknown ones do not."""
        await tables.write(table, insert("r", a=1, b=2))
        page = await tables.query(table, None, select=["b", "missing"])
        [row] = page.rows
        assert dict(row.columns) == {"b": 2}
        assert row.key == key("r")
        assert row.etag

    @pytest.mark.parametrize(
        ("where", "rows"),
        [
            (Condition("n", Comparison.EQ, 2), "b"),
            (Condition("n", Comparison.GT, 2), "cd"),
            (Condition("n", Comparison.GE, 2), "bcd"),
            (Condition("n", Comparison.LT, 2), "a"),
            (Condition("n", Comparison.LE, 2), "ab"),
            (Condition("s", Comparison.EQ, "it's"), "b"),
            (Condition("s", Comparison.GE, "m"), "cd"),
            (Condition("f", Comparison.EQ, True), "ac"),
            (Condition("t", Comparison.GE, Instant.parse("2026-01-01T00:00:00.0020000Z")), "bcd"),
            (Condition("t", Comparison.LT, Instant.parse("2026-01-01T00:00:00.0020000Z")), "a"),
            (Condition("l", Comparison.GT, Int64(2**33)), "cd"),
            (Condition("RowKey", Comparison.LT, "c"), "ab"),
            (Condition("PartitionKey", Comparison.EQ, "q"), ""),
            (Condition("missing", Comparison.EQ, "x"), ""),
            (AllOf((Condition("n", Comparison.GT, 1), Condition("f", Comparison.EQ, True))), "c"),
            (AnyOf((Condition("n", Comparison.EQ, 1), Condition("s", Comparison.EQ, "z"))), "ad"),
            (
                AllOf(
                    (
                        Condition("PartitionKey", Comparison.EQ, "p"),
                        AnyOf(
                            (
                                Condition("RowKey", Comparison.EQ, "a"),
                                Condition("n", Comparison.EQ, 4),
                            )
                        ),
                    )
                ),
                "ad",
            ),
            (Condition("only", Comparison.EQ, "d"), "d"),
        ],
    )
    async def test_filters(self, table: str, tables: TablePort, where: Filter, rows: str) -> None:
        """Of every form that we generate. A row without the column does not match."""
        base = Instant.parse("2026-01-01T00:00:00.0000000Z")
        texts = ("a", "it's", "m", "z")
        for number, row in enumerate("abcd", start=1):
            columns: dict[str, Value] = {
                "n": number,
                "s": texts[number - 1],
                "f": number % 2 == 1,
                "t": Instant(base + number * 10_000),
                "l": Int64(number * 2**32),
            }
            if row == "d":
                columns["only"] = "d"
            await tables.write(table, Write(kind=WriteKind.INSERT, key=key(row), columns=columns))
        page = await tables.query(table, where)
        assert "".join(row.key.row for row in page.rows) == rows

    async def test_a_transaction_is_done_as_a_whole(self, table: str, tables: TablePort) -> None:
        """A hundred writes, and an ETag for each but the deletions."""
        await tables.write(table, insert("gone"))
        writes = [insert(f"{n:03}", n=n) for n in range(99)]
        writes.append(Write(kind=WriteKind.DELETE, key=key("gone")))
        etags = await tables.transact(table, writes)
        assert len(etags) == 100
        assert etags[99] is None
        rows = await everything(tables, table)
        assert [row.key.row for row in rows] == [f"{n:03}" for n in range(99)]
        assert [row.etag for row in rows] == list(etags[:99])

    async def test_a_refused_transaction_changes_nothing(
        self, table: str, tables: TablePort
    ) -> None:
        """And says which write was refused."""
        await tables.write(table, insert("there", a=1))
        with pytest.raises(ConflictError) as refused:
            await tables.transact(table, [insert("x"), insert("there", a=2), insert("y")])
        assert refused.value.failed_index == 1
        merge = Write(
            kind=WriteKind.MERGE,
            key=key("there"),
            columns={"a": 3},
            etag=await stale(tables, table),
        )
        with pytest.raises(EtagMismatchError) as mismatch:
            await tables.transact(table, [insert("x"), insert("y"), merge])
        assert mismatch.value.failed_index == 2
        missing = Write(kind=WriteKind.MERGE, key=key("nobody"), columns={"a": 3})
        with pytest.raises(NotFoundError):
            await tables.transact(table, [insert("x"), missing])
        assert [row.key.row for row in await everything(tables, table)] == ["stale", "there"]

    async def test_every_kind_of_write_fits_a_transaction(
        self, table: str, tables: TablePort
    ) -> None:
        """Each with its condition."""
        for row in ("replaced", "merged", "deleted"):
            await tables.write(table, insert(row, a=1, b=1))
        merged = await tables.get(table, key("merged"))
        assert merged is not None
        kinds = {
            "inserted": WriteKind.INSERT,
            "replaced": WriteKind.REPLACE,
            "merged": WriteKind.MERGE,
            "up-replaced": WriteKind.UPSERT_REPLACE,
            "up-merged": WriteKind.UPSERT_MERGE,
            "deleted": WriteKind.DELETE,
        }
        await tables.transact(
            table,
            [
                Write(
                    kind=kind,
                    key=key(name),
                    columns={"b": 2},
                    etag=merged.etag if name == "merged" else ANY,
                )
                for name, kind in kinds.items()
            ],
        )
        found = {row.key.row: dict(row.columns) for row in await everything(tables, table)}
        assert found == {
            "inserted": {"b": 2},
            "replaced": {"b": 2},
            "merged": {"a": 1, "b": 2},
            "up-replaced": {"b": 2},
            "up-merged": {"b": 2},
        }

    async def test_transactions_outside_the_rules_are_a_defect(
        self, table: str, tables: TablePort
    ) -> None:
        """Of the caller."""
        for writes in (
            [],
            [insert(f"{n}") for n in range(101)],
            [insert("a", "p"), insert("a", "q")],
            [insert("a"), Write(kind=WriteKind.DELETE, key=key("a"))],
        ):
            with pytest.raises(ValueError, match="transaction"):
                await tables.transact(table, writes)

    async def test_a_column_of_more_than_64_kib_is_refused(
        self, table: str, tables: TablePort
    ) -> None:
        """Counted in UTF-16; 64 KiB fit."""
        await tables.write(table, insert("fits", a="\u00e9" * 32768))
        with pytest.raises(PayloadTooLargeError):
            await tables.write(table, insert("r", a="x" * 32769))
        with pytest.raises(PayloadTooLargeError):
            await tables.transact(table, [insert("s"), insert("r", a="x" * 32769)])
        assert [row.key.row for row in await everything(tables, table)] == ["fits"]

    async def test_a_missing_table_is_said(self, account: Account, tables: TablePort) -> None:
        """By every call."""
        gone = account.name("T")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: tables.get(gone, key("r")),
            lambda: tables.query(gone, None),
            lambda: tables.write(gone, insert("r")),
            lambda: tables.transact(gone, [insert("r")]),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                await call()

    async def test_of_concurrent_writers_one_wins(self, table: str, tables: TablePort) -> None:
        """With one ETag."""
        etag = await tables.write(table, insert("r", n=0))
        assert etag is not None

        async def attempt(number: int) -> bool:
            write = Write(kind=WriteKind.MERGE, key=key("r"), columns={"n": number}, etag=etag)
            try:
                await tables.write(table, write)
            except EtagMismatchError:
                return False
            return True

        assert sum(await _all([attempt(n) for n in range(1, 9)])) == 1


class BlobSuite:
    """The Blob service."""

    @pytest.fixture
    def blobs(self, account: Account) -> BlobPort:
        """The port."""
        return account.storage.blobs

    @pytest.fixture
    async def container(self, account: Account, blobs: BlobPort) -> str:
        """A new container."""
        name = account.name("c")
        await blobs.create_container(name)
        return name

    async def test_a_container_is_created_and_deleted_once(
        self, account: Account, blobs: BlobPort
    ) -> None:
        """With its blobs."""
        name = account.name("c")
        assert await blobs.create_container(name) is True
        assert await blobs.create_container(name) is False
        await blobs.upload(name, "b", b"x")
        assert name in await blobs.list_containers(name[:-1])
        assert await blobs.delete_container(name) is True
        assert await blobs.delete_container(name) is False
        assert await blobs.download(name, "b") is None
        assert name not in await blobs.list_containers(name[:-1])

    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 1000])
    async def test_a_blob_comes_back(self, container: str, blobs: BlobPort, content: bytes) -> None:
        """With the ETag of its last upload."""
        first = await blobs.upload(container, "a/b.gz", content)
        blob = await blobs.download(container, "a/b.gz")
        assert blob is not None
        assert (blob.content, blob.etag) == (content, first)
        second = await blobs.upload(container, "a/b.gz", b"new")
        blob = await blobs.download(container, "a/b.gz")
        assert blob is not None
        assert (blob.content, blob.etag) == (b"new", second)
        assert second != first

    async def test_a_missing_blob_is_none(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """And so is one of a missing container."""
        assert await blobs.download(container, "nobody") is None
        assert await blobs.download(account.name("c"), "nobody") is None

    async def test_a_blob_is_deleted_once(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """The second time says that there was none."""
        await blobs.upload(container, "b", b"x")
        assert await blobs.delete_blob(container, "b") is True
        assert await blobs.delete_blob(container, "b") is False
        assert await blobs.delete_blob(account.name("c"), "b") is False

    async def test_conditions_of_an_upload(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """Only if absent, only with an ETag, only into a container that is there."""
        etag = await blobs.upload(container, "b", b"1", only_if_absent=True)
        with pytest.raises(ConflictError):
            await blobs.upload(container, "b", b"2", only_if_absent=True)
        newer = await blobs.upload(container, "b", b"3", etag=etag)
        with pytest.raises(EtagMismatchError):
            await blobs.upload(container, "b", b"4", etag=etag)
        blob = await blobs.download(container, "b")
        assert blob is not None
        assert (blob.content, blob.etag) == (b"3", newer)
        with pytest.raises(NotFoundError):
            await blobs.upload(account.name("c"), "b", b"x")

    async def test_blobs_are_listed_by_prefix(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """In order of their names."""
        names = ["b/2", "a/1", "b/1", "b", "c d%/\u00e9'"]
        for name in names:
            await blobs.upload(container, name, b"")
        assert (await blobs.list_blobs(container)).names == tuple(sorted(names))
        assert (await blobs.list_blobs(container, prefix="b/")).names == ("b/1", "b/2")
        assert (await blobs.list_blobs(container, prefix="zz")).names == ()
        with pytest.raises(NotFoundError):
            await blobs.list_blobs(account.name("c"))

    @pytest.mark.parametrize(
        "name", ["it's", "a b", "%41", "a+b", "\u4e2d", "x?y", "x#y", "^0/^1", "a&b=c;"]
    )
    async def test_odd_names(self, container: str, blobs: BlobPort, name: str) -> None:
        """Are written, read, listed and deleted like others."""
        await blobs.upload(container, f"{name}/b", b"1")
        blob = await blobs.download(container, f"{name}/b")
        assert blob is not None
        assert (await blobs.list_blobs(container, prefix=f"{name}/")).names == (f"{name}/b",)
        assert await blobs.delete_blob(container, f"{name}/b") is True

    async def test_a_listing_tells_the_etag_of_each_blob(
        self, container: str, blobs: BlobPort
    ) -> None:
        """The very one that the last upload returned."""
        await blobs.upload(container, "a", b"1")
        first = await blobs.list_blobs(container)
        second = await blobs.upload(container, "a", b"2")
        third = await blobs.upload(container, "b", b"3")
        page = await blobs.list_blobs(container)
        assert (page.names, page.etags) == (("a", "b"), (second, third))
        assert first.etags != (second,)

    async def test_an_address_ends_with_the_encoded_name(
        self, container: str, blobs: BlobPort
    ) -> None:
        """As RFC 3986 has it."""
        url = blobs.blob_url(container, "a b/\u00e9%'.gz")
        assert url.startswith("http")
        assert url.endswith(f"/{container}/a%20b/%C3%A9%25%27.gz")

    @pytest.mark.parametrize("on_container", [True, False], ids=["container", "blob"])
    async def test_a_lease_is_held_by_one(
        self, container: str, blobs: BlobPort, on_container: bool
    ) -> None:
        """Who can renew it, change its id and give it up."""
        blob = None if on_container else "b"
        await blobs.upload(container, "b", b"1")
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.acquire_lease(container, blob, lease_id=LEASE_B, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, blob, lease_id=LEASE_B)
        with pytest.raises(LeaseLostError):
            await blobs.release_lease(container, blob, lease_id=LEASE_B)
        await blobs.renew_lease(container, blob, lease_id=LEASE_A)
        await blobs.change_lease(container, blob, lease_id=LEASE_A, proposed_id=LEASE_B)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, blob, lease_id=LEASE_A)
        await blobs.release_lease(container, blob, lease_id=LEASE_B)
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)

    async def test_a_leased_blob_is_written_by_its_holder(
        self, container: str, blobs: BlobPort
    ) -> None:
        """And read by everyone."""
        await blobs.upload(container, "b", b"1")
        await blobs.acquire_lease(container, "b", lease_id=LEASE_A, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.upload(container, "b", b"2")
        with pytest.raises(LeaseLostError):
            await blobs.upload(container, "b", b"2", lease_id=LEASE_B)
        await blobs.upload(container, "b", b"3", lease_id=LEASE_A)
        blob = await blobs.download(container, "b")
        assert blob is not None
        assert (blob.content, blob.leased) == (b"3", True)

    async def test_a_leased_container_is_deleted_by_its_holder(
        self, container: str, blobs: BlobPort
    ) -> None:
        """Its blobs are free."""
        await blobs.acquire_lease(container, None, lease_id=LEASE_A, duration_s=15)
        await blobs.upload(container, "b", b"1")
        with pytest.raises(LeaseLostError):
            await blobs.delete_container(container)
        assert await blobs.delete_container(container, lease_id=LEASE_A) is True

    async def test_a_lease_runs_out(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """Then anyone may take it; until then its holder may still renew it."""
        if not account.moves_clock:
            pytest.skip("a lease lasts at least 15 seconds and this store's clock cannot be moved")
        await blobs.acquire_lease(container, None, lease_id=LEASE_A, duration_s=15)
        await account.elapse(14)
        with pytest.raises(LeaseLostError):
            await blobs.acquire_lease(container, None, lease_id=LEASE_B, duration_s=15)
        await blobs.renew_lease(container, None, lease_id=LEASE_A)
        await account.elapse(16)
        await blobs.renew_lease(container, None, lease_id=LEASE_A)
        await account.elapse(16)
        await blobs.acquire_lease(container, None, lease_id=LEASE_B, duration_s=60)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, None, lease_id=LEASE_A)

    async def test_leases_need_something_to_lease(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """NotFoundError for the blob and for the container."""
        gone = account.name("c")
        for place, blob in ((container, "nobody"), (gone, None), (gone, "b")):
            with pytest.raises(NotFoundError):
                await blobs.acquire_lease(place, blob, lease_id=LEASE_A, duration_s=15)
            with pytest.raises(NotFoundError):
                await blobs.renew_lease(place, blob, lease_id=LEASE_A)


class StorageSuite:
    """The account as a whole."""

    async def test_it_says_what_it_is(self, account: Account) -> None:
        """Without secrets."""
        assert account.storage.description
        assert "AccountKey" not in account.storage.description
        assert account.storage.is_local is True

    async def test_opening_and_closing_twice_is_harmless(self, account: Account) -> None:
        """And it works after it was opened again."""
        await account.storage.open()
        await account.storage.close()
        await account.storage.close()
        await account.storage.open()
        assert await account.storage.queues.create_queue(account.name("q")) is True

    async def test_every_error_is_a_storage_error(self) -> None:
        """So that callers can catch them in one place."""
        for error in (
            ConflictError,
            EtagMismatchError,
            LeaseLostError,
            NotFoundError,
            PayloadTooLargeError,
            PopReceiptMismatchError,
        ):
            assert issubclass(error, StorageError)


async def columns_of(
    tables: TablePort, table: str, row: str, partition: str = "p"
) -> dict[str, Value]:
    """The columns of a row that is there."""
    found = await tables.get(table, key(row, partition))
    assert found is not None
    return dict(found.columns)


async def everything(tables: TablePort, table: str) -> list[Row]:
    """All rows of a small table."""
    page = await tables.query(table, None)
    assert page.continuation is None
    return list(page.rows)


async def stale(tables: TablePort, table: str) -> ETag:
    """An ETag that no row has any longer."""
    old = await tables.write(table, insert("stale"))
    await tables.write(table, Write(kind=WriteKind.MERGE, key=key("stale"), columns={"z": 1}))
    assert old is not None
    return old


async def _all(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Run at the same time."""

    async def run(call: Awaitable[T]) -> T:
        return await call

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(call)) for call in calls]
    return [task.result() for task in tasks]
