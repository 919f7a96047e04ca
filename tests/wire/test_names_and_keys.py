from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.ids import InstanceId
from emulator.core.partition import partition_of
from emulator.errors import ConfigError
from emulator.wire import keys
from emulator.wire.names import HubNames, sanitise_hub_name, validate_hub_name
from emulator.wire.queue_message import Envelope, decode_message
from tests import vectors

ANY_ID = st.text(st.characters(max_codepoint=0x2FF), min_size=1).map(InstanceId)


def test_every_recorded_queue_table_and_container_is_named_as_it_was() -> None:
    names = HubNames("GoldenLarge")
    stage = vectors.stages("large")["01-completed"]
    assert set(stage["queues"]) == {names.work_items, *(names.control_queue(i) for i in range(4))}
    assert set(stage["tables"]) == {names.history, names.instances, names.partitions}
    assert set(stage["blobs"]) == {names.large_messages, names.app_lease}
    assert set(stage["blobs"][names.app_lease]) == {names.app_lease_info}
    assert set(next(iter(vectors.stages("blob-leases").values()))["blobs"]) >= {
        HubNames("GoldenBlobLeases").leases
    }


@pytest.mark.parametrize("scenario", ["odd-ids", "sub-orchestration", "left-behind", "fan-out"])
def test_every_recorded_instance_lies_in_the_queue_it_lay_in(scenario: str) -> None:
    found = 0
    for call in vectors.transcript(scenario):
        if call["service"] != "queue" or call["method"] != "POST" or "-control-" not in call["url"]:
            continue
        text = call["body"].partition("<MessageText>")[2].partition("</MessageText>")[0]
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        message = decode_message(text)
        assert isinstance(message, Envelope)
        index = int(call["url"].partition("-control-")[2][:2])
        assert partition_of(message.task_message.target.instance_id, 4) == index
        found += 1
    assert found


def test_every_recorded_id_has_the_partition_key_it_had() -> None:
    stage = list(vectors.stages("odd-ids").values())[-1]
    [rows] = [rows for table, rows in stage["tables"].items() if table.endswith("Instances")]
    recorded = {row["PartitionKey"]["value"] for row in rows}
    assert len(recorded) > 20
    for key in recorded:
        assert keys.escape(keys.unescape(key)) == key
    sent = {
        m.task_message.target.instance_id
        for m in map(decode_message, vectors.queue_texts("odd-ids"))
        if isinstance(m, Envelope)
    }
    assert recorded <= {keys.escape(i) for i in sent}


@given(ANY_ID)
def test_an_escaped_id_is_found_again(instance: InstanceId) -> None:
    assert keys.unescape(keys.escape(instance)) == instance


@given(ANY_ID)
def test_an_escaped_id_holds_nothing_that_a_key_must_not(instance: InstanceId) -> None:
    forbidden = {"/", "\\", "#", "?", *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))}
    assert not forbidden & set(keys.escape(instance))


@pytest.mark.parametrize(
    "name", ["", "ab", "9lives", "a-b-c", "a.bc", "a_bc", "x" * 51, "\u00e9tat"]
)
def test_a_hub_name_that_no_store_takes_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"host\.json: .*is no task hub name"):
        validate_hub_name(name, "host.json")


@pytest.mark.parametrize(
    ("site", "hub"),
    [
        ("my-site", "mysite"),
        ("--", "DefaultTaskHub"),
        ("9lives", "t9lives"),
        ("a", "aHub"),
        ("x" * 60, "x" * 45),
    ],
)
def test_a_hub_name_is_made_of_the_site_name(site: str, hub: str) -> None:
    assert sanitise_hub_name(site) == hub
