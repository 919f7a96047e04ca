"""What the real Python client makes of this host's answers. Source: reference http-api.md 6.1."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.durable_functions.models.DurableOrchestrationStatus import OrchestrationRuntimeStatus

from emulator.compose import Host, running_host
from emulator.engine.clock import SystemIds
from emulator.http.urls import ADMIN, WEBHOOKS
from emulator.storage.memory import MemoryStorage
from tests.http.replay import ShiftedClock, golden_app
from tests.http.test_recordings import settings_for
from tests.support.hosts import eventually, isolated

Status = OrchestrationRuntimeStatus


Hosted = AbstractAsyncContextManager[tuple[df.DurableOrchestrationClient, Host]]
TODAY = "durableClient"


@asynccontextmanager
async def hosted(app: Path) -> AsyncIterator[tuple[df.DurableOrchestrationClient, Host]]:
    clock = ShiftedClock()
    storage = MemoryStorage(clock, SystemIds())
    settings = settings_for("start")
    settings = replace(settings, app=replace(settings.app, root=app))
    with isolated(app):
        async with running_host(
            settings, environment={}, say=lambda _: None, storage=storage, clock=clock
        ) as host:
            text = host.links.binding_json(host.server.rpc_base_url)
            yield df.DurableOrchestrationClient(text), host


@pytest.fixture(params=[TODAY, "orchestrationClient"])
def client_of_a_host(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Hosted]:
    """A client of an app that binds it by today's name, or by that of 2018: what the SDK sees is the same."""
    app = golden_app()
    if request.param != TODAY:
        app = shutil.copytree(app, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
        file = app / "function_app.py"
        file.write_text(file.read_text().replace(f'"{TODAY}"', f'"{request.param}"'))
    return lambda: hosted(app)


async def until(client: df.DurableOrchestrationClient, instance: str, status: Status) -> Any:
    async def reached() -> Any:
        found = await client.get_status(instance, show_input=True)
        return found if found.runtime_status is status else None

    return await eventually(reached, f"{instance} is {status}")


async def test_an_instance_is_started_read_and_purged(
    client_of_a_host: Callable[[], Hosted],
) -> None:
    async with client_of_a_host() as (client, _):
        instance = await client.start_new("Echo", "py1", {"a": 1})
        assert instance == "py1"
        status = await until(client, "py1", Status.Completed)
        assert (status.name, status.input_, status.output) == ("Echo", '{"a": 1}', '{"a": 1}')
        assert [s.instance_id for s in await client.get_status_all()] == ["py1"]
        assert (await client.purge_instance_history("py1")).instances_deleted == 1
        assert (await client.purge_instance_history("py1")).instances_deleted == 0
        missing = await client.get_status("py1")
        assert not missing
        assert missing.created_time is None


async def test_instances_are_found_and_purged_by_filter(
    client_of_a_host: Callable[[], Hosted],
) -> None:
    async with client_of_a_host() as (client, _):
        await client.start_new("Echo", "py-done")
        await client.start_new("WaitForEvent", "py-waits")
        await until(client, "py-done", Status.Completed)
        await until(client, "py-waits", Status.Running)
        found = await client.get_status_by(runtime_status=[Status.Running])
        assert [s.instance_id for s in found] == ["py-waits"]
        purged = await client.purge_instance_history_by(
            created_time_from=datetime(1, 1, 1, tzinfo=UTC),
            created_time_to=datetime.now(UTC) + timedelta(days=2),
            runtime_status=[Status.Completed],
        )
        assert purged.instances_deleted == 1
        with pytest.raises(Exception, match="412"):
            await client.purge_instance_history("py-waits")


async def test_an_instance_is_steered_from_outside(client_of_a_host: Callable[[], Hosted]) -> None:
    async with client_of_a_host() as (client, _):
        await client.start_new("WaitForEvent", "py2")
        await until(client, "py2", Status.Running)
        await client.suspend("py2", "a while & more")
        assert (await until(client, "py2", Status.Suspended)).output == "a while & more"
        with pytest.raises(Exception, match="unexpected status code 500"):
            await client.suspend("py2", "again")
        await client.resume("py2", "go on")
        await until(client, "py2", Status.Running)
        with pytest.raises(Exception, match="unexpected status code 500"):
            await client.resume("py2", "again")
        await client.raise_event("py2", "Go", {"b": 2})
        done = await until(client, "py2", Status.Completed)
        assert done.output == '{"b": 2}'
        with pytest.raises(Exception, match="is gone: either completed or failed"):
            await client.raise_event("py2", "Go", 1)
        await client.terminate("py2", "too late")
        with pytest.raises(Exception, match="can be rewound"):
            await client.rewind("py2", "no")


async def test_restart_and_rewind_run_again(client_of_a_host: Callable[[], Hosted]) -> None:
    async with client_of_a_host() as (client, _):
        await client.start_new("FailsUntilFixed", "py3")
        await until(client, "py3", Status.Failed)
        await client.rewind("py3", "fixed")
        assert (await until(client, "py3", Status.Completed)).output == "Hello first!|fixed y"
        restarted: Any = await client.restart("py3", restart_with_new_instance_id=False)
        assert restarted["id"] == "py3"
        with pytest.raises(Exception, match="unexpected status code 400"):
            await client.restart("missing")


MISSING = [
    ("terminate", ("none", "x"), "No instance with ID 'none' found."),
    ("suspend", ("none", "x"), "No instance with ID 'none' found."),
    ("resume", ("none", "x"), "No instance with ID 'none' found."),
    ("raise_event", ("none", "Go", 1), "No instance with ID none found."),
    ("rewind", ("none", "x"), "No instance with ID none found."),
]


@pytest.mark.parametrize(("method", "arguments", "text"), MISSING)
async def test_a_missing_instance_is_said_to_be_missing(
    client_of_a_host: Callable[[], Hosted], method: str, arguments: tuple[object, ...], text: str
) -> None:
    async with client_of_a_host() as (client, _):
        with pytest.raises(Exception, match=text):
            await getattr(client, method)(*arguments)


async def test_a_refused_start_says_why(client_of_a_host: Callable[[], Hosted]) -> None:
    async with client_of_a_host() as (client, _):
        await client.start_new("WaitForEvent", "py4")
        await until(client, "py4", Status.Running)
        with pytest.raises(Exception, match="with the status Running already exists"):
            await client.start_new("WaitForEvent", "py4")
        assert await client.start_new("NoSuch", "py5") == "py5"
        failed = await until(client, "py5", Status.Failed)
        assert "is not an orchestrator function" in failed.output


async def test_entities_are_signalled_and_read(client_of_a_host: Callable[[], Hosted]) -> None:
    async with client_of_a_host() as (client, _):
        entity = df.EntityId("Counter", "py")
        assert not (await client.read_entity_state(entity)).entity_exists
        await client.signal_entity(entity, "add", 5)

        async def exists() -> bool:
            return (await client.read_entity_state(entity)).entity_exists

        await eventually(exists, "the entity exists")
        assert (await client.read_entity_state(entity)).entity_state == 5


async def test_waiting_gives_the_output_or_links(client_of_a_host: Callable[[], Hosted]) -> None:
    async with client_of_a_host() as (client, host):
        request = func.HttpRequest(method="GET", url=f"{host.links.origin}/api/x", body=b"")
        await client.start_new("HelloSequence", "py6")
        answer = await client.wait_for_completion_or_create_check_status_response(
            request, "py6", 10_000, 100
        )
        assert answer.status_code == 200
        await client.start_new("WaitForEvent", "py7")
        answer = await client.wait_for_completion_or_create_check_status_response(
            request, "py7", 200, 100
        )
        assert answer.status_code == 202
        links = client.create_http_management_payload("py7")
        assert links["statusQueryGetUri"] == answer.headers["Location"]
        assert "rewindPostUri" in links


async def test_links_for_a_caller_lead_to_the_instance_by_the_origin_that_it_used(
    client_of_a_host: Callable[[], Hosted],
) -> None:
    async with client_of_a_host() as (client, host), aiohttp.ClientSession() as session:
        origin = f"http://127.0.0.1:{host.server.port}"
        request = func.HttpRequest(method="GET", url=f"{origin}/api/x", body=b"")
        await client.start_new("WaitForEvent", "py8")
        await until(client, "py8", Status.Running)
        answer = client.create_check_status_response(request, "py8")
        links = json.loads(answer.get_body())
        assert links == client.get_client_response_links(request, "py8")
        assert (answer.status_code, answer.headers["Retry-After"]) == (202, "10")
        assert answer.headers["Location"] == links["statusQueryGetUri"]
        event = links["sendEventPostUri"].replace("{eventName}", "Go")
        calls = [
            ("GET", links["statusQueryGetUri"], 202),
            ("POST", links["rewindPostUri"].replace("{text}", "x"), 412),
            ("POST", links["suspendPostUri"].replace("{text}", "x"), 202),
            ("POST", links["resumePostUri"].replace("{text}", "x"), 202),
            ("POST", event, 202),
            ("POST", links["terminatePostUri"].replace("{text}", "x"), 410),
            ("POST", links["restartPostUri"], 202),
            ("DELETE", links["purgeHistoryDeleteUri"], 200),
        ]
        scheme = ADMIN if host.app.uses_2018_names else WEBHOOKS
        assert all(url.startswith(f"{origin}{scheme}/instances/py8") for _, url, _ in calls)
        settled = {"suspendPostUri": Status.Suspended, "resumePostUri": Status.Running}
        states = {links[name].replace("{text}", "x"): state for name, state in settled.items()}
        states[event] = Status.Completed
        for method, url, status in calls:
            async with session.request(method, url, json=1) as reply:
                assert reply.status == status, url
            if url in states:
                await until(client, "py8", states[url])


def test_every_method_of_the_client_is_driven_here() -> None:
    """A newer SDK may have more."""
    methods = inspect.getmembers(df.DurableOrchestrationClient, inspect.isfunction)
    driven = Path(__file__).read_text()
    named = {name for name, *_ in MISSING}
    assert not [
        name
        for name, _ in methods
        if not name.startswith("_") and f"client.{name}(" not in driven and name not in named
    ]
