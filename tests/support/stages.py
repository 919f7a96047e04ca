"""Hubs in the form of the recordings' stage files."""

from __future__ import annotations

import io
import json
from typing import Any

from emulator.engine.clock import SystemIds
from emulator.hub.image import LiveImage, Renaming
from emulator.hub.stage import StageImage, write_stage
from emulator.hub.task_hub import TaskHub
from emulator.hub.transfer import transfer
from emulator.settings import HubSettings
from emulator.storage.ports import Storage
from emulator.wire.names import HubNames


def ignore(done: int) -> None:
    """How much is done is not looked at here."""
    del done


async def exported(storage: Storage, name: str, partitions: int = 4) -> dict[str, Any]:
    """A hub in a store, as `durable hub export` writes it."""
    settings = HubSettings(hub_name=name, partition_count=partitions)
    image = LiveImage(TaskHub(storage, settings, SystemIds().hex32), holds=True)
    await image.open()
    file = io.StringIO()
    await write_stage(image, file, scenario="s", stage="t", progress=ignore)
    return json.loads(file.getvalue())


async def imported(content: dict[str, Any], storage: Storage, name: str) -> None:
    """Write a hub into a store, under a name."""
    image = StageImage(json.dumps(content), "file")
    new = HubNames(name)
    url = storage.blobs.blob_url(new.large_messages, "")
    await transfer(image, storage, Renaming(image.names, new, url), ignore)
