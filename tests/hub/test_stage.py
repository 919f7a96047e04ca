"""Hubs as files: every recorded stage is read, stored, and written again as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.core.status import RuntimeStatus
from emulator.engine.clock import SystemIds
from emulator.errors import ConfigError
from emulator.hub.image import Renaming, has_hub
from emulator.hub.stage import StageImage
from emulator.hub.task_hub import TaskHub
from emulator.hub.transfer import transfer
from emulator.settings import HubSettings
from emulator.storage.memory import MemoryStorage
from emulator.wire.names import HubNames
from tests import vectors
from tests.support.clocks import CountedIds, ManualClock
from tests.support.stages import exported, ignore, imported

STAGES = [
    (scenario, stage)
    for scenario in vectors.storage_scenarios()
    for stage, content in vectors.stages(scenario).items()
    if any(name.endswith("Instances") for name in content["tables"])
]


def comparable(content: dict[str, Any]) -> dict[str, Any]:
    """Without what a store gives out itself: ETags, ids and times of its own, leases of blobs."""
    return {
        "queues": {
            name: [message["MessageText"] for message in queue["visible"]]
            for name, queue in content["queues"].items()
        },
        "tables": {
            name: [
                {c: v for c, v in row.items() if c not in ("odata.etag", "Timestamp")}
                for row in rows
            ]
            for name, rows in content["tables"].items()
        },
        "blobs": {
            container: {
                name: {k: v for k, v in blob.items() if k != "headers"}
                for name, blob in blobs.items()
            }
            for container, blobs in content["blobs"].items()
        },
    }


@pytest.mark.parametrize(("scenario", "stage"), STAGES)
async def test_a_recorded_stage_survives_an_import_and_an_export(scenario: str, stage: str):
    content = vectors.stages(scenario)[stage]
    image = StageImage(json.dumps(content), "file")
    storage = MemoryStorage(ManualClock(), CountedIds())
    url = storage.blobs.blob_url(image.names.large_messages, "")
    done = await transfer(image, storage, Renaming(image.names, image.names, url), ignore)
    again = await exported(storage, image.names.hub, 4)
    ours = json.dumps(comparable(again), sort_keys=True).replace(url, "PAYLOADS/")
    base = "http://127.0.0.1:22010/devstoreaccount1/"
    recorded = json.dumps(comparable(content), sort_keys=True)
    recorded = recorded.replace(f"{base}{image.names.large_messages}/", "PAYLOADS/")
    assert ours == recorded
    assert done.rows == sum(len(rows) for rows in content["tables"].values())


async def test_a_hub_gets_another_name_in_all_its_parts():
    content = vectors.stages("large")["01-completed"]
    image = StageImage(json.dumps(content), "file")
    storage = MemoryStorage(ManualClock(), CountedIds())
    await imported(content, storage, "Other")
    assert await has_hub(storage, HubNames("Other"))
    assert not await has_hub(storage, image.names)
    text = json.dumps(await exported(storage, "Other", 4))
    assert image.names.hub.lower() not in text.lower()
    hub = TaskHub(storage, HubSettings(hub_name="Other"), SystemIds().hex32)
    record = await hub.instances.get("in-200k-out-200k")  # type: ignore[arg-type]
    assert record is not None
    assert record.status is RuntimeStatus.COMPLETED
    assert record.output is not None
    assert len(record.output) > 200_000


async def test_leases_on_blobs_get_another_name_with_their_hub():
    storage = MemoryStorage(ManualClock(), CountedIds())
    content = vectors.stages("blob-leases")["02-two-owners"]
    content["blobs"]["goldenblobleases-leases"]["intent/goldenblobleases-control-03"]["text"] = "?"
    await imported(content, storage, "Other")
    hub = TaskHub(storage, HubSettings(hub_name="Other"), SystemIds().hex32)
    leases = await hub.ownerships.all()
    assert [(lease.control_queue, lease.owner, lease.epoch) for lease in leases] == [
        ("other-control-00", "worker-2", 2),
        ("other-control-01", "worker-2", 2),
        ("other-control-02", "worker-1", 1),
        ("other-control-03", "worker-1", 1),
    ]
    assert (await hub.intents.all())[3].owner is None, "what nobody can read goes as it is"
    assert "goldenblobleases" not in json.dumps(await exported(storage, "Other", 4)).lower()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"queues": {}, "tables": {}, "blobs": {}}', "shows 0 task hubs"),
        ('{"queues": {}, "tables": {"AInstances": [], "BInstances": []}, "blobs": {}}', "shows 2"),
        ('{"queues": 1, "tables": {}, "blobs": {}}', "queues is no JSON object"),
    ],
)
def test_another_file_is_refused(text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        StageImage(text, "file")


async def test_a_damaged_item_is_named():
    text = '{"queues": {}, "tables": {"AInstances": [{"PartitionKey": 1}]}, "blobs": {}}'
    image = StageImage(text, "file")
    with pytest.raises(ConfigError, match="file: item 0 of AInstances cannot be read"):
        [row async for row in image.rows("AInstances")]
