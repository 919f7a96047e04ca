"""A status that is behind its history, as a crash between the two leaves it."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.compose import Parts
from emulator.core.ids import InstanceId
from emulator.core.status import RuntimeStatus
from emulator.hub.task_hub import TaskHub
from tests.support.engines import play

APP = Path(__file__).parents[1] / "e2e" / "behaviours"
MINUTE = timedelta(minutes=1)


def test_a_status_that_a_crash_has_left_behind_is_mended_at_the_next_load_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On Azure it stays wrong for good. Whatever comes for the instance makes it be loaded."""
    caplog.set_level(logging.INFO, "emulator")

    async def scene(parts: Parts) -> None:
        client = parts.engine.client
        hub = TaskHub(parts.storage, parts.settings.hub, parts.ids.hex32)
        await client.start("returns", instance_id="i", input='"1"')
        await client.wait("i", limit=MINUTE, interval=MINUTE)
        await hub.instances.merge(InstanceId("i"), {"RuntimeStatus": "Running"})
        await client.raise_event("i", "anything", None)
        await asyncio.sleep(1)
        record = await client.get("i")
        assert record is not None
        assert (record.status, record.output) == (RuntimeStatus.COMPLETED, "1")

    play(APP, scene)
    told = [r.getMessage() for r in caplog.records if getattr(r, "event", "") == "instance_mended"]
    assert told == ["the status of instance 'i' was behind its history and has been mended"]
