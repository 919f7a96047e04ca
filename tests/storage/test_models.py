"""Each adapter against a model that is nothing but a dictionary and a clock, step by random step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
    PopReceiptMismatchError,
    StorageError,
)
from emulator.storage.ports import (
    ANY,
    Columns,
    Comparison,
    Condition,
    ETag,
    Int64,
    MessageHandle,
    QueueMessage,
    RowKey,
    Value,
    Write,
    WriteKind,
)
from emulator.testing.port_suite import Account

T = TypeVar("T")
LONG_S = 600
CLOCK_TOLERANCE = timedelta(seconds=5)


class StoreMachine(RuleBasedStateMachine):
    """Runs the calls of its rules in an event loop of the test's."""

    def __init__(self, account: Account, runner: asyncio.Runner) -> None:
        super().__init__()
        self.account = account
        self._runner = runner

    def do(self, call: Awaitable[T]) -> T:
        async def run() -> T:
            return await call

        return self._runner.run(run())

    def attempt(self, call: Awaitable[T]) -> T | type[StorageError]:
        """What a call returns, or the class of what it raises."""
        try:
            return self.do(call)
        except StorageError as error:
            return type(error)

    def pass_time(self, seconds: int) -> None:
        if self.account.moves_clock:
            self.do(self.account.elapse(seconds))

    def seconds(self, wanted: int) -> int:
        """A time-out; where the clock cannot be moved it is either over at once or not before the test is."""
        return wanted if self.account.moves_clock or wanted == 0 else LONG_S


# --- queues ---------------------------------------------------------------------------------------------------


@dataclass
class Message:
    text: str
    inserted_at: Instant
    visible_at: Instant
    receipt: str
    count: int = 0


class QueueMachine(StoreMachine):
    handles = Bundle("handles")

    def __init__(self, account: Account, runner: asyncio.Runner) -> None:
        super().__init__(account, runner)
        self.queues = account.storage.queues
        self.queue = account.name("q")
        self.do(self.queues.create_queue(self.queue))
        self.model: dict[str, Message] = {}

    @rule(
        target=handles,
        text=st.sampled_from(["", "a", "<b>"]),
        hidden_s=st.sampled_from([0, 0, 1, 30]),
    )
    def put(self, text: str, hidden_s: int) -> MessageHandle:
        hidden_s = self.seconds(hidden_s)
        handle = self.do(self.queues.put(self.queue, text, visibility_timeout_s=hidden_s))
        now = self.account.now()
        assert handle.message_id not in self.model
        self.model[handle.message_id] = Message(text, now, now, handle.pop_receipt)
        self._note(handle, hidden_s)
        return handle

    @rule(target=handles, count=st.integers(1, 5), hidden_s=st.sampled_from([1, 30]))
    def receive(self, count: int, hidden_s: int) -> Any:
        hidden_s = self.seconds(hidden_s)
        visible = self._visible()
        found = self.do(self.queues.receive(self.queue, count=count, visibility_timeout_s=hidden_s))
        self._are_next(found, visible, count)
        for message in found:
            model = self.model[message.handle.message_id]
            model.count += 1
            assert (message.text, message.dequeue_count) == (model.text, model.count)
            self._same_time(message.inserted_at, model.inserted_at)
            self._note(message.handle, hidden_s)
        return multiple(*[message.handle for message in found])

    @rule(count=st.integers(1, 5))
    def peek(self, count: int) -> None:
        found = self.do(self.queues.peek(self.queue, count=count))
        self._are_next(found, self._visible(), count)
        for message in found:
            model = self.model[message.handle.message_id]
            assert (message.text, message.dequeue_count) == (model.text, model.count)
            assert message.handle.pop_receipt == ""

    @rule(
        target=handles,
        handle=handles,
        hidden_s=st.sampled_from([0, 1, 30]),
        text=st.none() | st.just("new"),
    )
    def update(self, handle: MessageHandle, hidden_s: int, text: str | None) -> Any:
        hidden_s = self.seconds(hidden_s)
        expected = self._refusal(handle)
        outcome = self.attempt(
            self.queues.update(
                self.queue,
                handle.message_id,
                handle.pop_receipt,
                visibility_timeout_s=hidden_s,
                text=text,
            )
        )
        if not isinstance(outcome, MessageHandle):
            assert outcome is expected
            return multiple()
        assert expected is None
        assert outcome.message_id == handle.message_id
        assert outcome.pop_receipt != handle.pop_receipt
        if text is not None:
            self.model[handle.message_id].text = text
        self._note(outcome, hidden_s)
        return outcome

    @rule(handle=handles)
    def delete(self, handle: MessageHandle) -> None:
        expected = self._refusal(handle)
        call = self.queues.delete(self.queue, handle.message_id, handle.pop_receipt)
        assert self.attempt(call) is expected
        if expected is None:
            del self.model[handle.message_id]

    @rule(seconds=st.sampled_from([1, 29, 31]))
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)

    @invariant()
    def all_are_counted(self) -> None:
        assert self.do(self.queues.message_count(self.queue)) == len(self.model)

    def _visible(self) -> list[str]:
        now = self.account.now()
        return [name for name, message in self.model.items() if message.visible_at <= now]

    def _are_next(self, found: Sequence[QueueMessage], visible: list[str], count: int) -> None:
        """Ours come in the order they were put; the service promises none once time-outs were changed."""
        actual = [message.handle.message_id for message in found]
        if self.account.moves_clock:
            assert actual == visible[:count]
        else:
            assert len(actual) == min(count, len(visible))
            assert set(actual) <= set(visible)

    def _refusal(self, handle: MessageHandle) -> type[StorageError] | None:
        model = self.model.get(handle.message_id)
        if model is None:
            return NotFoundError
        return None if model.receipt == handle.pop_receipt else PopReceiptMismatchError

    def _note(self, handle: MessageHandle, hidden_s: int) -> None:
        model = self.model[handle.message_id]
        model.receipt = handle.pop_receipt
        model.visible_at = self.account.now().plus(timedelta(seconds=hidden_s))
        self._same_time(handle.next_visible_at, model.visible_at)

    def _same_time(self, actual: Instant, expected: Instant) -> None:
        if self.account.moves_clock:
            assert actual == expected
        else:
            assert abs(actual.minus(expected)) < CLOCK_TOLERANCE


# --- tables ---------------------------------------------------------------------------------------------------

PARTITIONS = ("p", "it's")
ROWS = ("a", "B", "c d")
row_keys = st.builds(RowKey, partition=st.sampled_from(PARTITIONS), row=st.sampled_from(ROWS))
values: st.SearchStrategy[Value] = st.sampled_from(
    [
        0,
        1,
        "",
        "\u00e9'",
        True,
        1.5,
        2.0,
        Int64(2**40),
        b"\x00",
        Instant.parse("2026-01-01T00:00:00.1Z"),
    ]
)
columns = st.dictionaries(st.sampled_from("xyz"), values, max_size=3)


@dataclass(frozen=True)
class Plan:
    """A write whose tag is chosen when its row is known: the one it has, one it had, or any."""

    kind: WriteKind
    row: str
    columns: Columns
    tag: str


plans = st.builds(
    Plan,
    kind=st.sampled_from(WriteKind),
    row=st.sampled_from(ROWS),
    columns=columns,
    tag=st.sampled_from(["current", "current", "old", "any"]),
)


@dataclass(frozen=True)
class ModelRow:
    columns: Columns
    etag: ETag = ANY


class TableMachine(StoreMachine):
    def __init__(self, account: Account, runner: asyncio.Runner) -> None:
        super().__init__(account, runner)
        self.tables = account.storage.tables
        self.table = account.name("T")
        self.do(self.tables.create_table(self.table))
        self.model: dict[RowKey, ModelRow] = {}
        self.old_tags: dict[RowKey, ETag] = {}

    @rule(partition=st.sampled_from(PARTITIONS), plan=plans)
    def write(self, partition: str, plan: Plan) -> None:
        write = self._write(partition, plan)
        expected = self._expected(write)
        outcome = self.attempt(self.tables.write(self.table, write))
        if isinstance(expected, type):
            assert outcome is expected
        else:
            assert not isinstance(outcome, type)
            self._note(write, expected, outcome)

    @rule(
        partition=st.sampled_from(PARTITIONS),
        planned=st.lists(plans, min_size=1, max_size=3, unique_by=lambda plan: plan.row),
    )
    def transact(self, partition: str, planned: list[Plan]) -> None:
        writes = [self._write(partition, plan) for plan in planned]
        expected = [self._expected(write) for write in writes]
        place = next((i for i, each in enumerate(expected) if isinstance(each, type)), None)
        error, etags = self.transacted(writes)
        if place is not None:
            assert type(error) is expected[place]
            if isinstance(error, ConflictError | EtagMismatchError):
                assert error.failed_index == place
            return
        assert error is None
        for write, row, etag in zip(writes, expected, etags, strict=True):
            assert not isinstance(row, type)
            self._note(write, row, etag)

    def transacted(
        self, writes: Sequence[Write]
    ) -> tuple[StorageError | None, tuple[ETag | None, ...]]:
        try:
            return None, self.do(self.tables.transact(self.table, writes))
        except StorageError as error:
            return error, ()

    @rule(key=row_keys)
    def get(self, key: RowKey) -> None:
        found = self.do(self.tables.get(self.table, key))
        row = self.model.get(key)
        assert (found is None) == (row is None)
        if found is not None and row is not None:
            assert (found.key, found.etag) == (key, row.etag)
            _same_columns(found.columns, row.columns)

    @rule(partition=st.none() | st.sampled_from(PARTITIONS), top=st.none() | st.integers(1, 3))
    def query(self, partition: str | None, top: int | None) -> None:
        where = None if partition is None else Condition("PartitionKey", Comparison.EQ, partition)
        found: dict[RowKey, ETag] = {}
        continuation: str | None = None
        while True:
            page = self.do(self.tables.query(self.table, where, top=top, continuation=continuation))
            assert top is None or len(page.rows) <= top
            for row in page.rows:
                found[row.key] = row.etag
                _same_columns(row.columns, self.model[row.key].columns)
            continuation = page.continuation
            if continuation is None:
                break
        expected = sorted(
            (key for key in self.model if partition in (None, key.partition)),
            key=lambda key: (key.partition, key.row),
        )
        assert list(found) == expected
        assert all(self.model[key].etag == etag for key, etag in found.items())

    def _write(self, partition: str, plan: Plan) -> Write:
        key = RowKey(partition=partition, row=plan.row)
        row = self.model.get(key)
        tags = {
            "current": row.etag if row is not None else self.old_tags.get(key, ANY),
            "old": self.old_tags.get(key, ANY),
            "any": ANY,
        }
        return Write(kind=plan.kind, key=key, columns=plan.columns, etag=tags[plan.tag])

    def _expected(self, write: Write) -> ModelRow | type[StorageError] | None:
        """The row after a write alone, None if it is gone, or the error."""
        row = self.model.get(write.key)
        if write.kind is WriteKind.INSERT:
            return ConflictError if row is not None else ModelRow(write.columns)
        if write.kind is WriteKind.UPSERT_REPLACE:
            return ModelRow(write.columns)
        if write.kind is WriteKind.UPSERT_MERGE:
            return ModelRow({**(row.columns if row is not None else {}), **write.columns})
        if row is None:
            return NotFoundError
        if write.etag not in (ANY, row.etag):
            return EtagMismatchError
        if write.kind is WriteKind.DELETE:
            return None
        kept = row.columns if write.kind is WriteKind.MERGE else {}
        return ModelRow({**kept, **write.columns})

    def _note(self, write: Write, row: ModelRow | None, etag: ETag | None) -> None:
        before = self.model.pop(write.key, None)
        if before is not None:
            self.old_tags[write.key] = before.etag
        if row is None:
            assert etag is None
            return
        assert etag
        assert before is None or etag != before.etag
        self.model[write.key] = replace(row, etag=etag)


def _same_columns(actual: Columns, expected: Columns) -> None:
    assert dict(actual) == dict(expected)
    assert {n: type(v) for n, v in actual.items()} == {n: type(v) for n, v in expected.items()}


# --- blobs ----------------------------------------------------------------------------------------------------

IDS = tuple(f"{letter * 8}-0000-0000-0000-000000000000" for letter in "abc")
NAMES = ("a", "b/c d.gz")
names = st.sampled_from(NAMES)
places = st.none() | names
ids = st.sampled_from(IDS)


@dataclass
class ModelLease:
    """`id` is kept when the lease has run out: its holder may renew it as long as nothing else happens."""

    id: str | None = None
    duration_s: int = 0
    until: Instant = MIN_INSTANT


@dataclass
class ModelBlob:
    content: bytes
    etag: ETag
    lease: ModelLease = field(default_factory=ModelLease)


class BlobMachine(StoreMachine):
    def __init__(self, account: Account, runner: asyncio.Runner) -> None:
        super().__init__(account, runner)
        self.blobs = account.storage.blobs
        self.container = account.name("c")
        self.do(self.blobs.create_container(self.container))
        self.model: dict[str, ModelBlob] = {}
        self.lease = ModelLease()
        self.old_tags: dict[str, ETag] = {}

    @rule(
        name=names,
        content=st.sampled_from([b"", b"1", b"\x00\xff"]),
        only_if_absent=st.booleans(),
        lease_id=st.none() | ids,
    )
    def upload(self, name: str, content: bytes, only_if_absent: bool, lease_id: str | None) -> None:
        blob = self.model.get(name)
        if blob is None:
            lease_id = None  # with one the service refuses, Azurite does not
        refusals = self._held_by_another(blob.lease if blob is not None else None, lease_id)
        if only_if_absent and blob is not None:
            refusals.add(ConflictError)
        self._upload(name, content, refusals, only_if_absent=only_if_absent, lease_id=lease_id)

    @rule(name=names, old=st.booleans())
    def upload_over(self, name: str, old: bool) -> None:
        """On the condition of a tag: the one it has, or one it had."""
        blob = self.model.get(name)
        etag = self.old_tags.get(name) if old or blob is None else blob.etag
        if etag is None:
            return
        refusals = self._held_by_another(blob.lease if blob is not None else None, None)
        if blob is None or blob.etag != etag:
            refusals.add(EtagMismatchError)
        self._upload(name, b"over", refusals, etag=etag)

    @rule(name=names)
    def download(self, name: str) -> None:
        found = self.do(self.blobs.download(self.container, name))
        blob = self.model.get(name)
        assert (found is None) == (blob is None)
        if found is not None and blob is not None:
            expected = (blob.content, blob.etag, self._is_held(blob.lease))
            assert (found.content, found.etag, found.leased) == expected

    @rule(name=names)
    def delete(self, name: str) -> None:
        blob = self.model.get(name)
        outcome = self.attempt(self.blobs.delete_blob(self.container, name))
        if blob is None:
            assert outcome is False
        elif self._is_held(blob.lease):
            assert outcome is LeaseLostError
        else:
            assert outcome is True
            self.old_tags[name] = self.model.pop(name).etag

    @rule(prefix=st.sampled_from(["", "b", "b/", "x"]))
    def list_blobs(self, prefix: str) -> None:
        page = self.do(self.blobs.list_blobs(self.container, prefix=prefix))
        assert page.names == tuple(sorted(n for n in self.model if n.startswith(prefix)))
        assert page.continuation is None

    @rule(place=places, lease_id=ids, duration_s=st.sampled_from([15, 60]))
    def acquire(self, place: str | None, lease_id: str, duration_s: int) -> None:
        duration_s = duration_s if self.account.moves_clock else 60
        lease = self._lease(place)
        call = self.blobs.acquire_lease(
            self.container, place, lease_id=lease_id, duration_s=duration_s
        )
        free = lease is not None and (not self._is_held(lease) or lease.id == lease_id)
        if self._leased(call, lease, free) and lease is not None:
            lease.id, lease.duration_s = lease_id, duration_s
            lease.until = self._after(duration_s)

    @rule(place=places, lease_id=ids)
    def renew(self, place: str | None, lease_id: str) -> None:
        lease = self._lease(place)
        call = self.blobs.renew_lease(self.container, place, lease_id=lease_id)
        owned = lease is not None and lease.id == lease_id
        if self._leased(call, lease, owned) and lease is not None:
            lease.until = self._after(lease.duration_s)

    @rule(place=places, lease_id=ids, proposed_id=ids)
    def change(self, place: str | None, lease_id: str, proposed_id: str) -> None:
        lease = self._lease(place)
        call = self.blobs.change_lease(
            self.container, place, lease_id=lease_id, proposed_id=proposed_id
        )
        fits = lease is not None and self._is_held(lease) and lease.id in (lease_id, proposed_id)
        if self._leased(call, lease, fits) and lease is not None:
            lease.id = proposed_id

    @rule(place=places, lease_id=ids)
    def release(self, place: str | None, lease_id: str) -> None:
        lease = self._lease(place)
        call = self.blobs.release_lease(self.container, place, lease_id=lease_id)
        owned = lease is not None and lease.id == lease_id
        if self._leased(call, lease, owned) and lease is not None:
            lease.id = None

    @rule(seconds=st.sampled_from([10, 20, 61]))
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)

    def _upload(
        self, name: str, content: bytes, refusals: set[type[StorageError]], **options: Any
    ) -> None:
        outcome = self.attempt(self.blobs.upload(self.container, name, content, **options))
        if refusals:
            assert outcome in refusals
            return
        assert isinstance(outcome, str)
        blob = self.model.get(name)
        lease = blob.lease if blob is not None and self._is_held(blob.lease) else ModelLease()
        if blob is not None:
            assert outcome != blob.etag
            self.old_tags[name] = blob.etag
        self.model[name] = ModelBlob(content, ETag(outcome), lease)

    def _leased(self, call: Awaitable[None], lease: ModelLease | None, allowed: bool) -> bool:
        """Whether a call about a lease was allowed, and went as it had to."""
        outcome = self.attempt(call)
        if lease is None:
            assert outcome is NotFoundError
        elif not allowed:
            assert outcome is LeaseLostError
        else:
            assert outcome is None
        return allowed

    def _held_by_another(
        self, lease: ModelLease | None, lease_id: str | None
    ) -> set[type[StorageError]]:
        """Refusals of a write under a lease id: it must be the holder's, and there must be one."""
        held_by = lease.id if lease is not None and self._is_held(lease) else None
        return set() if held_by == lease_id else {LeaseLostError}

    def _lease(self, place: str | None) -> ModelLease | None:
        if place is None:
            return self.lease
        blob = self.model.get(place)
        return blob.lease if blob is not None else None

    def _is_held(self, lease: ModelLease) -> bool:
        return lease.id is not None and self.account.now() < lease.until

    def _after(self, seconds: int) -> Instant:
        return self.account.now().plus(timedelta(seconds=seconds))


# --- the tests ------------------------------------------------------------------------------------------------


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.slow
@pytest.mark.parametrize("machine", [QueueMachine, TableMachine, BlobMachine])
def test_a_store_does_as_the_model(
    closed_account: AbstractAsyncContextManager[Account],
    runner: asyncio.Runner,
    machine: Callable[[Account, asyncio.Runner], StoreMachine],
) -> None:
    account = runner.run(closed_account.__aenter__())
    examples, steps = (40, 30) if account.moves_clock else (8, 20)
    phases = [Phase.generate, Phase.shrink] if account.moves_clock else [Phase.generate]
    try:
        run_state_machine_as_test(
            lambda: machine(account, runner),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=phases,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
    finally:
        runner.run(closed_account.__aexit__(None, None, None))
