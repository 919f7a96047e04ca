"""What every Table service must do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from emulator.core.instant import Instant
from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    NotFoundError,
    PayloadTooLargeError,
)
from emulator.storage.ports import (
    ANY,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    ETag,
    Filter,
    Int64,
    Row,
    RowKey,
    TablePort,
    Value,
    Write,
    WriteKind,
)
from emulator.testing.port_suite.account import Account, together


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
        for tag in (ANY, await stale(tables, table)):
            with pytest.raises(NotFoundError):
                await tables.write(table, Write(kind=kind, key=key("r"), columns={}, etag=tag))
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

        assert sum(await together([attempt(n) for n in range(1, 9)])) == 1


def key(row: str, partition: str = "p") -> RowKey:
    """A key."""
    return RowKey(partition=partition, row=row)


def insert(row: str, partition: str = "p", **columns: Value) -> Write:
    """An insert."""
    return Write(kind=WriteKind.INSERT, key=key(row, partition), columns=columns)


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
