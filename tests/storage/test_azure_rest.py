"""Plain REST calls against a server that misbehaves as told."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    NotFoundError,
    StorageError,
    TransientStorageError,
)
from emulator.storage.azure_rest import RestService
from emulator.storage.azure_signing import Repeat, Request, SasSigner
from emulator.storage.http_client import HttpClient
from tests.support.scripted_server import Cut, Drop, Reply, Server, Silence, Step, scripted_server

SECRET = "sig=c2VjcmV0"
DONE = Reply(200, body=b"done")


def refusal(status: int, code: str = "", **headers: str) -> Reply:
    return Reply(status, {**headers, **({"x-ms-error-code": code} if code else {})})


def call(method: str = "GET", repeat: Repeat = Repeat.FREELY, body: bytes | None = None) -> Request:
    return Request(
        what="doing it",
        method=method,
        path="/q/messages",
        body=body,
        repeat=repeat,
        query={"a": "b c"},
    )


@asynccontextmanager
async def client(address: str) -> AsyncIterator[HttpClient]:
    http = HttpClient(address, connections_max=2, keep_s=60)
    try:
        yield http
    finally:
        await http.close()


def rest_service(http: HttpClient, endpoint: str, *, timeout_s: float) -> RestService:
    headers = {"x-ms-version": "1"}
    signer = SasSigner(SECRET)
    return RestService(http, endpoint, signer, headers, timeout_s=timeout_s, pauses_s=(0, 0))


@asynccontextmanager
async def service(*steps: Step, timeout_s: float = 10) -> AsyncIterator[tuple[RestService, Server]]:
    async with scripted_server(*steps) as server, client(server.address) as http:
        yield rest_service(http, f"{server.address}/acc", timeout_s=timeout_s), server


async def test_a_request_has_path_query_signature_and_headers() -> None:
    async with service(DONE) as (rest, server):
        answer = await rest.send(call("POST", body=b"x"))
    assert (answer.status, answer.body, answer.is_doubtful) == (200, b"done", False)
    [request] = server.requests
    assert request.startswith(f"POST /acc/q/messages?a=b%20c&{SECRET} HTTP/1.1\r\n")
    assert "x-ms-version: 1\r\n" in request


@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize("busy", [refusal(503, "ServerBusy"), refusal(429, **{"Retry-After": "0"})])
async def test_a_busy_service_is_asked_again(repeat: Repeat, busy: Reply) -> None:
    """It has not begun, so whatever it was may be sent again."""
    async with service(busy, busy, DONE) as (rest, server):
        answer = await rest.send(call("POST", repeat))
    assert not answer.is_doubtful
    assert len(server.requests) == 3


async def test_a_service_that_stays_busy_is_given_up() -> None:
    async with service(*[refusal(503, "ServerBusy")] * 3) as (rest, server):
        with pytest.raises(TransientStorageError, match=r"doing it: HTTP 503 \(ServerBusy\)"):
            await rest.send(call())
    assert len(server.requests) == 3


async def test_the_service_says_how_long_to_wait_and_the_time_limit_holds() -> None:
    async with service(refusal(503, **{"Retry-After": "60"}), timeout_s=0.1) as (rest, server):
        with pytest.raises(TransientStorageError, match=r"no answer within 0\.1 seconds"):
            await rest.send(call())
    assert len(server.requests) == 1


@pytest.mark.parametrize("lost", [Drop(), Cut(), refusal(500, "OperationTimedOut"), refusal(504)])
async def test_what_may_be_repeated_is(lost: Step) -> None:
    async with service(lost, DONE) as (rest, server):
        assert (await rest.send(call("POST"))).status == 200
    assert len(server.requests) == 2


@pytest.mark.parametrize("lost", [Drop(), Cut(), refusal(500, "OperationTimedOut"), refusal(504)])
async def test_what_must_not_be_repeated_is_not(lost: Step) -> None:
    """A message would be there twice."""
    async with service(lost, DONE) as (rest, server):
        with pytest.raises(TransientStorageError, match="doing it"):
            await rest.send(call("POST", Repeat.NEVER))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (refusal(404, "MessageNotFound"), NotFoundError),
        (refusal(409, "EntityAlreadyExists"), ConflictError),
        (refusal(412, "UpdateConditionNotSatisfied"), EtagMismatchError),
    ],
)
async def test_a_refusal_after_a_lost_answer_says_nothing(
    refused: Reply, error: type[StorageError]
) -> None:
    """The first attempt may have been carried out, and be the very reason."""
    async with service(refused) as (rest, _):
        with pytest.raises(error):
            await rest.send(call("POST", Repeat.GUARDED))
    async with service(Drop(), refused) as (rest, _):
        with pytest.raises(TransientStorageError, match="may have been carried out"):
            await rest.send(call("POST", Repeat.GUARDED))
    async with service(Drop(), refused) as (rest, _):
        with pytest.raises(error):
            await rest.send(call("POST", Repeat.FREELY))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
async def test_a_kept_connection_that_is_closed_is_noticed(method: str) -> None:
    """Whoever sends again, the client or we, the answer is doubtful."""
    async with service(DONE, Drop(), DONE) as (rest, server):
        assert not (await rest.send(call(method, Repeat.GUARDED))).is_doubtful
        assert (await rest.send(call(method, Repeat.GUARDED))).is_doubtful
    assert server.connections == [1, 1, 2]


async def test_a_service_that_is_silent_is_given_up() -> None:
    async with service(Silence(), timeout_s=0.1) as (rest, server):
        with pytest.raises(TransientStorageError, match=r"no answer within 0\.1 seconds"):
            await rest.send(call())
    assert len(server.requests) == 1


async def test_a_service_that_is_not_there_is_said_to_be_unreachable() -> None:
    """With host and port, and without the signature."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}") as http:
            rest = rest_service(http, f"http://127.0.0.1:{port}", timeout_s=5)
            with pytest.raises(TransientStorageError, match=rf"127\.0\.0\.1:{port}") as unreachable:
                await rest.send(call("POST", Repeat.NEVER))
    assert SECRET not in str(unreachable.value)


@pytest.mark.parametrize(
    "lost", [Drop(), Cut(), refusal(500), refusal(403, "AuthorizationFailure")]
)
async def test_no_message_shows_a_signature(lost: Step) -> None:
    async with service(lost) as (rest, _):
        with pytest.raises(StorageError) as failed:
            await rest.send(call("POST", Repeat.NEVER))
    assert SECRET not in str(failed.value)
    assert "doing it" in str(failed.value)


async def test_a_code_is_found_in_the_body_too() -> None:
    """The Table service writes it there."""
    body = b'{"odata.error":{"code":"TableBeingDeleted","message":{"value":"x"}}}'
    async with service(Reply(409, body=body)) as (rest, _):
        with pytest.raises(TransientStorageError, match="TableBeingDeleted"):
            await rest.send(call("POST"))
    async with service(Reply(409, body=b"<html>")) as (rest, _):
        with pytest.raises(ConflictError, match=r"doing it: HTTP 409$"):
            await rest.send(call("POST"))
