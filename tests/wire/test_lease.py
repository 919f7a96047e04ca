from __future__ import annotations

import json

import pytest

from emulator.errors import DecodeError
from emulator.wire import lease
from tests import vectors
from tests.support.rows import staged, written


def test_every_recorded_partition_row_is_encoded_as_it_was() -> None:
    found = 0
    for scenario in vectors.storage_scenarios():
        for call in vectors.table_calls(scenario):
            if call.table.endswith("Partitions") and call.columns:
                columns = written(call.columns)
                again = lease.partition_columns(lease.decode_partition("q", columns))
                assert list(again.items()) == list(columns.items())
                found += 1
    assert found > 100


def test_every_stored_partition_row_is_encoded_as_it_was() -> None:
    for scenario in vectors.storage_scenarios():
        for stage in vectors.stages(scenario).values():
            for table, rows in stage["tables"].items():
                for row in rows if table.endswith("Partitions") else ():
                    columns = staged(row)
                    assert lease.partition_columns(lease.decode_partition("q", columns)) == columns


@pytest.mark.parametrize("text", sorted(set(vectors.text_blobs("appleaseinfo")) - {"{}"}))
def test_the_app_lease_blob_is_encoded_as_it_was(text: str) -> None:
    assert lease.encode_app_lease(lease.decode_app_lease(text)) == text


def test_a_new_app_lease_blob_names_nobody() -> None:
    assert lease.decode_app_lease("{}") == lease.AppLeaseInfo()


def test_the_lease_id_is_made_of_the_app_name() -> None:
    assert lease.app_lease_id("golden") == "1705ad44-0000-0000-0000-000000000000"


@pytest.mark.parametrize("text", sorted(set(vectors.text_blobs("taskhub.json"))))
def test_the_hub_description_is_encoded_as_it_was(text: str) -> None:
    assert lease.encode_hub_info(lease.decode_hub_info(text)) == text


@pytest.mark.parametrize("text", sorted(set(vectors.text_blobs("control-01"))))
def test_lease_blobs_are_encoded_as_they_were(text: str) -> None:
    queue = json.loads(text)["PartitionId"]
    assert lease.encode_blob_lease(lease.decode_blob_lease(queue, text, is_held=True)) == text


@pytest.mark.parametrize("text", ["", "[]", '{"Epoch":"x"}'])
def test_a_garbled_lease_blob_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="it"):
        lease.decode_blob_lease("q", text, is_held=False)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"TaskHubName":"a","CreatedAt":"x","PartitionCount":4}']
)
def test_a_garbled_hub_description_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match=r"taskhub\.json"):
        lease.decode_hub_info(text)
