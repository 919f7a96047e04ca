"""What is too large for a message or a column, through the whole engine."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from azurite import Azurite
from emulator.compose import Parts
from emulator.core.status import RuntimeStatus
from emulator.engine.ports import OrchestrationClient
from emulator.storage.ports import RowKey
from emulator.wire.names import HubNames
from tests.support.engines import on_azurite, play
from tests.support.takeover import APP

MIB = 2**20
LARGEST = 16 * MIB
PATIENCE = timedelta(seconds=100)
OFTEN = timedelta(seconds=0.1)


async def ended(client: OrchestrationClient, instance: str) -> Any:
    """The output of an instance that must complete."""
    record = await client.wait(instance, limit=PATIENCE, interval=OFTEN)
    assert record is not None
    assert record.status is RuntimeStatus.COMPLETED, (record.output or "")[:200]
    return json.loads(record.output or "null")


async def payloads(parts: Parts) -> list[str]:
    """Names of all blobs of large payloads."""
    container = HubNames(parts.settings.hub.hub_name).large_messages
    return [*(await parts.storage.blobs.list_blobs(container)).names]


# --- 16 MiB of each -----------------------------------------------------------------------------------------------


async def an_input(parts: Parts) -> None:
    client, text = parts.engine.client, "i" * LARGEST
    await client.start("NoActivity", instance_id="input", input=f'"{text}"')
    assert await ended(client, "input") == f'got "{text}"'
    record = await client.get("input")
    assert record is not None
    assert record.input == f'"{text}"'


async def an_activitys_result(parts: Parts) -> None:
    client = parts.engine.client
    await client.start("Large", instance_id="result", input=f'"{LARGEST} characters"')
    assert await ended(client, "result") == "b" * LARGEST


async def an_event(parts: Parts) -> None:
    client, text = parts.engine.client, "\u6f22" * (LARGEST // 3)
    await client.start("WaitTwo", instance_id="event")
    await client.raise_event("event", "A", f'"{text}"')
    await client.raise_event("event", "B", "1")
    assert await ended(client, "event") == [f'"{text}"', "1"]


async def an_error(parts: Parts) -> None:
    client = parts.engine.client
    await client.start("Complaining", instance_id="error", input=str(LARGEST))
    record = await client.wait("error", limit=PATIENCE, interval=OFTEN)
    assert record is not None
    assert record.status is RuntimeStatus.FAILED
    assert "e" * LARGEST in (record.output or "")


async def a_reason(parts: Parts) -> None:
    client, text = parts.engine.client, "r" * LARGEST
    await client.start("WaitTwo", instance_id="reason")
    await client.terminate("reason", text)
    record = await client.wait("reason", limit=PATIENCE, interval=OFTEN)
    assert record is not None
    assert (record.status, record.output) == (RuntimeStatus.TERMINATED, text)


SCENES: list[Callable[[Parts], Awaitable[None]]] = [
    an_input,
    an_activitys_result,
    an_event,
    an_error,
    a_reason,
]


@pytest.mark.parametrize("scene", SCENES)
def test_16_mib_travel(scene: Callable[[Parts], Awaitable[None]]):
    play(APP, scene)


@pytest.mark.azurite
async def test_16_mib_travel_through_azurite(azurite: Azurite):
    async with on_azurite(APP, azurite, "Payloads") as parts:
        for scene in (an_input, an_event, an_error):
            await scene(parts)


# --- thresholds ---------------------------------------------------------------------------------------------------

CASES = {
    # Characters of the input, as UTF-8 and UTF-16 count them: where the message lies, and where the column.
    "small": ("a" * 30_000, False, False),
    "long as UTF-16 only": ("a" * 32_000, False, True),
    "long as UTF-8 only": ("\u6f22" * 20_000, True, False),
    "long as both": ("a" * 50_000, True, True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_message_counts_in_utf_8_and_a_column_in_utf_16(case: str):
    text, message_is_blob, column_is_blob = CASES[case]

    async def scene(parts: Parts) -> list[str]:
        await parts.engine.client.start("NoActivity", instance_id="it", input=f'"{text}"')
        assert await ended(parts.engine.client, "it") == f'got "{text}"'
        return await payloads(parts) if message_is_blob or column_is_blob else []

    names = play(APP, scene)
    assert any(n.endswith("-ExecutionStarted.json.gz") for n in names) is message_is_blob
    assert any(n.endswith("-Input.json.gz") for n in names) is column_is_blob


@pytest.mark.parametrize("case", CASES)
def test_a_row_of_a_start_shows_where_its_input_lies(case: str):
    """In the message's blob if there is one, as the real product has it; else in one of its own."""
    text, message_is_blob, column_is_blob = CASES[case]

    async def scene(parts: Parts) -> None:
        client, later = parts.engine.client, parts.clock.now().plus(timedelta(hours=1))
        await client.start("NoActivity", instance_id="it", input=f'"{text}"', scheduled_start=later)
        names = HubNames(parts.settings.hub.hub_name)
        key = RowKey(partition="it", row="")
        row = await parts.storage.tables.get(names.instances, key)
        assert row is not None
        shown, blob = str(row.columns["Input"]), str(row.columns.get("InputBlobName", ""))
        message = parts.storage.blobs.blob_url(names.large_messages, "it/message-")
        if message_is_blob:
            assert shown.startswith(message)
            assert shown.endswith("-ExecutionStarted.json.gz")
            assert not blob
        elif column_is_blob:
            assert not shown
            assert re.fullmatch(r"it/history--Input-[0-9A-F]{8}-Input\.json\.gz", blob)
        else:
            assert shown == f'"{text}"'
        record = await client.get("it")
        assert record is not None
        assert record.input == f'"{text}"'

    play(APP, scene)


# --- deletion -----------------------------------------------------------------------------------------------------


def test_purge_takes_the_payloads_of_its_instance_and_no_others():
    async def scene(parts: Parts) -> list[str]:
        client = parts.engine.client
        for instance in ("one", "one-more"):
            await client.start("Large", instance_id=instance, input=f'"50000 {"i" * 50_000}"')
            await ended(client, instance)
        assert await client.purge("one")
        return await payloads(parts)

    names = play(APP, scene)
    assert names
    assert all(name.startswith("one-more/") for name in names)


def test_a_generation_takes_the_payloads_of_the_one_before_with_it():
    text = "t" * 50_000

    async def scene(parts: Parts) -> list[str]:
        first = json.dumps({"left": 3, "text": text})
        await parts.engine.client.start("LargeGenerations", instance_id="eternal", input=first)
        assert await ended(parts.engine.client, "eternal") == len(text)
        return await payloads(parts)

    names = [name for name in play(APP, scene) if "/history-" in name]
    assert len(names) == 1, names


# --- texts that look like addresses -------------------------------------------------------------------------------

ADDRESSES = [
    "https://example.com",
    "a:b",
    "http://127.0.0.1:10000/devstoreaccount1/takeover-largemessages/nothing/here.json.gz",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_text_that_looks_like_an_address_is_a_text(address: str):
    """As the reason of a termination it lies in the column as it is; the real product cannot read such a row."""

    async def scene(parts: Parts) -> None:
        client = parts.engine.client
        await client.start("WaitTwo", instance_id="one", input=json.dumps(address))
        await client.terminate("one", address)
        record = await client.wait("one", limit=PATIENCE, interval=OFTEN)
        assert record is not None
        assert (record.input, record.output) == (json.dumps(address), address)

    play(APP, scene)
