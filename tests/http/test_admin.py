"""The host's own endpoints, and CORS. Source: reference functions-host.md 3.6 and 4.6."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.apps import v2_app
from tests.support.hosts import HostHere, Place, eventually, hosting

APP = """
import json
seen = []

@app.route(route="items/{id}")
def Web(req): return "here"

@app.route(route="seen")
def what(req): return func.HttpResponse(json.dumps(seen))

@app.generic_trigger(arg_name="text", type="manualTrigger")
def by_hand(text: str): seen.append(text)

@app.activity_trigger(input_name="name")
def hello(name): seen.append(f"hello {name}")
"""
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def memory() -> Place:
    return Place("memory", "memory", "AdminHub")


@pytest.fixture
async def host(tmp_path: Path, memory: Place) -> AsyncIterator[HostHere]:
    async with hosting(v2_app(tmp_path, APP), memory) as running:
        yield running


async def test_the_status_tells_whose_host_it_is_and_how_it_stands(host: HostHere) -> None:
    status = (await host.get("/admin/host/status")).json
    assert (status["id"], status["state"]) == ("adminhub", "Running")
    assert status["instanceId"] == host.host.settings.hub.worker_id
    assert status["processUptime"] >= 0
    assert None not in status.values()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_ping_is_empty(host: HostHere, method: str) -> None:
    reply = await host.call(method, "/admin/host/ping")
    assert (reply.status, reply.text) == (200, "")


async def test_functions_are_listed_and_shown(host: HostHere) -> None:
    listed = (await host.get("/admin/functions")).json
    assert [f["name"] for f in listed] == ["by_hand", "hello", "Web", "what"]
    for function in listed:
        address = f"{host.base}/admin/functions/{function['name']}"
        assert function["href"] == address
        assert (await host.get(address.upper().replace("HTTP", "http"))).json["name"] == function[
            "name"
        ]
    shown = {f["name"]: f for f in listed}
    assert shown["Web"]["invoke_url_template"] == f"{host.base}/api/items/{{id}}"
    assert shown["hello"]["invoke_url_template"] is None
    assert shown["hello"]["config"]["bindings"][0]["type"] == "activityTrigger"
    assert shown["Web"]["isDisabled"] is False
    assert (await host.get("/admin/functions/nobody")).status == 404


async def test_a_function_is_run_by_name(host: HostHere) -> None:
    calls = [("by_hand", "text", "text"), ("HELLO", '"you"', "hello you")]
    for name, given, seen in calls:
        reply = await host.post(f"/admin/functions/{name}", {"input": given})
        assert (reply.status, reply.text) == (202, "")

        async def has_run(wanted: str = seen) -> bool:
            return wanted in (await host.get("/api/seen")).json

        await eventually(has_run, f"{name} has run")


@pytest.mark.parametrize(
    ("name", "body", "headers", "status"),
    [
        ("nobody", {"input": "x"}, None, 404),
        ("by_hand", None, JSON, 400),
        ("by_hand", [], JSON, 400),
        ("by_hand", {"input": "x"}, {"Content-Type": "text/plain"}, 415),
        ("Web", {"input": "x"}, JSON, 202),
    ],
)
async def test_a_run_that_is_asked_for_wrongly_is_refused(
    host: HostHere, name: str, body: object, headers: dict[str, str] | None, status: int
) -> None:
    reply = await host.call("POST", f"/admin/functions/{name}", json=body, headers=headers)
    assert (reply.status, reply.text) == (status, "")


A, B = "http://a.example", "http://b.example"
CORS = [
    (A, False, A, A, None),
    (A, False, B, None, None),
    (A, True, A, A, "true"),
    (f"{A},{B}", False, B, B, None),
    ("*", False, B, "*", None),
    (None, False, A, None, None),
]


@pytest.mark.parametrize(("allowed", "credentials", "origin", "told", "with_them"), CORS)
async def test_browsers_are_told_which_origins_may_call(
    tmp_path: Path,
    memory: Place,
    allowed: str | None,
    *,
    credentials: bool,
    origin: str,
    told: str | None,
    with_them: str | None,
) -> None:
    flags = {} if allowed is None else {"cors": allowed, "cors_credentials": credentials}
    async with hosting(v2_app(tmp_path, APP), memory, **flags) as host:
        sent = {"Origin": origin}
        for path in ("/api/items/1", "/runtime/webhooks/durabletask/instances"):
            reply = await host.call("GET", path, headers=sent)
            assert reply.status == 200
            assert reply.headers.get("Access-Control-Allow-Origin") == told
            assert reply.headers.get("Access-Control-Allow-Credentials") == with_them
        asked = {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "x-mine",
        }
        reply = await host.call("OPTIONS", "/api/items/1", headers={**sent, **asked})
        assert reply.headers.get("Access-Control-Allow-Origin") == told
        if told is not None:
            assert reply.status == 204
            assert reply.headers["Access-Control-Allow-Methods"] == "PUT"
            assert reply.headers["Access-Control-Allow-Headers"] == "x-mine"
