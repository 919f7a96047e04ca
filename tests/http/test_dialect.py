"""Where the management API of 2018 answers otherwise than today's, and who gets which. Source: http-api.md 1.15."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from emulator.core.ids import InstanceId
from emulator.core.instance import InstancePage
from emulator.core.instant import Instant
from emulator.errors import TransientStorageError
from emulator.hub.instances import InstanceTable
from emulator.hub.task_hub import TaskHub
from emulator.storage.ports import PAGE_ROWS_MAX, Value
from tests.conftest import store_params
from tests.support.apps import bound, function_json, write_app
from tests.support.clocks import BEGINNING
from tests.support.hosts import DURABLE, HostHere, Place, hosting, new_place

ADMIN = "/admin/extensions/DurableTaskExtension"
LISTENER = "the local listener"
TOKEN = "x-ms-continuation-token"
ORCHESTRATORS = """
import azure.durable_functions as df

def fails(context):
    raise ValueError("broken")
    yield

def waits(context):
    return (yield context.wait_for_external_event("go"))

main = df.Orchestrator.create({name})
"""
ROWS_OF_A_PAGE = 100
ROW: dict[str, Value] = {
    "Name": "f",
    "RuntimeStatus": "Completed",
    "CreatedTime": BEGINNING,
    "LastUpdatedTime": BEGINNING,
}
Check = Callable[[HostHere, str], Awaitable[object]]
JSON = {"Content-Type": "application/json"}


def app(folder: Path, client: str) -> Path:
    """Two orchestrators, and a function that binds a client by the name of one time or the other."""
    files: dict[str, object] = {
        "starter/function.json": function_json(
            bound("manualTrigger", "text"), bound(client, "starter"), scriptFile="main.py"
        ),
        "starter/main.py": "def main(text, starter): pass",
    }
    for name in ("fails", "waits"):
        files[f"{name}/function.json"] = function_json(
            bound("orchestrationTrigger", "context"), scriptFile="main.py"
        )
        files[f"{name}/main.py"] = ORCHESTRATORS.replace("{name}", name)
    return write_app(folder / "app", files)


async def started(host: HostHere, name: str) -> str:
    return (await host.post(f"{DURABLE}/orchestrators/{name}")).json["id"]


async def status_of_a_failure(host: HostHere, prefix: str) -> object:
    instance = await started(host, "fails")
    await host.until(instance, "Failed")
    reply = await host.get(f"{prefix}/instances/{instance}")
    assert reply.json["runtimeStatus"] == "Failed"
    return reply.status


async def outcome_of_a_failure(host: HostHere, prefix: str) -> object:
    limits = "timeout=20&pollingInterval=0.05"
    reply = await host.post(f"{prefix}/orchestrators/fails?{limits}")
    assert reply.json["runtimeStatus"] == "Failed"
    again = await host.post(f"{prefix}/instances/{reply.json['instanceId']}/restart?{limits}")
    return reply.status, again.status


async def rows_of_a_list(host: HostHere, prefix: str) -> object:
    for _ in range(ROWS_OF_A_PAGE + 2):
        await started(host, "waits")
    listed = await host.get(f"{prefix}/instances")
    paged = await host.get(f"{prefix}/instances?top=2")
    assert len(paged.json) == 2
    assert paged.headers[TOKEN]
    return len(listed.json), bool(listed.headers.get(TOKEN))


async def header_of_the_last_page(host: HostHere, prefix: str) -> object:
    """An empty header comes through on the listener alone."""
    instance = await started(host, "waits")
    listed = await host.get(f"{prefix}/instances?top=5&instanceIdPrefix={instance}")
    assert len(listed.json) == 1
    return (TOKEN in listed.headers) == prefix.startswith("http")


async def event_without_a_body(host: HostHere, prefix: str) -> object:
    instance = await started(host, "waits")
    await host.until(instance, "Running")
    address = f"{prefix}/instances/{instance}/raiseEvent/go"
    reply = await host.call("POST", address, headers=JSON)
    if reply.status == 202:
        done = await host.until(instance, "Completed")
        return reply.status, done["output"]
    return reply.status, reply.json["Message"]


async def event_without_a_type(host: HostHere, prefix: str) -> object:
    instance = await started(host, "waits")
    reply = await host.call("POST", f"{prefix}/instances/{instance}/raiseEvent/go")
    return reply.status


async def unknown_operation(host: HostHere, prefix: str) -> object:
    reply = await host.post(f"{prefix}/instances/someone/dance")
    return reply.status, reply.text


async def unknown_area(host: HostHere, prefix: str) -> object:
    reply = await host.get(f"{prefix}/dances/someone")
    return reply.status, reply.text


async def something_before_the_instances(host: HostHere, prefix: str) -> object:
    instance = await started(host, "waits")
    reply = await host.get(f"{prefix}/some/instances/{instance}")
    return reply.status, reply.text


async def operation_of_later_releases(host: HostHere, prefix: str) -> object:
    instance = await started(host, "waits")
    await host.until(instance, "Running")
    reply = await host.post(f"{prefix}/instances/{instance}/suspend")
    await host.until(instance, "Suspended")
    return reply.status, (await host.get(f"{prefix}/instances/{instance}")).status


async def members_of_later_releases(host: HostHere, prefix: str) -> object:
    started_now = await host.post(f"{prefix}/orchestrators/fails", 1)
    await host.until(started_now.json["id"], "Failed")
    shown = await host.get(f"{prefix}/instances/{started_now.json['id']}?showHistory=true")
    return (
        "restartPostUri" in started_now.json,
        shown.json["name"],
        shown.json["historyEvents"][0]["Input"],
    )


async def refusals(host: HostHere, prefix: str) -> object:
    """Of what is no JSON, and of an id that is in use: status and members."""
    instance = await started(host, "waits")
    await host.until(instance, "Running")
    taken = await host.post(f"{prefix}/orchestrators/waits/{instance}")
    broken = await host.call("POST", f"{prefix}/orchestrators/waits", body=b"{")
    return taken.status, list(taken.json), broken.status, list(broken.json)


async def purge_from_year_1(host: HostHere, prefix: str) -> object:
    await host.until(await started(host, "fails"), "Failed")
    address = f"{prefix}/instances?createdTimeFrom=1-01-01T00:00:00Z&runtimeStatus=Failed"
    return (await host.call("DELETE", address)).status


async def links_of_a_start(host: HostHere, prefix: str) -> object:
    reply = await host.post(f"{prefix}/orchestrators/waits")
    described = (await host.get(f"{prefix}/openapi.json")).json["components"]["schemas"]
    assert set(reply.json) <= set(described["CheckStatus"]["properties"])
    return reply.status, "rewindPostUri" in reply.json


ERROR = ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
CHECKS: dict[Check, tuple[object, object]] = {
    status_of_a_failure: (500, 200),
    outcome_of_a_failure: ((500, 500), (200, 200)),
    rows_of_a_list: ((ROWS_OF_A_PAGE + 2, False), (ROWS_OF_A_PAGE, True)),
    event_without_a_body: ((202, None), (400, "Invalid JSON content")),
    unknown_operation: ((400, '{"Message":"No such API"}'), (404, "")),
    links_of_a_start: ((202, True), (202, False)),
}
"""What is answered in the dialect of 2018, and in today's."""

ALIKE: dict[Check, object] = {
    header_of_the_last_page: True,
    event_without_a_type: 400,
    unknown_area: (404, ""),
    something_before_the_instances: (404, ""),
    operation_of_later_releases: (202, 202),
    members_of_later_releases: (True, "fails", "1"),
    refusals: (409, ["Message"], 400, ERROR),
    purge_from_year_1: 200,
}
"""What of 2018 was not taken: the answer is today's in both."""


@pytest.fixture(params=store_params(("memory", "sqlite")))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return new_place(request.param, tmp_path, lambda: request.getfixturevalue("azurite"))


@pytest.fixture(params=["orchestrationClient", "durableClient"])
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def host(client: str, tmp_path: Path, place: Place) -> AsyncIterator[HostHere]:
    async with hosting(app(tmp_path, client), place) as running:
        yield running


@pytest.mark.parametrize("prefix", [ADMIN, DURABLE, LISTENER])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_only_apps_of_2018_on_their_scheme_get_the_answers_of_2018(
    host: HostHere, client: str, check: Check, prefix: str
) -> None:
    is_old = client == "orchestrationClient" and prefix == ADMIN
    old, new = CHECKS[check]
    assert await check(host, base_of(host, prefix)) == (old if is_old else new)


@pytest.mark.parametrize("prefix", [ADMIN, DURABLE, LISTENER])
async def test_what_was_not_taken_is_answered_as_today(
    host: HostHere, prefix: str, subtests: pytest.Subtests
) -> None:
    base = base_of(host, prefix)
    for check, expected in ALIKE.items():
        with subtests.test(check.__name__):
            assert await check(host, base) == expected


async def more_than_a_page(host: HostHere) -> list[str]:
    """Rows of more instances than the store gives at once; their ids."""
    hub = TaskHub(host.host.storage, host.host.settings.hub, lambda: "0" * 32)
    await hub.ensure(Instant(0))
    names = [f"i{number:05}" for number in range(PAGE_ROWS_MAX + 2)]
    for name in names:
        await hub.instances.project(InstanceId(name), ROW, etag=None)
    return names


async def test_a_list_that_fails_on_its_way_has_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = InstanceTable.page

    async def first_page(self: InstanceTable, *given: Any, **named: Any) -> InstancePage:
        if named.get("continuation") is not None:
            raise TransientStorageError("the store is away")
        return await read(self, *given, **named)

    place = new_place("memory", tmp_path)
    async with hosting(app(tmp_path, "orchestrationClient"), place) as host:
        await more_than_a_page(host)
        monkeypatch.setattr(InstanceTable, "page", first_page)
        with pytest.raises(aiohttp.ClientPayloadError):
            await host.get(f"{ADMIN}/instances")
        assert (await host.get(f"{ADMIN}/instances?top=1")).status == 200
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [text for text in told if "ended in the middle: the store is away" in text]
    assert not [r for r in caplog.records if r.exc_info]


async def test_a_list_of_all_rows_is_sent_page_by_page(tmp_path: Path, place: Place) -> None:
    async with hosting(app(tmp_path, "orchestrationClient"), place) as host:
        names = await more_than_a_page(host)
        listed = await host.get(f"{ADMIN}/instances")
        assert [status["instanceId"] for status in listed.json] == names
        assert listed.headers["Transfer-Encoding"] == "chunked"
        some = await host.get(f"{ADMIN}/instances?top=100000")
        assert len(some.json) == PAGE_ROWS_MAX
        assert some.headers[TOKEN]


def base_of(host: HostHere, prefix: str) -> str:
    """What addresses begin with; the listener has a port of its own."""
    return host.host.server.rpc_base_url.rstrip("/") if prefix == LISTENER else prefix
