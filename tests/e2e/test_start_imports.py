"""What a host on the embedded store has not loaded when its first orchestration has ended: start-up is imports."""

from __future__ import annotations

from pathlib import Path

from tests.support.apps import v2_app
from tests.support.hosts import new_place, printed_json, ready

APP = """
import sys

@app.orchestration_trigger(context_name="context")
def ask(context):
    return (yield context.call_activity("loaded", ""))

@app.activity_trigger(input_name="nothing")
def loaded(nothing: str) -> list:
    return sorted(sys.modules)
"""
MUST_NOT_BE_LOADED = (
    "azure.core",
    "azure.data",
    "azure.identity",
    "azure.storage",
    "azurite",
    "croniter",
    "emulator.commands.doctor",
    "emulator.commands.instances",
    "emulator.commands.store",
    "emulator.storage.azure",
    "emulator.testing",
    "httptools",
    "rich",
)


async def test_a_start_on_the_embedded_store_loads_no_storage_sdk_and_no_other_command(
    tmp_path: Path,
):
    app = v2_app(tmp_path / "app", APP)
    place = new_place("sqlite", tmp_path)
    async with ready(app, place, tmp_path / "log", "--run", "ask") as (host, _):
        await host.until_printed('"lastUpdatedTime"')
        loaded = printed_json(host.output)["output"]
    assert "emulator.storage.sqlite" in loaded
    unwanted = [
        name
        for name in loaded
        if any(name == other or name.startswith(f"{other}.") for other in MUST_NOT_BE_LOADED)
    ]
    assert unwanted == []
