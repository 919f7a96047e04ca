"""The client of the hot storage calls, against servers that send bytes as told."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from emulator.storage.http_client import (
    Connection,
    ConnectionLostError,
    HttpAnswer,
    HttpClient,
    NotConnectedError,
)
from tests.support.scripted_server import Cut, Drop, Reply, Silence, Step, scripted_server

OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"ETag: one\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    OK + b"ETag: one\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
)
TRAILED = CHUNKED[:-2] + b"X-Sum: 1\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\nETag: one\r\n\r\n"
NOTICED = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED
HELLO = HttpAnswer(200, {"etag": "one", "content-length": "5"}, b"hello")


class Wire(asyncio.Transport):
    """The other end of a connection, in the hands of a test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.unsent = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@asynccontextmanager
async def asking() -> AsyncIterator[tuple[Connection, Wire, asyncio.Task[HttpAnswer]]]:
    """A connection over which something has been asked; the test awaits the answer."""
    connection, wire = Connection(), Wire()
    connection.connection_made(wire)
    task = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n"))
    await asyncio.sleep(0)
    yield connection, wire, task


@asynccontextmanager
async def client(address: str, *, most: int = 2, keep_s: float = 60) -> AsyncIterator[HttpClient]:
    http = HttpClient(address, connections_max=most, keep_s=keep_s)
    try:
        yield http
    finally:
        await http.close()


async def get(http: HttpClient) -> HttpAnswer:
    return await http.ask("GET", "/a", {}, None)


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [SIZED, CHUNKED, TRAILED, EMPTY, NOTICED])
async def test_an_answer_is_the_same_wherever_it_is_cut(answer: bytes) -> None:
    body = b"" if answer is EMPTY else b"hello"
    for place in range(len(answer)):
        async with asking() as (connection, wire, task):
            for piece in filter(None, (answer[:place], answer[place:])):
                assert not task.done()
                connection.data_received(piece)
            found = await task
        assert (found.headers["etag"], found.body) == ("one", body)
        assert found.status == (204 if answer is EMPTY else 200)
        assert not wire.closed


async def test_an_answer_may_come_byte_by_byte_and_the_next_one_over_the_same_connection() -> None:
    async with asking() as (connection, wire, task):
        for byte in SIZED:
            connection.data_received(bytes([byte]))
        assert await task == HELLO
        second = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n"))
        await asyncio.sleep(0)
        connection.data_received(CHUNKED)
        assert (await second).body == b"hello"
    assert wire.sent.count(b"GET") == 2
    assert not connection.is_closed


@pytest.mark.parametrize(
    "answer",
    [
        SIZED.replace(b"ETag: one", b"Connection: close"),
        SIZED.replace(b"HTTP/1.1", b"HTTP/1.0"),
        SIZED + b"HTTP/1.1 200 ",
        SIZED + SIZED,
        SIZED + b"what?",
    ],
    ids=["it says so", "1.0", "more begins", "one more", "nonsense behind it"],
)
async def test_a_connection_is_not_kept_after_such_an_answer(answer: bytes) -> None:
    async with asking() as (connection, _, task):
        connection.data_received(answer)
        assert (await task).body == b"hello"
    assert connection.is_closed


async def test_a_connection_is_not_kept_if_the_answer_comes_before_the_request_is_gone() -> None:
    async with asking() as (connection, wire, task):
        wire.unsent = 1
        connection.data_received(SIZED)
        assert await task == HELLO
    assert connection.is_closed


async def test_what_comes_when_nothing_was_asked_ends_the_connection() -> None:
    async with asking() as (connection, _, task):
        connection.data_received(SIZED)
        await task
        connection.data_received(b"H")
    assert connection.is_closed


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async with asking() as (connection, _, task):
        connection.data_received(OK + b"ETag: one\r\n\r\nhel")
        connection.data_received(b"lo")
        assert not task.done()
        connection.connection_lost(None)
        assert (await task).body == b"hello"
    assert connection.is_closed


@pytest.mark.parametrize("place", range(len(SIZED)))
async def test_half_an_answer_is_none(place: int) -> None:
    async with asking() as (connection, _, task):
        if place:
            connection.data_received(SIZED[:place])
        connection.connection_lost(None)
        with pytest.raises(ConnectionLostError, match="the server closed the connection") as lost:
            await task
    assert not lost.value.was_kept


async def test_an_answer_without_a_length_that_breaks_off_is_none() -> None:
    async with asking() as (connection, _, task):
        connection.data_received(OK + b"ETag: one\r\n\r\nhel")
        connection.connection_lost(ConnectionResetError(104, "reset"))
        with pytest.raises(ConnectionLostError, match=r"ConnectionResetError.*reset"):
            await task


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-server\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        OK + b"no header\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    ],
)
async def test_nonsense_is_no_answer(answer: bytes) -> None:
    async with asking() as (connection, _, task):
        connection.data_received(answer)
        with pytest.raises(ConnectionLostError, match="what came is no answer: "):
            await task
    assert connection.is_closed


# --- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", None, None), ("DELETE", None, 0), ("PUT", b"", 0), ("POST", b"1234", 4)],
)
async def test_a_request_has_a_host_its_headers_and_the_length_of_its_body(
    method: str, body: bytes | None, length: int | None
) -> None:
    async with scripted_server(Reply(200)) as server, client(server.address) as http:
        await http.ask(method, "/a?b=c", {"X-Two": "2"}, body)
    head, *lines = server.requests[0].split("\r\n")
    assert head == f"{method} /a?b=c HTTP/1.1"
    expected = [f"Host: {server.address.removeprefix('http://')}", "X-Two: 2"]
    assert lines[:2] == expected
    assert lines[2:-2] == ([] if length is None else [f"Content-Length: {length}"])


@pytest.mark.parametrize("value", ["a\r\nX-Bad: b", "a\nb", "a\rb"])
async def test_a_header_cannot_smuggle_in_another_one(value: str) -> None:
    async with scripted_server() as server, client(server.address) as http:
        with pytest.raises(ValueError, match="line end"):
            await http.ask("GET", "/a", {"X-One": value}, None)
    assert server.requests == []


# --- the pool -------------------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again() -> None:
    async with scripted_server(*[Reply(200)] * 3) as server, client(server.address) as http:
        for _ in range(3):
            await get(http)
    assert server.connections == [1, 1, 1]


async def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    steps = [Reply(200)] * 2
    async with scripted_server(*steps) as server, client(server.address, keep_s=0) as http:
        await get(http)
        await get(http)
    assert server.connections == [1, 2]


async def test_no_more_connections_than_allowed_and_whoever_waits_gets_one() -> None:
    async with (
        scripted_server(*[Reply(200)] * 20) as server,
        client(server.address, most=3) as http,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(20):
            group.create_task(get(http))
    assert len(server.requests) == 20
    assert set(server.connections) <= {1, 2, 3}


async def test_who_is_cancelled_leaves_no_connection_behind_on_which_an_answer_is_due() -> None:
    """Whether asking or in line."""
    steps = (Silence(), Reply(200, body=b"second"))
    async with scripted_server(*steps) as server, client(server.address, most=1) as http:
        async with asyncio.TaskGroup() as group:
            asks = group.create_task(get(http))
            await server.until_asked(1)
            waits = group.create_task(get(http))
            await asyncio.sleep(0)
            waits.cancel()
            asks.cancel()
        assert (await get(http)).body == b"second"
    assert server.connections == [1, 2]


@pytest.mark.filterwarnings("default::ResourceWarning")
async def test_who_is_cancelled_while_connecting_loses_no_socket() -> None:
    steps_max = 20
    async with (
        scripted_server(*[Silence()] * steps_max) as server,
        client(server.address) as http,
    ):
        with warnings.catch_warnings(record=True) as lost:
            warnings.simplefilter("always")
            for steps in range(steps_max):
                asking = asyncio.ensure_future(get(http))
                for _ in range(steps):
                    await asyncio.sleep(0)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking
            gc.collect()
    assert not lost


async def test_the_server_may_close_what_is_idle() -> None:
    """It is seen before the next request, which goes over another one."""
    closing = Reply(200, closes=True)
    async with scripted_server(closing, Reply(200)) as server, client(server.address) as http:
        await get(http)
        await server.until_closed(1)
        await asyncio.sleep(0)
        await get(http)
    assert server.connections == [1, 2]


@pytest.mark.parametrize("lost", [Drop(), Cut()])
async def test_a_lost_answer_says_whether_the_connection_was_a_kept_one(lost: Step) -> None:
    """Not so if a part of the answer came."""
    async with scripted_server(lost) as server, client(server.address) as http:
        with pytest.raises(ConnectionLostError) as on_new:
            await get(http)
    assert not on_new.value.was_kept
    async with (
        scripted_server(Reply(200), lost, Reply(200)) as server,
        client(server.address) as http,
    ):
        await get(http)
        with pytest.raises(ConnectionLostError) as on_kept:
            await get(http)
        await get(http)
    assert on_kept.value.was_kept == isinstance(lost, Drop)
    assert server.connections == [1, 1, 2]


async def test_once_closed_no_connection_is_kept() -> None:
    async with scripted_server(Reply(200), Reply(200)) as server, client(server.address) as http:
        await http.close()
        await get(http)
        await server.until_closed(1)


# --- servers that cannot be reached ---------------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_named_by_the_system_s_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with client(f"http://127.0.0.1:{unused.getsockname()[1]}") as http:
            for _ in range(3):  # no place is lost
                with pytest.raises(NotConnectedError, match="ConnectionRefusedError, Connect"):
                    await get(http)


async def test_a_name_that_nobody_knows_cannot_be_reached() -> None:
    async with client("http://nobody.invalid") as http:
        assert http.port == 80
        with pytest.raises(NotConnectedError, match="gaierror"):
            await get(http)


# --- TLS ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def tls_server(folder: Path, *, host: str) -> AsyncIterator[str]:
    """A server with a certificate of its own making for 127.0.0.1 or another host; its address."""
    file = certificate(folder, host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SIZED)
        await writer.drain()
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


def certificate(folder: Path, host: str) -> Path:
    """Key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(host))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


async def test_over_tls_a_server_is_believed_whose_certificate_python_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tls_server(tmp_path, host="127.0.0.1") as address:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        async with client(address) as http:
            assert await get(http) == HELLO


@pytest.mark.parametrize(
    ("host", "is_trusted", "reason"),
    [("127.0.0.1", False, "self.signed"), ("127.0.0.2", True, "IP address mismatch")],
)
async def test_over_tls_nobody_else_is_believed(
    host: str, is_trusted: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tls_server(tmp_path, host=host) as address:
        if is_trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        async with client(address) as http:
            with pytest.raises(NotConnectedError, match=f"SSLCertVerificationError, .*{reason}"):
                await get(http)


async def test_a_plain_server_does_not_speak_tls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with client(f"https://127.0.0.1:{port}") as http:
        with pytest.raises(NotConnectedError, match="SSLError"):
            await get(http)
    listener.close()
