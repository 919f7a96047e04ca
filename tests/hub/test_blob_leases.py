"""Leases on blobs as the real provider takes, steals and gives them up: texts as recorded, and races."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from emulator.core.blob_balance import BlobLease
from emulator.engine.clock import SystemIds
from emulator.errors import LeaseLostError, TransientStorageError
from emulator.hub.blob_leases import LeaseBlobs
from emulator.hub.census import leases_of, owners
from emulator.hub.soundness import leased_otherwise
from emulator.hub.task_hub import TaskHub
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.testing.faults import Call, Fault, FaultyStorage, Injector
from emulator.testing.port_suite import Account
from tests import vectors
from tests.support.clocks import BEGINNING, CountedIds, ManualClock

QUEUE = "goldenblobleases-control-01"
LEASE_S = 30


def hub_on(storage: Storage, name: str = "GoldenBlobLeases", **settings: Any) -> TaskHub:
    chosen = HubSettings(hub_name=name, use_table_partition_management=False)
    return TaskHub(storage, replace(chosen, **settings), SystemIds().hex32)


@pytest.fixture
async def leases(account: Account) -> LeaseBlobs:
    """A folder with one lease that nobody has, on each store."""
    container = account.name("c")
    await account.storage.blobs.create_container(container)
    made = LeaseBlobs(account.storage.blobs, container, "intent", SystemIds().hex32)
    assert await made.add(QUEUE) is True
    assert await made.add(QUEUE) is False
    return made


async def the_lease(leases: LeaseBlobs) -> BlobLease:
    [found] = await leases.all()
    return found


async def text_of(account: Account, leases: LeaseBlobs) -> str:
    blob = await account.storage.blobs.download(leases.container, f"{leases.folder}/{QUEUE}")
    assert blob is not None
    return blob.content.decode()


# --- as recorded --------------------------------------------------------------------------------------------------


def recorded_texts(folder: str) -> list[str]:
    """What the real provider wrote into one lease blob, one after the other; refused writes are left out."""
    return [
        call["body"]
        for call in vectors.transcript("blob-leases")
        if call["method"] == "PUT"
        and call["url"].endswith(f"/{folder}/{QUEUE}")
        and call["status"] == 201
        and call["body"]
    ]


@pytest.mark.parametrize("folder", ["intent", "ownership"])
async def test_a_lease_is_written_as_it_was_recorded(
    account: Account, leases: LeaseBlobs, folder: str
) -> None:
    """Made; taken by worker-1; stolen (or taken) by worker-2, which leaves; taken back by worker-1, which leaves."""
    texts = [await text_of(account, leases)]
    for worker in ("worker-1", "worker-2", "worker-1"):
        lease = await the_lease(leases)
        if folder == "ownership" and lease.is_held:
            await account.storage.blobs.release_lease(
                leases.container, f"{leases.folder}/{QUEUE}", lease_id=lease.token or ""
            )
            lease = replace(lease, is_held=False)
        taken = await leases.take(lease, worker, duration_s=LEASE_S)
        texts.append((await text_of(account, leases)).replace(taken.token or "", "TOKEN"))
        if len(texts) > 2:
            await leases.release(taken)
            texts.append(await text_of(account, leases))
    tokens = [json.loads(text)["Token"] for text in recorded_texts(folder)]
    assert texts == [
        text.replace(token, "TOKEN") if token else text
        for text, token in zip(recorded_texts(folder), tokens, strict=True)
    ]


async def test_a_hub_is_made_as_it_was_recorded() -> None:
    storage = MemoryStorage(ManualClock(), CountedIds())
    await hub_on(storage).ensure(BEGINNING)
    [container] = await storage.blobs.list_containers("goldenblobleases-leases")
    stage = vectors.stages("blob-leases")["01-one-owner"]["blobs"][container]
    assert (await storage.blobs.list_blobs(container)).names == tuple(sorted(stage))
    described = await storage.blobs.download(container, "taskhub.json")
    assert described is not None
    recorded, ours = json.loads(stage["taskhub.json"]["text"]), json.loads(described.content)
    assert list(ours.items()) == list({**recorded, "CreatedAt": BEGINNING.text()}.items())
    tables = await storage.tables.list_tables()
    assert set(tables) == {"GoldenBlobLeasesHistory", "GoldenBlobLeasesInstances"}


async def test_a_hub_that_is_there_is_left_as_it_is() -> None:
    storage = MemoryStorage(ManualClock(), CountedIds())
    first = hub_on(storage)
    await first.ensure(BEGINNING)
    [lease, *_] = await first.intents.all()
    taken = await first.intents.take(lease, "a", duration_s=LEASE_S)
    described = await storage.blobs.download("goldenblobleases-leases", "taskhub.json")
    await hub_on(storage).ensure(BEGINNING.plus(timedelta(days=1)))
    assert (await first.intents.all())[0] == taken
    assert await storage.blobs.download("goldenblobleases-leases", "taskhub.json") == described


@pytest.mark.parametrize("content", [None, b"[", b'{"TaskHubName":"x"}'])
async def test_a_description_that_is_not_true_any_more_is_written_anew(
    content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    storage = MemoryStorage(ManualClock(), CountedIds())
    await hub_on(storage).ensure(BEGINNING)
    if content is not None:
        await storage.blobs.upload("goldenblobleases-leases", "taskhub.json", content)
    await hub_on(storage, partition_count=2).ensure(BEGINNING)
    blob = await storage.blobs.download("goldenblobleases-leases", "taskhub.json")
    assert blob is not None
    assert json.loads(blob.content)["PartitionCount"] == 2
    [told] = [line for line in caplog.messages if "taskhub.json" in line]
    assert "with 2 control queues" in told


# --- races --------------------------------------------------------------------------------------------------------


async def test_of_two_that_take_a_free_lease_one_has_it(leases: LeaseBlobs) -> None:
    lease = await the_lease(leases)
    first = await leases.take(lease, "a", duration_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        await leases.take(lease, "b", duration_s=LEASE_S)
    assert await the_lease(leases) == first
    assert await leases.renew(first)


async def test_of_two_that_steal_a_lease_one_has_it_and_who_had_it_finds_out(
    leases: LeaseBlobs,
) -> None:
    had = await leases.take(await the_lease(leases), "a", duration_s=LEASE_S)
    seen = await the_lease(leases)
    stolen = await leases.take(seen, "b", duration_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        await leases.take(seen, "c", duration_s=LEASE_S)
    assert await leases.renew(had) is False
    assert await leases.renew(stolen) is True
    assert (await the_lease(leases), stolen.epoch) == (stolen, 2)


async def test_who_has_lost_a_lease_does_not_give_up_that_of_its_successor(
    leases: LeaseBlobs,
) -> None:
    had = await leases.take(await the_lease(leases), "a", duration_s=LEASE_S)
    stolen = await leases.take(await the_lease(leases), "b", duration_s=LEASE_S)
    await leases.release(had)
    assert await the_lease(leases) == stolen


async def test_a_lease_that_was_stolen_and_given_up_cannot_be_renewed_by_who_had_it_first(
    leases: LeaseBlobs,
) -> None:
    had = await leases.take(await the_lease(leases), "a", duration_s=LEASE_S)
    await leases.release(await leases.take(await the_lease(leases), "b", duration_s=LEASE_S))
    assert await leases.renew(had) is False
    again = await leases.take(await the_lease(leases), "a", duration_s=LEASE_S)
    assert again.epoch == 3


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"Epoch":"x"}'])
async def test_a_lease_that_nobody_can_read_is_taken_when_it_is_free(
    account: Account, leases: LeaseBlobs, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await account.storage.blobs.upload(leases.container, f"intent/{QUEUE}", content)
    lease = await the_lease(leases)
    assert "cannot be read" in caplog.text
    taken = await leases.take(lease, "a", duration_s=LEASE_S)
    assert await the_lease(leases) == taken
    assert taken.epoch == 1


# --- a worker that is cut off -------------------------------------------------------------------------------------


class Cut:
    """A folder of leases in memory whose uploads can be made to fail."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fault: Fault | None = None
        memory = MemoryStorage(self.clock, CountedIds())
        self.faulty = FaultyStorage(memory, Injector(plan=self._plan)).blobs
        self.leases = LeaseBlobs(memory.blobs, "c", "intent", SystemIds().hex32)
        self.cut = LeaseBlobs(self.faulty, "c", "intent", SystemIds().hex32)

    def _plan(self, call: Call) -> Fault | None:
        return self.fault if call.operation == "upload" else None


@pytest.fixture
async def cut() -> Cut:
    made = Cut()
    await made.faulty.create_container("c")
    await made.leases.add(QUEUE)
    return made


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.ANSWER_LOST])
@pytest.mark.parametrize("is_stolen", [False, True])
async def test_a_lease_that_could_not_be_written_down_is_free_at_once(
    cut: Cut, fault: Fault, is_stolen: bool
) -> None:
    if is_stolen:
        await cut.leases.take(await the_lease(cut.leases), "a", duration_s=LEASE_S)
    cut.fault = fault
    with pytest.raises(TransientStorageError):
        await cut.cut.take(await the_lease(cut.leases), "b", duration_s=LEASE_S)
    lease = await the_lease(cut.leases)
    assert not lease.is_held
    assert await cut.leases.take(lease, "c", duration_s=LEASE_S)


async def test_a_worker_that_died_between_lease_and_text_leaves_it_free_when_the_lease_ends(
    cut: Cut,
) -> None:
    """Until then nobody can steal it: no text tells the id under which it is leased."""
    had = await cut.leases.take(await the_lease(cut.leases), "a", duration_s=LEASE_S)
    await cut.faulty.change_lease(
        "c", f"intent/{QUEUE}", lease_id=had.token or "", proposed_id=SystemIds().guid()
    )
    seen = await the_lease(cut.leases)
    assert (seen.owner, seen.is_held) == ("a", True)
    assert await cut.leases.renew(had) is False
    with pytest.raises(LeaseLostError):
        await cut.leases.take(seen, "c", duration_s=LEASE_S)
    cut.clock.move(LEASE_S + 1)
    assert (await cut.leases.take(await the_lease(cut.leases), "c", duration_s=LEASE_S)).epoch == 2


async def test_a_lease_that_ran_out_is_renewed_unless_another_took_it(cut: Cut) -> None:
    had = await cut.leases.take(await the_lease(cut.leases), "a", duration_s=LEASE_S)
    cut.clock.move(LEASE_S + 1)
    assert await cut.leases.renew(had) is True
    cut.clock.move(LEASE_S + 1)
    await cut.leases.take(await the_lease(cut.leases), "b", duration_s=LEASE_S)
    assert await cut.leases.renew(had) is False


# --- what others see ----------------------------------------------------------------------------------------------


async def test_who_reads_a_queue_and_who_is_about_to_is_shown() -> None:
    clock = ManualClock()
    hub = hub_on(MemoryStorage(clock, CountedIds()), partition_count=1)
    await hub.ensure(clock.now())
    [lease] = await leases_of(hub, clock.now())
    assert (lease.owner, lease.next_owner, lease.is_held) == (None, None, False)
    for folder in (hub.intents, hub.ownerships):
        await folder.take((await folder.all())[0], "a", duration_s=LEASE_S)
    await hub.intents.take((await hub.intents.all())[0], "b", duration_s=LEASE_S)
    [lease] = found = await leases_of(hub, clock.now())
    assert (lease.owner, lease.next_owner, lease.is_held) == ("a", "b", True)
    assert lease.is_draining
    assert owners(found) == ("a",)
    clock.move(LEASE_S + 1)
    [lease] = found = await leases_of(hub, clock.now())
    assert (lease.owner, lease.next_owner, lease.is_held) == ("a", None, False)
    assert owners(found) == ()


async def test_a_hub_leased_both_ways_is_noticed_while_a_host_reads_it_the_other_way() -> None:
    clock = ManualClock()
    storage = MemoryStorage(clock, CountedIds())
    by_blobs = hub_on(storage)
    await by_blobs.ensure(clock.now())
    assert not await leased_otherwise(by_blobs, clock.now(), by_table=False)
    assert await leased_otherwise(by_blobs, clock.now(), by_table=True), "there is no table yet"
    by_table = hub_on(storage, use_table_partition_management=True)
    await by_table.ensure(clock.now())
    assert not await leased_otherwise(by_table, clock.now(), by_table=True)
    await by_blobs.ownerships.take((await by_blobs.ownerships.all())[0], "a", duration_s=LEASE_S)
    assert await leased_otherwise(by_table, clock.now(), by_table=True)
    assert not await leased_otherwise(by_table, clock.now(), by_table=False)
    [first, *_] = await leases_of(by_table, clock.now())
    assert (first.owner, first.is_held) == ("a", True), "the lease in force is shown"
    clock.move(LEASE_S + 1)
    assert not await leased_otherwise(by_table, clock.now(), by_table=True)
