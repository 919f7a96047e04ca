"""Requests and answers of the management API as plain values, whatever server carries them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from emulator.core.json_text import compact
from emulator.http.bodies import JSON_TYPE
from emulator.http.intake import Body
from emulator.http.queries import Query

T = TypeVar("T")
LARGE_CHARACTERS: Final = 256 * 1024
"""From here on a text is read in a thread: in the worst case it takes a second for each million characters."""


async def read_aside(read: Callable[[str], T], text: str) -> T:
    """What `read` makes of a text, while everything else goes on however large it is."""
    if len(text) < LARGE_CHARACTERS:
        return read(text)
    return await asyncio.to_thread(read, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request.

    Attributes:
        path: what follows the prefix, decoded once, without slashes at either end.
        headers: by lower-case name.
        content: the body, until whoever answers drops it.
        url: the full address, query included.
        origin: scheme, host and port of the request.
        prefix: the prefix that links in the answer carry.
        is_rpc: whether it came to the local RPC listener.
    """

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    content: Body
    url: str
    origin: str
    prefix: str
    is_rpc: bool = False

    @property
    def line(self) -> str:
        """What it is called in the log."""
        return f"{self.method} {self.path}"

    @property
    def segments(self) -> list[str]:
        """Parts of the path."""
        return self.path.split("/") if self.path else []

    @property
    def body(self) -> bytes:
        """The body; nothing once it was dropped."""
        return self.content.content

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 become replacement characters, as in .NET."""
        return self.body.decode("utf-8-sig", "replace")

    @property
    def is_json(self) -> bool:
        """Whether the media type is JSON's own; parameters such as the charset do not count."""
        media = self.headers.get("content-type", "").partition(";")[0]
        return media.strip().lower() == "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """One answer; no body means none, and no content type.

    Attributes:
        rest: what follows the body, part by part, if the whole would be too much to hold; what fails in it ends the
            connection before the answer's end.
    """

    status: int
    body: str | None = None
    rest: AsyncIterable[str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def content_type(self) -> str | None:
        """Of the body."""
        return None if self.body is None else JSON_TYPE


def empty(status: int) -> ApiResponse:
    """An answer without a body."""
    return ApiResponse(status=status)


def answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """An answer with a JSON body."""
    return ApiResponse(status=status, body=compact(value), headers=headers or {})
