from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from azurite import Azurite, Ports
from emulator import config
from emulator.compose import running_host
from emulator.core.status import RuntimeStatus
from tests.support.apps import v2_app
from tests.support.hosts import QUICK, eventually, isolated

ORCHESTRATION = "@app.orchestration_trigger(context_name='context')\ndef one(context): return 1"


@pytest.mark.azurite
@pytest.mark.slow
async def test_what_azurite_holds_is_there_again_at_the_next_start(
    tmp_path: Path, azurite: Azurite
) -> None:
    ports = Ports.free()
    app = v2_app(tmp_path, ORCHESTRATION)
    environment = {**config.process_environment(), **QUICK}
    environment["AzureWebJobsStorage"] = "UseDevelopmentStorage=true"
    loaded = config.load(app, config.Flags(port=0), environment)
    settings = replace(
        loaded,
        http=replace(loaded.http, rpc_port=0),
        storage=replace(loaded.storage, development_ports=(ports.blob, ports.queue, ports.table)),
    )
    with isolated(app):
        async with running_host(settings, environment=environment, say=lambda _: None) as host:
            client = host.client
            instance_id = await client.start("one")

            async def completed() -> bool | None:
                record = await client.get(instance_id)
                return record is not None and record.status is RuntimeStatus.COMPLETED

            await eventually(completed, "the instance has completed")
        async with running_host(settings, environment=environment, say=lambda _: None) as host:
            record = await host.client.get(instance_id)
    assert record is not None
    assert (record.status, record.output) == (RuntimeStatus.COMPLETED, "1")
