"""The app's HTTP functions over a real listener: what they are given, and what becomes of what they return."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bindings.registry import Registry
from emulator.core.parity import Rule
from emulator.host.function_app import FunctionApp
from emulator.http.functions import build_routes
from tests.support.apps import loaded, v2_app
from tests.support.hosts import HostHere, Place, hosting

APP = """
import json

def echo_of(req):
    return json.dumps({"status": 200, "body": {
        "method": req.method, "url": req.url, "params": dict(req.params), "route": dict(req.route_params),
        "headers": {k: v for k, v in req.headers.items() if k.startswith("x-")}, "body": req.get_body().decode()}})

@app.route(route="echo/{*rest}")
def echo(req): return echo_of(req)

@app.route(route="items/{id:int?}", methods=["GET", "PUT"])
def items(req): return echo_of(req)

@app.route(route="items/{*all}", methods=["GET"])
def aaa(req): return "shadow"

RETURNS = {
    "text": lambda: "plain", "object": lambda: '{"a":[1]}', "list": lambda: "[1]", "empty": lambda: "",
    "true": lambda: "true", "null": lambda: "null", "quoted": lambda: '"x"', "number": lambda: "12",
    "described": lambda: '{"statusCode":201,"body":"made","headers":{"X-Mine":"1","Content-Type":"text/css"}}',
    "described_status": lambda: '{"status":"404","Body":{"a":1}}', "bad_status": lambda: '{"status":"x","body":""}',
    "response": lambda: func.HttpResponse("b", status_code=202, headers={"X-Mine": "1"}),
    "json_response": lambda: func.HttpResponse('{"a":1}', mimetype="application/json"),
    "bytes": lambda: func.HttpResponse(b"\\x00\\xff", mimetype="image/png"),
    "no_content": lambda: func.HttpResponse(status_code=204),
    "none": lambda: None, "dict": lambda: {"a": 1}, "raw_bytes": lambda: b"x", "raises": lambda: 1 / 0,
}

@app.route(route="returns/{what}")
def returns(req): return RETURNS[req.route_params["what"]]()

@app.route(route="async")
async def asynchronous(req): return "later"

@app.route(route="json")
def read_json(req):
    try:
        return str(req.get_json()["a"])
    except ValueError as error:
        return func.HttpResponse(str(error), status_code=400)

@app.generic_trigger(arg_name="req", type="httpTrigger", route="silent")
def silent(req): return None

@app.generic_trigger(arg_name="req", type="httpTrigger", route="talks")
def talks(req): return "x"

@app.generic_trigger(arg_name="req", type="httpTrigger", route="named/{what}")
@app.generic_output_binding(arg_name="res", type="http")
def named(req, res: func.Out[func.HttpResponse]):
    if req.route_params["what"] == "set":
        res.set(func.HttpResponse("named", status_code=203))
"""
TEXT = "text/plain; charset=utf-8"

RETURNED: list[tuple[str, int, str, str | None]] = [
    ("returns/text", 200, "plain", TEXT),
    ("returns/object", 200, '{\n  "a": [\n    1\n  ]\n}', TEXT),
    ("returns/list", 200, "[\n  1\n]", TEXT),
    ("returns/empty", 200, "", None),
    ("returns/true", 200, "True", TEXT),
    ("returns/null", 200, "", None),
    ("returns/quoted", 200, "x", TEXT),
    ("returns/number", 200, "12", TEXT),
    ("returns/described", 201, "made", "text/css"),
    ("returns/described_status", 404, '{\n  "a": 1\n}', TEXT),
    ("returns/bad_status", 200, "", None),
    ("returns/response", 202, "b", TEXT),
    ("returns/json_response", 200, '{"a":1}', "application/json"),
    ("returns/no_content", 204, "", None),
    ("returns/none", 500, "", None),
    ("returns/dict", 500, "", None),
    ("returns/raw_bytes", 500, "", None),
    ("returns/raises", 500, "", None),
    ("returns/nothing_of_that_name", 500, "", None),
    ("async", 200, "later", TEXT),
    ("silent", 204, "", None),
    ("talks", 500, "", None),
    ("named/set", 203, "named", TEXT),
    ("named/unset", 204, "", None),
    ("nowhere", 404, "", None),
    ("returns", 404, "", None),
]


@pytest.fixture
def memory(tmp_path: Path) -> Place:
    return Place("memory", "memory", "HttpFunctions")


async def test_what_functions_return_becomes_the_hosts_answer(
    tmp_path: Path, memory: Place
) -> None:
    async with hosting(v2_app(tmp_path, APP), memory) as host, aiohttp.ClientSession() as session:
        for path, status, text, kind in RETURNED:
            async with session.get(f"{host.base}/api/{path}") as answer:
                seen = (answer.status, await answer.text())
                assert seen == (status, text), path
                assert kind is None or answer.headers["Content-Type"] == kind, path
        async with session.get(f"{host.base}/api/returns/bytes") as answer:
            assert (await answer.read(), answer.content_type) == (b"\x00\xff", "image/png")


async def sent(host: HostHere, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{host.base}{path}", **options) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith("{") else text


async def test_what_a_function_is_given(tmp_path: Path, memory: Place) -> None:
    async with hosting(v2_app(tmp_path, APP), memory) as host:
        headers = [("X-Two", "1"), ("X-Two", "2"), ("X-Mine", "Text")]
        _, seen = await sent(
            host, "PATCH", "/api/Echo/a%20b/c?a=1&a=2&empty=&b=x+y", data=b"body", headers=headers
        )
        assert seen == {
            "method": "PATCH",
            "url": f"{host.base}/api/Echo/a%20b/c?a=1&a=2&empty=&b=x+y",
            "params": {"a": "1,2", "b": "x y"},
            "route": {"rest": "a b/c"},
            "headers": {"x-two": "1,2", "x-mine": "Text"},
            "body": "body",
        }
        assert (await sent(host, "GET", "/api/echo"))[1]["route"] == {}
        assert await sent(host, "POST", "/api/json", json={"a": 3}) == (200, "3")
        for body in (b"", b"{"):
            refusal = await sent(host, "POST", "/api/json", data=body)
            assert refusal == (400, "HTTP request does not contain valid JSON data")


async def test_the_first_function_by_name_whose_route_and_method_fit_is_called(
    tmp_path: Path, memory: Place
) -> None:
    async with hosting(v2_app(tmp_path, APP), memory) as host:
        assert await sent(host, "GET", "/api/items/7") == (200, "shadow")
        status, seen = await sent(host, "PUT", "/api/ITEMS/7/")
        assert (status, seen["route"]) == (200, {"id": "7"})
        for method, path in (("PUT", "items/x"), ("DELETE", "items/7"), ("HEAD", "items/7")):
            assert (await sent(host, method, f"/api/{path}"))[0] == 404


async def test_the_hosts_own_addresses_come_before_functions(tmp_path: Path, memory: Place) -> None:
    app = v2_app(tmp_path, "@app.route(route='{*rest}')\ndef all(req): return 'function'")
    prefix = {"AzureFunctionsJobHost__extensions__http__routePrefix": ""}
    async with hosting(app, memory, settings=prefix) as host:
        assert await sent(host, "GET", "/") == (200, "function")
        assert await sent(host, "GET", "/any/thing") == (200, "function")
        for path in ("/runtime/webhooks/nosuch", "/admin/nosuch"):
            assert (await sent(host, "GET", path))[0] == 404
        assert (await sent(host, "GET", "/admin/host/ping"))[0] == 200


@pytest.mark.parametrize(("setting", "status"), [("false", 200), ("true", 204)])
async def test_the_home_page_can_be_turned_off(
    tmp_path: Path, memory: Place, setting: str, status: int
) -> None:
    settings = {"AzureWebJobsDisableHomepage": setting}
    async with hosting(v2_app(tmp_path, APP), memory, settings=settings) as host:
        assert (await sent(host, "GET", "/"))[0] == status


async def test_a_body_that_is_too_large_is_refused_with_its_size(
    tmp_path: Path, memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import emulator.settings

    small = replace(emulator.settings.HttpSettings(), max_body_bytes=1000)
    monkeypatch.setattr("emulator.config.HttpSettings", lambda **kw: replace(small, **kw))
    async with hosting(v2_app(tmp_path, APP), memory) as host:
        for path in ("/api/json", "/runtime/webhooks/durabletask/orchestrators/x"):
            status, text = await sent(host, "POST", path, data=b"x" * 1001)
            assert (status, "1000" in str(text)) == (413, True), text
        assert (await sent(host, "POST", "/api/json", json={"a": 1}))[0] == 200


# --- the table of routes ------------------------------------------------------------------------------------------


def routes_of(app: FunctionApp, prefix: str = "api") -> tuple[list[str], str]:
    table = build_routes(app, prefix)
    return [r.function.name for r in table.routes], " ".join(f.message for f in table.failures)


ROUTES: list[tuple[str, list[tuple[str, str, str]], list[str], str]] = [
    ("the same text", [("a", "x/{y}", "GET"), ("b", "X/{Y}", "GET")], ["a"],
     "The 'b' function is in error: The route specified conflicts with the route defined by function 'a'."),
    ("other methods", [("a", "x", "GET"), ("b", "x", "POST")], ["a", "b"], ""),
    ("methods in another case", [("a", "x", "GET"), ("b", "x", "get")], ["a", "b"], ""),
    ("all methods", [("a", "x", ""), ("b", "x", "POST")], ["a"], "conflicts with the route"),
    ("other names of parameters", [("a", "x/{y}", "GET"), ("b", "x/{z}", "GET")], ["a", "b"], ""),
    ("reserved", [("a", "admin/x", "GET")], [], "conflicts with one or more built in routes"),
    ("reserved as a beginning", [("a", "/RuntimeX", "GET")], [], "conflicts with one or more built in"),
    ("malformed", [("a", "{x", "GET"), ("b", "ok", "GET")], ["b"], "has a { without its }"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("functions", "served", "message"), [row[1:] for row in ROUTES], ids=[row[0] for row in ROUTES]
)
def test_a_route_that_cannot_be_is_one_functions_error(
    tmp_path: Path, functions: list[tuple[str, str, str]], served: list[str], message: str
) -> None:
    text = "".join(
        f"\n@app.generic_trigger(arg_name='req', type='httpTrigger', route={route!r}"
        f"{f', methods=[{methods!r}]' if methods else ''})\ndef {name}(req): return None\n"
        for name, route, methods in functions
    )
    with loaded(v2_app(tmp_path, text)) as app:
        names, failures = routes_of(app)
        assert names == served
        assert (message in failures) if message else not failures
        assert not failures or "function_app.py" in failures


@pytest.mark.parametrize(("prefix", "warned"), [("api", True), ("", False)])
def test_a_route_that_begins_with_a_slash_is_served_and_warned_of(
    tmp_path: Path, prefix: str, *, warned: bool
) -> None:
    with loaded(v2_app(tmp_path, "@app.route(route='/x')\ndef a(req): return ''")) as app:
        table = build_routes(app, prefix)
        assert table.find("GET", f"/{prefix}/x".replace("//", "/")) is not None
        rules = [deviation.rule for deviation in table.deviations]
        assert rules == ([Rule.LEADING_SLASH] if warned else [])


def test_a_function_without_a_route_answers_to_its_name(tmp_path: Path) -> None:
    function = (
        "@app.generic_trigger(arg_name='req', type='httpTrigger', route='')\ndef Named(req): ..."
    )
    with loaded(v2_app(tmp_path, function)) as app:
        assert build_routes(app, "api").find("GET", "/api/named") is not None
        assert Registry().refusal(app.functions[0].spec.trigger) is None
