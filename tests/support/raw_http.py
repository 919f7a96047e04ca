"""Requests as they are given, byte for byte: no client library tidies up the path or adds headers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

RESPONSE_LIMIT_S = 30.0
HOP_HEADERS = ("date", "connection", "keep-alive")


@dataclass(frozen=True)
class RawResponse:
    """An answer: headers in their own spelling, without those of the connection."""

    status: int
    headers: dict[str, str]
    body: str


async def send(
    port: int, method: str, path: str, *, headers: Mapping[str, str], body: str | None = None
) -> RawResponse:
    """Send one request over a connection of its own."""
    content = b"" if body is None else body.encode()
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    lines.append("Connection: close")
    names = {name.lower() for name in headers}
    if "transfer-encoding" in names:
        content = (
            b"0\r\n\r\n" if not content else b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        )
    elif body is not None or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(content)}")
    async with asyncio.timeout(RESPONSE_LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write("\r\n".join((*lines, "", "")).encode() + content)
            await writer.drain()
            return _parse(await reader.read())
        finally:
            writer.close()
            await writer.wait_closed()


def _parse(raw: bytes) -> RawResponse:
    head, _, rest = raw.partition(b"\r\n\r\n")
    status_line, *header_lines = head.decode().split("\r\n")
    headers = dict(
        line.split(": ", 1) if ": " in line else (line[:-1], "") for line in header_lines
    )
    if headers.get("Transfer-Encoding") == "chunked":
        rest = _dechunk(rest)
    kept = {name: value for name, value in headers.items() if name.lower() not in HOP_HEADERS}
    return RawResponse(int(status_line.split()[1]), kept, rest.decode("utf-8", "surrogatepass"))


def _dechunk(rest: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(rest[:length])
        rest = rest[length + 2 :]
