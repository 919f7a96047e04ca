"""Where the management API of 2018 answers otherwise than today's, and who gets which. Source: http-api.md 1.15."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import store_params
from tests.support.apps import bound, function_json, write_app
from tests.support.hosts import DURABLE, HostHere, Place, hosting, new_place

ADMIN = "/admin/extensions/DurableTaskExtension"
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


async def rows_of_a_list(host: HostHere, prefix: str) -> object:
    for _ in range(ROWS_OF_A_PAGE + 2):
        await started(host, "waits")
    listed = await host.get(f"{prefix}/instances")
    paged = await host.get(f"{prefix}/instances?top=2")
    assert len(paged.json) == 2
    assert paged.headers["x-ms-continuation-token"]
    return len(listed.json), "x-ms-continuation-token" in listed.headers


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


async def links_of_a_start(host: HostHere, prefix: str) -> object:
    reply = await host.post(f"{prefix}/orchestrators/waits")
    described = (await host.get(f"{prefix}/openapi.json")).json["components"]["schemas"]
    assert set(reply.json) <= set(described["CheckStatus"]["properties"])
    return reply.status, "rewindPostUri" in reply.json


CHECKS: dict[Check, tuple[object, object]] = {
    status_of_a_failure: (500, 200),
    rows_of_a_list: ((ROWS_OF_A_PAGE + 2, False), (ROWS_OF_A_PAGE, True)),
    event_without_a_body: ((202, None), (400, "Invalid JSON content")),
    event_without_a_type: (400, 400),
    unknown_operation: ((400, '{"Message":"No such API"}'), (404, "")),
    unknown_area: ((404, ""), (404, "")),
    links_of_a_start: ((202, True), (202, False)),
}
"""What is answered in the dialect of 2018, and in today's."""


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


@pytest.mark.parametrize("prefix", [ADMIN, DURABLE])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_only_apps_of_2018_on_their_scheme_get_the_answers_of_2018(
    host: HostHere, client: str, check: Check, prefix: str
) -> None:
    is_old = client == "orchestrationClient" and prefix == ADMIN
    old, new = CHECKS[check]
    assert await check(host, prefix) == (old if is_old else new)
