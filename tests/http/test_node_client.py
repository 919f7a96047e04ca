"""What the real JavaScript client makes of this host's answers. Source: reference http-api.md 6.2.

Every method is called by way of the local listener, and by the links of the binding where there is no such listener.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from azurite import AzuriteError
from emulator.compose import Host, running_host
from emulator.engine.clock import SystemIds
from emulator.http.urls import Links
from emulator.storage.memory import MemoryStorage
from tests.http.node_client import (
    UNDEFINED,
    NodeClient,
    NodeClientError,
    date,
    entity,
    installed,
    node_client,
)
from tests.http.replay import ShiftedClock
from tests.http.test_recordings import settings_for
from tests.support.azurite import cannot_run
from tests.support.hosts import eventually

pytestmark = [pytest.mark.node, pytest.mark.slow]
BY_RPC, BY_LINKS = "rpc", "links"
WAYS = (BY_RPC, BY_LINKS)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def command() -> Sequence[str]:
    try:
        return installed(os.environ)
    except AzuriteError as error:
        cannot_run(error)


@dataclass(frozen=True)
class Pair:
    """A host and the client of it."""

    client: NodeClient
    host: Host
    links: Links

    async def call(self, method: str, *arguments: object) -> Any:
        return await self.client.call(method, *arguments)

    async def start(self, name: str, instance: str, **options: object) -> None:
        assert await self.call("startNew", name, {"instanceId": instance, **options}) == instance

    async def until(self, instance: str, status: str) -> Any:
        async def reached() -> Any:
            found = await self.call("getStatus", instance)
            return found if found["runtimeStatus"] == status else None

        return await eventually(reached, f"{instance} is {status}")

    async def fails(self, text: str, method: str, *arguments: object) -> None:
        with pytest.raises(NodeClientError, match=re.escape(text)):
            await self.call(method, *arguments)


@asynccontextmanager
async def paired(command: Sequence[str], way: str = BY_RPC) -> AsyncIterator[Pair]:
    clock = ShiftedClock()
    storage = MemoryStorage(clock, SystemIds())
    async with running_host(
        settings_for("start"), environment={}, say=lambda _: None, storage=storage, clock=clock
    ) as host:
        hostname = f"localhost:{host.server.port}"
        links = replace(host.links, origin=f"http://{hostname}", code="key")
        binding = links.binding_json(host.server.rpc_base_url if way == BY_RPC else None)
        async with node_client(command, binding, hostname) as client:
            yield Pair(client, host, links)


@pytest.mark.parametrize("way", WAYS)
async def test_an_instance_is_started_read_and_purged(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        await pair.start("Echo", "js1", input={"a": [1, "é"]})
        status = await pair.until("js1", "Completed")
        assert (status["name"], status["input"], status["output"]) == (
            "Echo",
            {"a": [1, "é"]},
            {"a": [1, "é"]},
        )
        assert re.fullmatch(r"\w{32}", await pair.call("startNew", "HelloSequence"))
        assert (await pair.call("purgeInstanceHistory", "js1"))["instancesDeleted"] == 1
        assert (await pair.call("purgeInstanceHistory", "js1"))["instancesDeleted"] == 0
        await pair.fails("replied with HTTP 404 response", "getStatus", "js1")


@pytest.mark.parametrize(("way", "without"), [(BY_RPC, "sent"), (BY_LINKS, "left out")])
async def test_a_status_is_read_with_options(
    command: Sequence[str], way: str, without: str
) -> None:
    """`showInput: false` goes out by the links only; history has a name on the wire that the client does not read."""
    async with paired(command, way) as pair:
        await pair.start("Echo", "js2", input="text")
        await pair.until("js2", "Completed")
        options = {"showHistory": True, "showHistoryOutput": True, "showInput": False}
        status = await pair.call("getStatus", "js2", options)
        assert status["input"] == ("text" if without == "sent" else None)
        assert status["output"] == "text"
        assert "history" not in status


@pytest.mark.parametrize("way", WAYS)
async def test_instances_are_found_and_purged_by_filter(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        await pair.start("Echo", "js-done")
        await pair.start("WaitForEvent", "js-waits")
        await pair.until("js-done", "Completed")
        await pair.until("js-waits", "Running")
        span = {
            "createdTimeFrom": date(LONG_AGO),
            "createdTimeTo": date(datetime.now(UTC) + timedelta(days=2)),
        }
        found = await pair.call("getStatusAll")
        assert sorted(s["instanceId"] for s in found) == ["js-done", "js-waits"]
        found = await pair.call("getStatusBy", {**span, "runtimeStatus": ["Running", "Pending"]})
        assert [s["instanceId"] for s in found] == ["js-waits"]
        terminal = {**span, "runtimeStatus": ["Completed", "Failed"]}
        purged = await pair.call("purgeInstanceHistoryBy", terminal)
        assert purged["instancesDeleted"] == 1
        purged = await pair.call("purgeInstanceHistoryBy", terminal)
        assert purged["instancesDeleted"] == 0
        await pair.fails("unexpected status code: 412", "purgeInstanceHistory", "js-waits")


@pytest.mark.parametrize("way", WAYS)
async def test_all_pages_of_a_list_are_read(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        names = [f"js{n:03}" for n in range(130)]
        for name in names:
            await pair.host.client.start("WaitForEvent", instance_id=name)
        found = await pair.call("getStatusAll")
        assert sorted(s["instanceId"] for s in found) == names


@pytest.mark.parametrize("way", WAYS)
async def test_an_instance_is_steered_from_outside(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        await pair.start("WaitForEvent", "js3")
        await pair.until("js3", "Running")
        await pair.call("suspend", "js3", "a while")
        assert (await pair.until("js3", "Suspended"))["output"] == "a while"
        await pair.fails("unexpected status code: 500", "suspend", "js3", "again")
        await pair.call("resume", "js3", "go on")
        await pair.until("js3", "Running")
        await pair.fails("unexpected status code: 500", "resume", "js3", "again")
        await pair.fails("unexpected status code: 400", "raiseEvent", "js3", "Go", UNDEFINED)
        await pair.call("raiseEvent", "js3", "Go", {"b": 2})
        assert (await pair.until("js3", "Completed"))["output"] == {"b": 2}
        await pair.call("raiseEvent", "js3", "Go", 1)
        for method in ("terminate", "suspend", "resume"):
            await pair.call(method, "js3", "too late")
        await pair.fails("unexpected status code: 412", "rewind", "js3", "no")


@pytest.mark.parametrize("way", WAYS)
async def test_instances_are_terminated_and_rewound(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        await pair.start("WaitForEvent", "js4")
        await pair.until("js4", "Running")
        await pair.call("terminate", "js4", "enough")
        assert (await pair.until("js4", "Terminated"))["output"] == "enough"
        await pair.start("FailsUntilFixed", "js5")
        await pair.until("js5", "Failed")
        await pair.call("rewind", "js5", "fixed")
        assert (await pair.until("js5", "Completed"))["output"] == "Hello first!|fixed y"


MISSING = [
    ("terminate", ("none", "x")),
    ("suspend", ("none", "x")),
    ("resume", ("none", "x")),
    ("rewind", ("none", "x")),
    ("raiseEvent", ("none", "Go", 1)),
]


@pytest.mark.parametrize("way", WAYS)
async def test_a_missing_instance_is_said_to_be_missing(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        for method, arguments in MISSING:
            await pair.fails("No instance with ID 'none' found.", method, *arguments)
        request = {"url": f"{pair.host.links.origin}/api/x"}
        wait = "waitForCompletionOrCreateCheckStatusResponse"
        await pair.fails("HTTP 404", wait, request, "none")


@pytest.mark.parametrize("way", WAYS)
async def test_another_hub_and_connection_are_meant_where_they_are_named(
    command: Sequence[str], way: str
) -> None:
    async with paired(command, way) as pair:
        await pair.start("WaitForEvent", "js6")
        await pair.until("js6", "Running")
        elsewhere = {"taskHubName": "OtherHub"}
        missing = "No instance with ID 'js6' found."
        await pair.fails(missing, "raiseEvent", "js6", "Go", 1, elsewhere)
        await pair.fails(
            "Unable to resolve the Azure Storage connection named 'NoSuch'.",
            *("raiseEvent", "js6", "Go", 1, {"connectionName": "NoSuch"}),
        )
        found = await pair.call("readEntityState", entity("Counter", "js"), elsewhere)
        assert found == {"entityExists": False}
        await pair.call("signalEntity", entity("Counter", "js"), "add", 1, elsewhere)
        await pair.call("raiseEvent", "js6", "Go", 0, {"connectionName": "Storage"})
        assert (await pair.until("js6", "Completed"))["output"] == 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_refused_start_says_why(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        await pair.start("WaitForEvent", "js7")
        await pair.until("js7", "Running")
        again = {"instanceId": "js7"}
        await pair.fails("unexpected status code: 409", "startNew", "WaitForEvent", again)
        await pair.start("NoSuch", "js8")
        assert "is not an orchestrator function" in (await pair.until("js8", "Failed"))["output"]


@pytest.mark.parametrize("way", WAYS)
async def test_entities_are_signalled_and_read(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        counter = entity("Counter", "js")
        assert await pair.call("readEntityState", counter) == {"entityExists": False}
        await pair.call("signalEntity", counter, "add", 5)
        await pair.call("signalEntity", counter, "add", 0)
        await pair.call("signalEntity", counter, "get")

        async def exists() -> bool:
            return (await pair.call("readEntityState", counter))["entityExists"]

        await eventually(exists, "the entity exists")
        found = await pair.call("readEntityState", counter)
        assert found == {"entityExists": True, "entityState": 5}


@pytest.mark.parametrize("way", WAYS)
async def test_waiting_gives_the_output_or_links(command: Sequence[str], way: str) -> None:
    async with paired(command, way) as pair:
        request = {"url": f"http://127.0.0.1:{pair.host.server.port}/api/x"}
        wait = "waitForCompletionOrCreateCheckStatusResponse"
        brief = {"timeoutInMilliseconds": 200, "retryIntervalInMilliseconds": 100}
        await pair.start("HelloSequence", "js9")
        answer = await pair.call(wait, request, "js9")
        assert answer["status"] == 200
        assert answer["body"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
        await pair.start("Fails", "js10")
        answer = await pair.call(wait, request, "js10")
        assert (answer["status"], answer["body"]["runtimeStatus"]) == (500, "Failed")
        await pair.start("WaitForEvent", "js11")
        answer = await pair.call(wait, request, "js11", brief)
        assert (answer["status"], answer["headers"]["retry-after"]) == (202, "10")
        assert answer == await pair.call("createCheckStatusResponse", request, "js11")
        payload = await pair.call("createHttpManagementPayload", "js11")
        assert payload == pair.links.management("js11")
        assert answer["headers"]["location"] == answer["body"]["statusQueryGetUri"]
