from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from azurite import Azurite
from emulator import config
from emulator.engine.clock import SystemIds
from emulator.settings import ManagementUrls, OverridableStates, Settings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.storage.sqlite import SqliteStorage
from tests import vectors
from tests.http.recordings import HOST, RECORDINGS, answered_otherwise, replaced_in
from tests.http.replay import ShiftedClock, golden_app, replaying
from tests.support import azurite as azurite_support
from tests.support.stores import azure_storage


def settings_for(file: str, connection: str = "UseDevelopmentStorage=true") -> Settings:
    """Of the host that answered a file; `connection` is what the other connection of its app leads to."""
    read = config.load(golden_app(), config.Flags(storage="memory", port=0), {})
    recording = RECORDINGS[file]
    converted: dict[str, Any] = {
        "overridable_states": OverridableStates,
        "management_urls": ManagementUrls,
        "time_zone": ZoneInfo,
    }
    hub = {k: converted.get(k, lambda v: v)(v) for k, v in recording.hub.items()}
    http = {k: converted.get(k, lambda v: v)(v) for k, v in recording.http.items()}
    return replace(
        read,
        hub=replace(read.hub, **hub),
        http=replace(read.http, port=0, rpc_port=0, website_hostname=HOST, **http),
        app=replace(read.app, values={**read.app.values, "OtherConn": connection}),
    )


@pytest.fixture
def empty_account() -> Iterator[Azurite]:
    """An Azurite for one file: hubs are named in what was recorded."""
    yield from azurite_support.running()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("file", sorted(RECORDINGS))
async def test_every_exchange_is_answered_as_recorded(
    file: str, store: str, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    await check(
        file,
        settings_for(file),
        MemoryStorage(clock, SystemIds())
        if store == "memory"
        else SqliteStorage(tmp_path / "store.db", clock, SystemIds()),
        clock,
    )


@pytest.mark.slow
@pytest.mark.azurite
@pytest.mark.parametrize("file", sorted(RECORDINGS), ids="azurite-{}".format)
async def test_every_exchange_is_answered_as_recorded_on_azurite(
    file: str, empty_account: Azurite
) -> None:
    connection = empty_account.connection_string
    await check(file, settings_for(file, connection), azure_storage(connection), ShiftedClock())


async def check(file: str, settings: Settings, storage: Storage, clock: ShiftedClock) -> None:
    """Send every exchange of a file to a host on a store, and compare the answers."""
    otherwise = answered_otherwise(file)
    exchanges = vectors.http(file)
    names = [exchange["name"] for exchange in exchanges]
    assert all(names.count(name) == 1 for name in otherwise), "a difference is of one exchange"
    async with replaying(
        settings, RECORDINGS[file], storage, clock, replaced_in(file), otherwise
    ) as replay:
        found = await replay.run(exchanges)
    report = "\n\n".join(f"[{m.name}] {m.request}\nwanted: {m.wanted}\nown: {m.own}" for m in found)
    assert not found, f"{len(found)} answers differ\n{report}"


def test_no_deliberate_difference_is_a_failure_of_ours() -> None:
    for file in RECORDINGS:
        recorded = {e["name"]: e["response"]["status"] for e in vectors.http(file)}
        for name, own in answered_otherwise(file).items():
            assert not own.startswith("5") or recorded[name] >= 500, (file, name)
