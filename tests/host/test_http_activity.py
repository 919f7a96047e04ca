"""call_http's request and answer, against a server of the tests' own and the recordings of the real product."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from emulator.core.calls import ActivityCall, ActivityCompleted, ActivityFailed
from emulator.core.http_call import HTTP_ACTIVITY, call_of
from emulator.core.ids import InstanceId
from emulator.host.http_activity import HttpActivity
from emulator.host.identity import TokenError, identity_token
from tests import vectors

DATE = "Tue, 24 Nov 2026 02:20:47 GMT"


async def no_token(resource: str, options: Mapping[str, object]) -> str:
    raise TokenError("nobody is signed in")


async def some_token(resource: str, options: Mapping[str, object]) -> str:
    return f"token for {resource}"


class Server:
    """Answers as the recorded one did, and keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.released = asyncio.Event()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def ok(self, request: web.Request) -> web.Response:
        date = {"Date": DATE}
        answer = web.Response(text='{"ok":true}', content_type="application/json", headers=date)
        answer.headers["X-Single"] = "one"
        answer.headers.add("X-Multi", "a")
        answer.headers.add("X-Multi", "b")
        return await self._answer(request, answer)

    async def echo(self, request: web.Request) -> web.Response:
        return await self._answer(request, web.Response(body=await request.read()))

    async def status(self, request: web.Request) -> web.Response:
        answer = web.Response(status=int(request.match_info["status"]))
        return await self._answer(request, answer)

    async def listed(self, request: web.Request) -> web.Response:
        headers = {"Vary": "Accept, Origin", "Server": "One/1 Two/2 (x y)", "X-Free": "a, b"}
        return await self._answer(
            request, web.Response(text="gr\u00fc\u00df", headers=headers, charset="latin-1")
        )

    async def moved(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/status/418"})

    async def silent(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await request.content.read()
        await self.released.wait()
        return answer

    async def _answer(self, request: web.Request, answer: web.Response) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        answer.headers.setdefault("Date", DATE)
        answer.headers.setdefault("Server", "")
        return answer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_route("*", "/ok", found.ok)
    app.router.add_route("*", "/echo", found.echo)
    app.router.add_route("*", "/status/{status}", found.status)
    app.router.add_route("*", "/listed", found.listed)
    app.router.add_route("*", "/moved", found.moved)
    app.router.add_route("*", "/silent", found.silent)
    app.router.add_route("*", "/endless", found.endless)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        found.released.set()
        await runner.cleanup()


@pytest.fixture
async def activity() -> AsyncIterator[HttpActivity]:
    found = HttpActivity(no_token)
    yield found
    await found.close()


def call(text: str) -> ActivityCall:
    return ActivityCall(name=HTTP_ACTIVITY, instance_id=InstanceId("i"), task_id=0, input=text)


def call_for(url: str, **members: object) -> ActivityCall:
    return call(call_of({"method": "GET", "uri": url, **members}).request)


async def answered(activity: HttpActivity, request: ActivityCall) -> dict[str, Any]:
    result = await activity.run(request)
    assert isinstance(result, ActivityCompleted), result
    return json.loads(result.result or "")


async def failed(activity: HttpActivity, request: ActivityCall) -> ActivityFailed:
    result = await activity.run(request)
    assert isinstance(result, ActivityFailed), result
    return result


def recorded(scenario: str, event_type: str) -> dict[str, Any]:
    [instance] = vectors.oop(scenario)["instances"]
    return next(row for row in instance["history"] if row.get("EventType") == event_type)


def recorded_input(scenario: str) -> str:
    messages = [json.loads(m["messageText"]) for m in vectors.oop(scenario)["queueMessages"]]
    events = [m["TaskMessage"]["Event"] for m in messages]
    return next(e["Input"] for e in events if e.get("Name") == HTTP_ACTIVITY)


# --- against the recordings --------------------------------------------------------------------------------------


async def test_an_answer_is_written_as_the_recorded_one(
    activity: HttpActivity, server: Server
) -> None:
    text = recorded_input("http_get").replace("http://127.0.0.1:21071/test", server.url)
    result = await activity.run(call(text))
    expected = recorded("http_get", "TaskCompleted")["Result"]
    assert isinstance(result, ActivityCompleted)
    assert without_server(result.result) == expected


def without_server(text: str | None) -> str:
    """The recorded server did not name itself."""
    return (text or "").replace(',"Server":[]', "")


async def test_a_request_is_sent_as_the_recorded_one(
    activity: HttpActivity, server: Server
) -> None:
    text = recorded_input("http_post").replace("http://127.0.0.1:21071/test", server.url)
    await answered(activity, call(text))
    result = json.loads(recorded("http_post", "TaskCompleted")["Result"])
    expected = json.loads(result["content"])
    assert server.bodies == [expected["body"].encode()]
    [headers] = server.headers
    assert headers.pop("Host") == server.url.removeprefix("http://")
    assert expected["headers"].pop("Host")
    assert headers == expected["headers"]


async def test_a_status_that_is_no_success_is_an_answer(
    activity: HttpActivity, server: Server
) -> None:
    result = await activity.run(call_for(f"{server.url}/status/404"))
    expected = json.loads(recorded("http_404", "TaskCompleted")["Result"])
    assert isinstance(result, ActivityCompleted)
    ours = json.loads(without_server(result.result))
    assert (ours["statusCode"], ours["content"]) == (404, "")
    assert set(ours["headers"]) == set(expected["headers"])


async def test_a_refused_connection_fails_with_the_recorded_texts(activity: HttpActivity) -> None:
    result = await failed(activity, call(recorded_input("http_refused")))
    row = recorded("http_refused", "TaskFailed")
    assert result.reason == row["Reason"]
    ours, theirs = json.loads(result.details or ""), json.loads(row["Details"])
    for details in (ours, theirs):
        assert details.pop("StackTrace").startswith("   at ")
        assert details["InnerException"].pop("StackTraceString").startswith("   at ")
    assert list(ours.items()) == list(theirs.items())


# --- beyond them -------------------------------------------------------------------------------------------------

CONTENT_TYPES = [
    ({}, "text/plain"),
    ({"content-type": "application/xml"}, "application/xml"),
    (
        {"Content-Type": "application/x-www-form-urlencoded"},
        "application/x-www-form-urlencoded; charset=utf-8",
    ),
]


@pytest.mark.parametrize(("headers", "expected"), CONTENT_TYPES)
async def test_the_content_type_is_the_header_or_plain_text(
    activity: HttpActivity, server: Server, headers: dict[str, str], expected: str
) -> None:
    request = call_for(f"{server.url}/echo", method="POST", content="x", headers=headers)
    await answered(activity, request)
    assert server.headers[0]["Content-Type"] == expected


async def test_without_content_there_is_no_content_type(
    activity: HttpActivity, server: Server
) -> None:
    request = call_for(f"{server.url}/echo", headers={"Content-Type": "application/json"})
    await answered(activity, request)
    assert set(server.headers[0]) == {"Host", "User-Agent"}


UNHANDLED = [
    (
        {"headers": {"Content-Type": "multipart/form-data"}},
        "Multipart content is not supported with CallHttpAsync.",
    ),
    (
        {"content": "x", "headers": {"Content-Type": "text/plain; charset=utf-8"}},
        "The format of value 'text/plain; charset=utf-8' is invalid.",
    ),
    ({"uri": "/x"}, "An invalid request URI was provided"),
    ({"uri": "ftp://h/x"}, "The 'ftp' scheme is not supported."),
]


@pytest.mark.parametrize(("members", "reason"), UNHANDLED)
async def test_what_the_real_client_refuses_fails_with_its_bare_text(
    activity: HttpActivity, members: dict[str, object], reason: str
) -> None:
    result = await failed(activity, call_for("http://127.0.0.1:9/", **members))
    assert result.reason.startswith(reason)
    assert (result.details or "").startswith("Unhandled exception while executing task: ")


async def test_headers_that_are_lists_are_told_as_lists(
    activity: HttpActivity, server: Server
) -> None:
    answer = await answered(activity, call_for(f"{server.url}/listed"))
    assert answer["content"] == "gr\u00fc\u00df"
    assert answer["headers"] == {
        "Vary": ["Accept", "Origin"],
        "Server": ["One/1", "Two/2", "(x y)"],
        "X-Free": "a, b",
        "Date": DATE,
    }


async def test_redirects_are_followed(activity: HttpActivity, server: Server) -> None:
    answer = await answered(activity, call_for(f"{server.url}/moved"))
    assert answer["statusCode"] == 418


RETRIED = [
    ([], 200, None),
    ([], 503, "Response status code does not indicate success: 503 (Service Unavailable)."),
    ([503], 503, "Status code ServiceUnavailable received, retry requested."),
    ([500], 503, None),
]


@pytest.mark.parametrize(("statuses", "status", "reason"), RETRIED)
async def test_a_status_to_retry_is_a_failure(
    activity: HttpActivity,
    server: Server,
    statuses: list[int],
    status: int,
    reason: str | None,
) -> None:
    options = {
        "FirstRetryInterval": "00:00:01",
        "MaxNumberOfAttempts": 3,
        "StatusCodesToRetry": statuses,
    }
    result = await activity.run(call_for(f"{server.url}/status/{status}", retryOptions=options))
    assert (result.reason if isinstance(result, ActivityFailed) else None) == reason


async def test_the_time_limit_of_a_request_is_kept(activity: HttpActivity, server: Server) -> None:
    result = await failed(activity, call_for(f"{server.url}/endless", timeout="00:00:00.05"))
    assert result.reason.endswith("Reached user specified timeout: 00:00:00.0500000.")
    assert json.loads(result.details or "")["ClassName"] == "System.TimeoutException"


async def test_a_connection_that_breaks_off_is_a_failure(
    activity: HttpActivity, server: Server
) -> None:
    result = await failed(activity, call_for(f"{server.url}/silent"))
    assert result.reason == "An error occurred while sending the request."


async def test_a_token_is_sent_as_a_bearer(server: Server) -> None:
    activity = HttpActivity(some_token)
    source = {"kind": "AzureManagedIdentity", "resource": "https://graph.microsoft.com/"}
    await answered(activity, call_for(f"{server.url}/ok", tokenSource=source))
    await activity.close()
    expected = "Bearer token for https://graph.microsoft.com/.default"
    assert server.headers[0]["Authorization"] == expected


async def test_without_a_credential_the_request_says_what_it_asked_for(
    activity: HttpActivity,
) -> None:
    source = {"kind": "AzureManagedIdentity", "resource": "https://vault.azure.net"}
    result = await failed(activity, call_for("http://h/x", tokenSource=source))
    assert result.reason == (
        "call_http to http://h/x asks for a token for 'https://vault.azure.net': nobody is signed in"
    )


async def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    with pytest.raises(TokenError, match=r"pip install durable-functions-emulator\[identity\]"):
        await identity_token("https://vault.azure.net", {})
