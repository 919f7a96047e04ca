"""Requests that no honest client sends: each has an answer of its own, soon, and the host goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.engine.clock import SystemClock
from tests.support.hosts import DURABLE, HostHere, eventually, hosting, new_place

APP = Path(__file__).parents[1] / "commands" / "waiting_app"
MEGABYTE = 1 << 20
BODY_MAX = 100 * MEGABYTE
ANSWER_WITHIN_S = 20
BRACKETS = 100_000


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[HostHere]:
    place = new_place("memory", tmp_path)
    limits = {"body_timeout": timedelta(seconds=0.5)}
    async with hosting(APP, place, http=limits) as running:
        yield running
        assert (await running.get(f"{DURABLE}/instances?top=1")).status == 200
        await eventually(nothing_lingers, "the server has let go of the connections that ended")


async def nothing_lingers() -> bool:
    """Whether only the one connection of the fixture's own client is served."""
    serving = [t for t in asyncio.all_tasks() if "RequestHandler.start" in repr(t.get_coro())]
    return len(serving) <= 1


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def status_of(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(ANSWER_WITHIN_S):
        line = await reader.readline()
    return int(line.split()[1])


async def sent(port: int, head: str, body: bytes = b"") -> int:
    """Status of the answer to a request whose target and headers are sent as they are."""
    async with connected(port) as (reader, writer):
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        writer.write(
            f"{head} HTTP/1.1\r\nHost: localhost:{port}\r\n{length}\r\n".encode("latin-1") + body
        )
        await writer.drain()
        return await status_of(reader)


# --- bodies -------------------------------------------------------------------------------------------------------


def chunks(total: int) -> Iterator[bytes]:
    for start in range(0, total, MEGABYTE):
        yield b" " * min(MEGABYTE, total - start)


async def test_a_body_that_is_declared_too_large_is_not_waited_for(host: HostHere):
    port = host.host.server.port
    for path in (f"{DURABLE}/orchestrators/greeting", "/admin/functions/greeting"):
        async with connected(port) as (reader, writer):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_MAX + 1}\r\n\r\n"
            writer.write(head.encode())
            assert await status_of(reader) == 413


@pytest.mark.slow
async def test_a_body_that_grows_too_large_is_refused(host: HostHere):
    async with connected(host.host.server.port) as (reader, writer):
        head = f"POST {DURABLE}/orchestrators/greeting HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        answer = asyncio.ensure_future(status_of(reader))
        with suppress(ConnectionError):
            for chunk in chunks(BODY_MAX + MEGABYTE):
                writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        assert await answer in (408, 413)


async def test_a_large_body_below_the_limit_is_an_input(host: HostHere):
    text = json.dumps("x" * (8 * MEGABYTE)).encode()
    assert (
        await sent(host.host.server.port, f"POST {DURABLE}/orchestrators/greeting/large", text)
        == 202
    )
    assert len((await host.status("large"))["input"]) == len(text) - 2


SLOWLY_READ = b"[" + b"01," * (MEGABYTE // 2) + b"1]"
"""Numbers that only the lenient reader takes: seconds of work."""
OTHERS_ANSWERED = 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "media", "status"),
    [
        ("orchestrators/greeting", "text/plain", 202),
        ("instances/asked/raiseEvent/third", "application/json", 202),
        ("entities/counter/k?op=add", "application/json", 202),
    ],
)
async def test_others_are_answered_while_a_large_body_is_read(
    host: HostHere, target: str, media: str, status: int
):
    await host.start("approval", instance_id="asked")
    head = f"POST {DURABLE}/{target} HTTP/1.1\r\nContent-Type: {media}\r\nX-Rest:"
    reading = asyncio.ensure_future(sent(host.host.server.port, head, SLOWLY_READ))
    others = 0
    while not reading.done():
        await host.get("/admin/host/ping")
        others += 1
    assert await reading == status
    assert others > OTHERS_ANSWERED


DEEP = {
    "arrays": b"[" * BRACKETS + b"]" * BRACKETS,
    "objects": b'{"a":' * BRACKETS + b"1" + b"}" * BRACKETS,
    "open arrays": b"[" * BRACKETS,
}


@pytest.mark.parametrize("shape", DEEP)
async def test_deep_json_is_refused(host: HostHere, shape: str):
    await host.start("approval", instance_id="asked")
    port, body = host.host.server.port, DEEP[shape]
    media = "HTTP/1.1\r\nContent-Type: application/json\r\nX-Rest:"
    for target in (
        f"{DURABLE}/orchestrators/greeting",
        f"{DURABLE}/instances/asked/raiseEvent/first",
        f"{DURABLE}/entities/counter/k?op=add",
        "/admin/functions/say",
    ):
        assert await sent(port, f"POST {target} {media}", body) == 400, target
    assert await sent(port, f"PUT /admin/host/keys/x {media}", body) == 400


async def test_deep_json_that_was_stored_by_others_is_shown(host: HostHere):
    await host.host.client.start("approval", instance_id="deep", input=DEEP["arrays"].decode())
    for target in (
        "instances/deep",
        "instances?instanceIdPrefix=deep",
        "instances/deep?showHistory=true",
    ):
        assert (await host.get(f"{DURABLE}/{target}")).status in (200, 202), target


@pytest.mark.parametrize("body", [b'"\xff\xfe"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\x00"'])
async def test_bytes_that_are_no_text(host: HostHere, body: bytes):
    """As .NET reads them: what is no UTF-8 becomes a replacement character; control characters are let through."""
    port = host.host.server.port
    assert await sent(port, f"POST {DURABLE}/orchestrators/greeting", body) in (202, 400)
    head = f"POST {DURABLE}/entities/counter/k?op=%ff%fe HTTP/1.1\r\nContent-Type: text/plain\r\nX-Rest:"
    assert await sent(port, head, body) == 202


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        ("instances/%2e%2e", {200, 404}),
        ("instances/..%2f..%2fadmin%2fhost%2fstatus", {404}),
        ("instances/../../../../admin/host/keys", {200, 404}),
        ("instances/%00", {404}),
        ("instances/a%00b", {404}),
        ("instances/%", {404}),
        ("instances/%zz", {404}),
        ("instances/%ff%fe", {404}),
        ("instances/a%2fb", {404}),
        ("instances//x", {404}),
        ("instances/%5c..%5c", {404}),
        ("instances/" + "x" * 4000, {404}),
        ("instances/" + "%F0%9F%98%80" * 300, {404}),
        ("instances?top=99999999999999999999", {200}),
        ("instances?top=" + "9" * 5000, {200}),
        ("instances?top=-1", {500}),
        ("instances?runtimeStatus=%C2%B2", {200}),
        ("instances?runtimeStatus=" + "1" * 5000, {200}),
        ("instances?createdTimeFrom=" + "9" * 1000, {200}),
        ("instances?runtimeStatus=" + "Running," * 500, {200}),
        ("instances?" + "&".join(f"a{n}=1" for n in range(900)), {200}),
        ("instances?taskHub=" + "x" * 1000, {500}),
    ],
)
async def test_tricks_with_paths_and_queries(host: HostHere, target: str, statuses: set[int]):
    assert await sent(host.host.server.port, f"GET {DURABLE}/{target}") in statuses


@pytest.mark.parametrize(
    ("name", "status"),
    [("x" * 255, 202), ("%01", 202), ("%0d%0aX:%20y", 202), ("a%2fb%2fc", 404)],
)
async def test_ids_that_nobody_should_choose(host: HostHere, name: str, status: int):
    """As recorded: what the store can keep is started, even control characters; an encoded slash parts segments."""
    port = host.host.server.port
    assert await sent(port, f"POST {DURABLE}/orchestrators/greeting/{name}") == status


async def test_a_request_line_without_end_is_refused(host: HostHere):
    assert 400 <= await sent(host.host.server.port, f"GET {DURABLE}/" + "x" * 100_000) < 500


@pytest.mark.parametrize(
    "head", ["GET  HTTP/1.1", "NOT A REQUEST", "GET / HTTP/9.9", "\x00\x01\x02", "GET /\x7f"]
)
async def test_what_is_no_request_is_refused(host: HostHere, head: str):
    assert 400 <= await sent(host.host.server.port, head) < 500


async def test_the_local_listener_takes_the_same(host: HostHere):
    port = host.host.server.rpc_port
    base = "/durabletask"
    assert await sent(port, f"POST {base}/orchestrators/greeting", DEEP["arrays"]) == 400
    assert await sent(port, f"GET {base}/instances/a%00b") == 404
    assert await sent(port, f"GET {base}/instances/..%2f..%2f") in (200, 400, 404)


# --- slow clients -------------------------------------------------------------------------------------------------


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(host: HostHere):
    async with connected(host.host.server.port) as (reader, writer):
        head = f"POST {DURABLE}/orchestrators/greeting HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1"
        writer.write(head.encode())
        assert await status_of(reader) == 408


@asynccontextmanager
async def connected_to(
    folder: Path, listener: str = "public", **limits: timedelta
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a listener of a host with limits of its own; the time for an answer is limited, too."""
    async with hosting(APP, new_place("memory", folder), http=limits) as host:
        server = host.host.server
        port = server.port if listener == "public" else server.rpc_port
        async with connected(port) as connection, asyncio.timeout(ANSWER_WITHIN_S):
            yield connection


@pytest.mark.parametrize("served_before", [False, True])
@pytest.mark.parametrize("listener", ["public", "local"])
async def test_a_head_that_does_not_come_is_not_waited_for_for_ever(
    tmp_path: Path, listener: str, served_before: bool
):
    limit = timedelta(seconds=0.2)
    async with connected_to(tmp_path, listener, head_timeout=limit) as (reader, writer):
        if served_before:
            writer.write(b"HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n")
            await read_head(reader)
        # As soon as it is there: who still sends when the connection ends loses what it has not read.
        answer = asyncio.ensure_future(reader.readuntil(b"}"))
        writer.write(b"GET /admin/host/status HTTP/1.1\r\n")
        with suppress(ConnectionError):
            while not answer.done():
                # A header now and then gives it no more time.
                writer.write(b"X-More: 1\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        text = (await answer).decode()
        assert text.split()[1] == "408"
        assert "within 0.2 seconds" in text


async def test_a_connection_without_a_request_is_ended(tmp_path: Path):
    async with connected_to(tmp_path, idle_timeout=timedelta(seconds=0.1)) as (reader, _):
        assert await reader.read() == b""


async def test_the_time_of_a_head_is_not_that_of_the_body_or_the_answer(tmp_path: Path):
    limit = timedelta(seconds=0.5)
    async with connected_to(tmp_path, head_timeout=limit) as (reader, writer):
        writer.write(f"POST {DURABLE}/orchestrators/approval".encode())
        await writer.drain()
        await asyncio.sleep(0.02)
        waits = "?timeout=0.6&pollingInterval=0.1"
        writer.write(f"{waits} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.6)
        writer.write(b"1")
        assert (await read_head(reader))[0].split()[1] == "202"


async def read_head(reader: asyncio.StreamReader) -> list[str]:
    return (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")


async def test_slow_clients_stop_neither_others_nor_the_host(tmp_path: Path):
    place = new_place("memory", tmp_path)
    clock = SystemClock()
    writers: list[asyncio.StreamWriter] = []
    async with hosting(APP, place) as host:
        for _ in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", host.host.server.port)
            writer.write(b"GET /admin/host/status HTTP/1.1\r\nHost: ")
            await writer.drain()
            writers.append(writer)
        assert (await host.get("/admin/host/status")).status == 200
        began = clock.monotonic()
    assert clock.monotonic() - began < ANSWER_WITHIN_S
    for writer in writers:
        writer.close()


@pytest.mark.slow
async def test_a_client_that_does_not_read_its_answer_stops_nobody(tmp_path: Path):
    place = new_place("memory", tmp_path, lambda: pytest.fail("no server is needed"))
    clock = SystemClock()
    async with hosting(APP, place) as host:
        for number in range(4):
            await host.host.client.start(
                "approval", instance_id=f"l{number}", input=json.dumps("x" * 2 * MEGABYTE)
            )
        writers: list[asyncio.StreamWriter] = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", host.host.server.port, limit=1
            )
            writer.write(f"GET {DURABLE}/instances HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await writer.drain()
            assert await reader.readexactly(1) == b"H"
            writers.append(writer)
        assert (await host.get("/admin/host/status")).status == 200
        began = clock.monotonic()
    assert clock.monotonic() - began < ANSWER_WITHIN_S
    for writer in writers:
        writer.transport.abort()


async def test_a_client_that_leaves_in_the_middle_is_forgotten(host: HostHere):
    for _ in range(20):
        async with connected(host.host.server.port) as (_, writer):
            writer.write(f"POST {DURABLE}/orchestrators/greeting HTTP/1.1\r\nContent-Le".encode())
            await writer.drain()
    assert (await host.get("/admin/host/status")).status == 200
