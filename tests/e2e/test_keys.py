"""Keys over HTTP, from the first request to a renewed one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.support.hosts import DURABLE, HostHere, Place, eventually, hosting
from tests.support.shell import Shell

ADMIN = "/admin/extensions/DurableTaskExtension"


def make_app(folder: Path) -> Path:
    (folder / "host.json").write_text(
        '{"version": "2.0", "extensions": {"durableTask": {"hubName": "Keys"}}}'
    )
    (folder / "function_app.py").write_text(
        """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()

@app.route("open", auth_level=func.AuthLevel.ANONYMOUS)
def opened(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("<open>")

@app.route("closed", auth_level=func.AuthLevel.FUNCTION)
def closed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("<closed>")

@app.route("top", auth_level=func.AuthLevel.ADMIN)
def top(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("<top>")

@app.route("start", auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("nothing")
    return client.create_check_status_response(req, instance_id)

@app.orchestration_trigger(context_name="context")
def nothing(context: df.DurableOrchestrationContext):
    return "done"
"""
    )
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    return make_app(folder)


async def keys_of(shell: Shell) -> dict[str, str]:
    return {item["kind"]: item["value"] for item in await shell.json("keys", "list")}


async def statuses(host: HostHere, path: str, keys: dict[str, str]) -> dict[str, int]:
    """Status of a GET with each kind of key in the header, with none, and with a wrong one."""
    shown = {**keys, "wrong": "nobody's"}
    found = {
        kind: (await host.call("GET", path, headers={"x-functions-key": key})).status
        for kind, key in shown.items()
    }
    return {**found, "none": (await host.get(path)).status}


async def test_every_door_asks_for_its_key(app: Path, lasting_place: Place):
    shell = Shell(app, lasting_place)
    async with hosting(app, lasting_place, enable_auth=True) as host:
        await shell.says("keys", "renew", "function", "--function", "closed")
        keys = await keys_of(shell)
        denied = {"wrong": 401, "none": 401}
        table = {
            "/api/open": dict.fromkeys([*keys, "wrong", "none"], 200),
            "/api/closed": {"master": 200, "host": 200, "system": 403, "function": 200, **denied},
            "/api/top": {"master": 200, "host": 403, "system": 403, "function": 401, **denied},
            f"{DURABLE}/instances": {
                "master": 200,
                "host": 403,
                "system": 200,
                "function": 401,
                **denied,
            },
            f"{ADMIN}/instances": {
                "master": 200,
                "host": 403,
                "system": 200,
                "function": 401,
                **denied,
            },
            "/runtime/webhooks/eventgrid": {
                "master": 404,
                "host": 403,
                "system": 403,
                "function": 401,
                **denied,
            },
            "/admin/host/status": {
                "master": 200,
                "host": 403,
                "system": 403,
                "function": 401,
                **denied,
            },
            "/admin/host/ping": dict.fromkeys([*keys, "wrong", "none"], 200),
        }
        for path, expected in table.items():
            assert await statuses(host, path, keys) == expected, path
        refused = await host.get("/api/closed")
        assert refused.text == ""


async def test_links_lead_back_without_another_key(app: Path, lasting_place: Place):
    shell = Shell(app, lasting_place)
    async with hosting(app, lasting_place, enable_auth=True) as host:
        system = (await keys_of(shell))["system"]
        reply = await host.get("/api/start")
        link = reply.json["statusQueryGetUri"]
        assert link.endswith(f"&code={system}")

        async def has_completed() -> bool:
            return (await host.get(link)).json["runtimeStatus"] == "Completed"

        await eventually(has_completed, "the link shows the end")
        started = await host.post(f"{DURABLE}/orchestrators/nothing?code={system}")
        assert started.headers["Location"].endswith(f"&code={system}")
        assert (await host.get(started.headers["Location"].replace(system, "x"))).status == 401


async def test_without_the_flag_everything_is_open_and_links_carry_no_key(app: Path, place: Place):
    async with hosting(app, place) as host:
        for path in ("/api/closed", "/api/top", f"{DURABLE}/instances", "/admin/host/status"):
            assert (await host.get(path)).status == 200, path
        assert "code=" not in (await host.get("/api/start")).text


async def test_keys_are_managed_over_http(app: Path, lasting_place: Place):
    shell = Shell(app, lasting_place)
    async with hosting(app, lasting_place) as host:
        keys = await keys_of(shell)
        listed = await host.get("/admin/host/keys")
        assert listed.json["keys"] == [{"name": "default", "value": keys["host"]}]
        assert listed.json["links"][0]["href"].endswith("/admin/host/keys")
        assert (await host.get("/admin/host/systemkeys")).json["keys"] == [
            {"name": "durabletask_extension", "value": keys["system"]}
        ]
        master = await host.get("/admin/host/systemkeys/_master")
        assert (master.json["name"], master.json["value"]) == ("_master", keys["master"])
        steps = [
            ("POST", "/admin/functions/closed/keys/mine", None, 201),
            ("POST", "/admin/functions/closed/keys/mine", None, 200),
            ("PUT", "/admin/functions/closed/keys/mine", {"name": "mine", "value": "v"}, 200),
            ("PUT", "/admin/functions/closed/keys/mine", {"name": "mine", "value": None}, 400),
            ("GET", "/admin/functions/closed/keys/mine", None, 200),
            ("DELETE", "/admin/functions/closed/keys/mine", None, 204),
            ("DELETE", "/admin/functions/closed/keys/mine", None, 404),
            ("GET", "/admin/functions/closed/keys/mine", None, 404),
            ("GET", "/admin/functions/nobody/keys", None, 404),
            ("POST", "/admin/host/systemkeys/_master", None, 200),
            ("DELETE", "/admin/host/systemkeys/_master", None, 400),
            ("GET", "/admin/host/nokeys/default", None, 404),
            ("POST", "/admin/host/keys", None, 404),
        ]
        for method, path, body, status in steps:
            assert (await host.call(method, path, json=body)).status == status, (method, path)


async def test_no_key_reaches_the_log(
    app: Path, lasting_place: Place, caplog: pytest.LogCaptureFixture
):
    shell = Shell(app, lasting_place)
    with caplog.at_level(logging.DEBUG, logger="emulator"):
        async with hosting(app, lasting_place, enable_auth=True) as host:
            keys = await keys_of(shell)
            for key in keys.values():
                await host.get(f"{DURABLE}/instances/none?code={key}&taskHub=bad-hub")
                await host.get(f"/api/closed?code={key}")
    text = "\n".join(json.dumps(record.__dict__, default=str) for record in caplog.records)
    assert not [kind for kind, key in keys.items() if key in text]


async def test_the_command_shows_and_renews(app: Path, lasting_place: Place):
    shell = Shell(app, lasting_place)
    before = await keys_of(shell)
    said = await shell.says("keys", "renew", "system")
    after = await keys_of(shell)
    assert said.out == f"Renewed system key durabletask_extension: {after['system']}\n"
    assert after["system"] != before["system"]
    assert after["master"] == before["master"]
    assert (await shell.json("keys", "renew", "host", "ci", "--value", "v"))["new"]
    for arguments in (["function"], ["host", "--function", "x"], ["master", "other"]):
        await shell.says("keys", "renew", *arguments, code=2)
