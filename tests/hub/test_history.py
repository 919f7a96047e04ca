"""What is loaded of a history whose last checkpoint was cut short."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator.core.events import (
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskScheduled,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.errors import DecodeError, TransientStorageError
from emulator.hub.history import StoredHistory
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.testing.faults import Call, Fault, FaultyStorage, Injector
from tests.support.clocks import BEGINNING, CountedIds, ManualClock

INSTANCE = InstanceId("i")
EXECUTION = ExecutionId("e")
OPENED = OrchestratorStarted(timestamp=BEGINNING)
CLOSED = OrchestratorCompleted(timestamp=BEGINNING)
STARTED = ExecutionStarted(
    timestamp=BEGINNING,
    instance=OrchestrationInstance(instance_id=INSTANCE, execution_id=EXECUTION),
    name="f",
    version=None,
    input=None,
)
TASKS = tuple(
    TaskScheduled(timestamp=BEGINNING, name=f"a{n}", version="", input=None, event_id=n)
    for n in range(8)
)
WHOLE = (OPENED, STARTED, TASKS[0], CLOSED)


class Account:
    """A hub on an account whose history may be made to fail at its n-th transaction."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emulator.hub.history.BATCH_ROWS_MAX", 4)
        self.fails_at = 0
        self.transactions = 0
        clock, ids = ManualClock(), CountedIds()
        storage = FaultyStorage(MemoryStorage(clock, ids), Injector(plan=self._plan))
        self.hub = TaskHub(storage, HubSettings(hub_name="Hub"), ids.hex32)

    def _plan(self, call: Call) -> Fault | None:
        if call.operation != "transact":
            return None
        self.transactions += 1
        return Fault.REFUSED if self.transactions == self.fails_at else None

    async def append(
        self, events: Sequence[HistoryEvent], first: int, handled: tuple[str, ...] = ()
    ):
        etag = (await self.load()).etag
        await self.hub.history.append(
            INSTANCE, EXECUTION, events, first=first, etag=etag, now=BEGINNING, handled=handled
        )

    async def append_cut_short(self, events: Sequence[HistoryEvent], first: int) -> None:
        self.fails_at = self.transactions + 2
        with pytest.raises(TransientStorageError):
            await self.append(events, first)

    async def load(self) -> StoredHistory:
        return await self.hub.history.load(INSTANCE)


@pytest.fixture
async def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = Account(monkeypatch)
    await made.hub.ensure(BEGINNING)
    return made


async def test_an_episode_that_was_cut_short_has_not_happened(account: Account) -> None:
    await account.append(WHOLE, 0)
    await account.append_cut_short((OPENED, *TASKS[1:], CLOSED), len(WHOLE))
    stored = await account.load()
    assert stored.events == WHOLE
    assert not stored.must_run


async def test_a_first_episode_that_was_cut_short_leaves_nothing(account: Account) -> None:
    await account.append_cut_short((OPENED, STARTED, *TASKS, CLOSED), 0)
    stored = await account.load()
    assert (stored.events, stored.must_run) == ((), False)
    assert stored.etag is not None


async def test_rows_of_a_longer_attempt_do_not_follow_those_of_the_next(account: Account) -> None:
    await account.append(WHOLE, 0)
    await account.append_cut_short((OPENED, *TASKS[1:], CLOSED), len(WHOLE))
    await account.append((OPENED, CLOSED), len(WHOLE))
    assert (await account.load()).events == (*WHOLE, OPENED, CLOSED)


async def test_an_execution_that_was_continued_into_is_kept_and_must_run(account: Account) -> None:
    """Its start is nowhere else: the execution before it is overwritten."""
    begun = (OPENED, STARTED, CLOSED)
    await account.append_cut_short((*begun, *TASKS, CLOSED), 0)
    stored = await account.load()
    assert (stored.events, stored.must_run) == (begun, True)


async def test_what_was_handled_before_is_kept_until_it_is_replaced(account: Account) -> None:
    await account.append(WHOLE, 0, handled=("1-a", "2-b"))
    await account.append((OPENED, CLOSED), len(WHOLE))
    assert (await account.load()).handled == ("1-a", "2-b")


async def test_a_row_whose_blob_is_gone_is_named(account: Account) -> None:
    large = TaskScheduled(timestamp=BEGINNING, name="a", version="", input="x" * 70_000, event_id=0)
    await account.append((OPENED, STARTED, large, CLOSED), 0)
    (name,) = await account.hub.payloads.names("i/")
    await account.hub.payloads.delete(name)
    with pytest.raises(DecodeError, match=f"row 0000000000000002.*{name}"):
        await account.load()
