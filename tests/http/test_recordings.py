from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from emulator import config
from emulator.engine.clock import SystemIds
from emulator.settings import ManagementUrls, OverridableStates, Settings
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.storage.sqlite import SqliteStorage
from tests import vectors
from tests.http.recordings import HOST, RECORDINGS, answered_otherwise, replaced_in
from tests.http.replay import ShiftedClock, golden_app, replaying


def settings_for(file: str) -> Settings:
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
        app=replace(
            read.app, values={**read.app.values, "OtherConn": "UseDevelopmentStorage=true"}
        ),
    )


def make_store(kind: str, folder: Path, clock: ShiftedClock) -> Storage:
    if kind == "memory":
        return MemoryStorage(clock, SystemIds())
    return SqliteStorage(folder / "store.db", clock, SystemIds())


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("file", sorted(RECORDINGS))
async def test_every_exchange_is_answered_as_recorded(
    file: str, store: str, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    storage = make_store(store, tmp_path, clock)
    otherwise = answered_otherwise(file)
    async with replaying(
        settings_for(file), RECORDINGS[file], storage, clock, replaced_in(file), otherwise
    ) as replay:
        found = await replay.run(vectors.http(file))
    unexplained = [m for m in found if m.name not in otherwise]
    report = "\n\n".join(
        f"[{m.name}] {m.request}\nrecorded: {m.recorded}\nown: {m.own}" for m in unexplained
    )
    assert not unexplained, f"{len(unexplained)} answers differ\n{report}"
    as_recorded = otherwise - {m.name for m in found}
    assert not as_recorded, f"no longer a difference: {sorted(as_recorded)}"
