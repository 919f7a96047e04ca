from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from azurite import Azurite
from emulator import config
from emulator.commands.store import load_settings
from emulator.compose import make_storage
from emulator.engine.clock import SystemClock, SystemIds
from emulator.settings import Settings
from emulator.storage.ports import RowKey, Storage, Write, WriteKind
from tests.commands.conftest import WAITING_APP
from tests.support.hosts import BY_BLOBS, Place, hosting
from tests.support.shell import Shell

JUNK = "bm90IGEgbWVzc2FnZQ=="
DELIVERIES = 9


@asynccontextmanager
async def store_of(place: Place) -> AsyncIterator[Storage]:
    settings = config.load(WAITING_APP, config.Flags(storage=place.storage), place.environment)
    storage = make_storage(settings.storage, SystemClock(), SystemIds())
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


async def findings(shell: Shell, *, code: int = 1) -> dict[str, Any]:
    """What is not well, by topic; ports and Python are the machine's."""
    checks = await shell.json("doctor", code=code)
    found = [c for c in checks if c["level"] != "ok" and c["topic"] not in ("ports", "python")]
    assert all(check["cure"] for check in found)
    assert len({check["topic"] for check in found}) == len(found), found
    return {check["topic"]: check for check in found}


async def test_a_sound_app(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    found = await findings(shell, code=0)
    assert "no host works on it" in found.pop("messages")["text"]
    assert not found
    async with hosting(WAITING_APP, shell.place) as host:
        await host.result("one")
        checks = await shell.json("doctor")
    (working,) = [check for check in checks if check["topic"] == "messages"]
    assert working["level"] == "ok"
    assert re.search(rf"task hub {shell.place.hub}: \S+ at work", working["text"])


# --- what lies in the hub -----------------------------------------------------------------------------------------


async def test_a_message_that_nobody_can_read(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting")
    queue = f"{shell.place.hub.lower()}-workitems"
    async with store_of(shell.place) as storage:
        await storage.queues.put(queue, JUNK)
    checks = await shell.json("doctor", code=1)
    (junk,) = [check for check in checks if "cannot be read" in check["text"]]
    assert queue in junk["text"]
    assert "it stays in the queue until it is deleted" in junk["cure"]


async def test_a_message_that_is_given_back_again_and_again(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    async with store_of(shell.place) as storage:
        queues = await storage.queues.list_queues(f"{shell.place.hub.lower()}-control-")
        (queue,) = [q for q in queues if await storage.queues.message_count(q)]
        for _ in range(DELIVERIES):
            (taken,) = await storage.queues.receive(queue, count=1, visibility_timeout_s=30)
            handle = taken.handle
            await storage.queues.update(
                queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=0
            )
    checks = await shell.json("doctor", code=1)
    (poison,) = [check for check in checks if "given back" in check["text"]]
    assert f"a message in {queue} was taken and given back {DELIVERIES} times" in poison["text"]
    assert "durable why INSTANCE" in poison["cure"]
    why = await shell.json("why", "one")
    assert DELIVERIES in [finding["dequeueCount"] for finding in why["findings"]]


@pytest.mark.parametrize(
    ("table", "row", "columns", "text"),
    [
        ("Instances", "", {"RuntimeStatus": "Sleeping"}, "unknown RuntimeStatus 'Sleeping'"),
        (
            "History",
            "0000000000000000",
            {"EventType": "LaterEvent", "ExecutionId": "e"},
            "the history row of instance 'one', row 0000000000000000",
        ),
    ],
)
async def test_a_row_that_nobody_can_read(
    shell: Shell, table: str, row: str, columns: dict[str, str], text: str
):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    write = Write(
        kind=WriteKind.UPSERT_MERGE, key=RowKey(partition="one", row=row), columns=columns
    )
    async with store_of(shell.place) as storage:
        await storage.tables.write(f"{shell.place.hub}{table}", write)
    found = (await findings(shell))["rows"]
    assert text in found["text"]
    assert f"in table {shell.place.hub}{table}: " in found["text"]
    assert "with a storage tool" in found["cure"]


async def test_a_hub_that_is_dealt_out_another_way_than_the_app_says(shell: Shell):
    """By blobs, and the app says by a table; that this command wrote into it changes nothing."""
    by_blobs = Shell(shell.folder, replace(shell.place, settings=BY_BLOBS))
    await by_blobs.says("start-new", "--function-name", "greeting")
    assert "hub" not in await findings(by_blobs, code=0)
    await shell.says("start-new", "--function-name", "greeting")
    found = (await findings(shell, code=0))["hub"]
    assert "are dealt out by leases on blobs, and a host with this host.json" in found["text"]
    assert "(useTablePartitionManagement: true)" in found["text"]
    assert "set useTablePartitionManagement to false (host.json, " in found["cure"]


async def test_a_hub_that_is_dealt_out_by_a_table_and_an_app_that_says_by_blobs(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting")
    by_blobs = Shell(shell.folder, replace(shell.place, settings=BY_BLOBS))
    found = (await findings(by_blobs, code=0))["hub"]
    assert "useTablePartitionManagement: false" in found["text"]
    assert "set useTablePartitionManagement to true (host.json, " in found["cure"]


async def test_a_host_whose_leases_are_on_blobs_is_seen_by_all_that_look(shell: Shell):
    by_blobs = Shell(shell.folder, replace(shell.place, settings=BY_BLOBS))
    async with hosting(WAITING_APP, by_blobs.place) as host:
        worker = host.host.settings.hub.worker_id
        checks = await by_blobs.json("doctor")
        assert any(worker in check["text"] for check in checks if check["topic"] == "messages")
        shown = await shell.json("hub", "show")
        assert shown["workers"] == [worker]
        assert {(lease["owner"], lease["isHeld"]) for lease in shown["partitions"]} == {
            (worker, True)
        }
        assert worker in (await shell.says("hub", "show")).out
        await host.start("sleeper", instance_id="one")
        await host.until("one", "Running")
        causes = [finding["cause"] for finding in (await shell.json("why", "one"))["findings"]]
        assert "lease" not in causes
    shown = await shell.json("hub", "show")
    assert {lease["owner"] for lease in shown["partitions"]} == {None}
    assert (await shell.json("why", "one"))["findings"][0]["cause"] == "lease"


async def test_a_hub_with_another_number_of_partitions(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting")
    async with store_of(shell.place) as storage:
        await storage.queues.delete_queue(f"{shell.place.hub.lower()}-control-03")
    found = (await findings(shell))["hub"]
    assert "has 3 control queues, and partitionCount in host.json is 4" in found["text"]
    assert "set partitionCount to 3" in found["cure"]


# --- a store that cannot be used ----------------------------------------------------------------------------------

NOBODY = "127.0.0.1:1"


@pytest.mark.azurite
@pytest.mark.parametrize(
    ("change", "problem", "cure"),
    [
        (
            lambda text: re.sub(r"127\.0\.0\.1:\d+", NOBODY, text),
            NOBODY,
            "--storage, or correct the connection setting",
        ),
        (
            lambda text: re.sub("AccountKey=[^;]+", "AccountKey=d3Jvbmc=", text),
            "it refuses the credential",
            "--storage, or correct the connection setting",
        ),
    ],
    ids=["nobody listens", "wrong key"],
)
async def test_a_server_that_cannot_be_used(
    azurite: Azurite, change: Callable[[str], str], problem: str, cure: str
):
    place = Place("azurite", change(azurite.connection_string), "DoctorHub")
    found = (await findings(Shell(WAITING_APP, place)))["store"]
    assert found["level"] == "error"
    assert problem in found["text"], found
    assert cure in found["cure"]


async def test_development_storage_that_nobody_runs(monkeypatch: pytest.MonkeyPatch):
    """On ports that nobody can have; which they are is no setting of users."""

    def elsewhere(target: Any) -> Settings:
        settings = load_settings(target)
        return replace(settings, storage=replace(settings.storage, development_ports=(1, 1, 1)))

    for module in ("store", "doctor"):
        monkeypatch.setattr(f"emulator.commands.{module}.load_settings", elsewhere)
    place = Place("azurite", "UseDevelopmentStorage=true", "DoctorHub")
    found = (await findings(Shell(WAITING_APP, place)))["store"]
    assert NOBODY in found["text"]
    assert found["cure"] == "durable start starts Azurite; or python -m azurite"


# --- the app ------------------------------------------------------------------------------------------------------


async def test_a_folder_without_an_app(tmp_path: Path, lasting_place: Place):
    shell = Shell(tmp_path, lasting_place)
    said = await shell.says("doctor", target=("--app", str(tmp_path)), code=1)
    assert "Unable to find project root" in said.out
    assert "→ run this in the folder of a function app" in said.out


async def test_functions_that_cannot_run(tmp_path: Path, lasting_place: Place):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text("import nothing_of_that_name\n")
    checks = (await Shell(tmp_path, lasting_place).says("doctor", "--json", code=1)).json
    assert any("nothing_of_that_name" in check["text"] for check in checks)
