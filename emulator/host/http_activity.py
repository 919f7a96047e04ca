"""Runs `BuiltIn::HttpActivity`, which stands behind call_http: one request, its answer as JSON.

Any status is an answer. Redirects are followed, bodies are text in both directions, and of the answer's headers only
those are told that do not describe its content. Source: reference out-of-process-protocol.md 3.9; extension:
TaskHttpActivityShim.cs, DurableHttpResponse.cs, DurableHttpClientFactory.cs; recordings.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp
from yarl import URL

from emulator.core.calls import ActivityCall, ActivityCompleted, ActivityFailed
from emulator.core.http_call import read_span
from emulator.core.json_text import compact, loads
from emulator.host import http_failures as failures
from emulator.host.identity import TokenError

LIMIT_S: Final = 240.0
"""Of one request (extension: DurableHttpClientFactory)."""
REDIRECTS_MAX: Final = 50
"""Of .NET's client."""
_SILENT: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add, and .NET does not."""
_OF_CONTENT: Final = frozenset(
    {"allow", "content-disposition", "content-encoding", "content-language", "content-length"}
    | {"content-location", "content-md5", "content-range", "content-type", "expires"}
    | {"last-modified"}
)
"""Headers that .NET keeps with the content instead of the response."""
_LISTS: Final = frozenset(
    [
        "accept-ranges",
        "connection",
        "pragma",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
    ]
)
"""Response headers that .NET takes apart at commas."""
_FORM: Final = "application/x-www-form-urlencoded"
_MEDIA_TYPE: Final = re.compile(r"[!#$%&'*+\-.^_`|~\w]+/[!#$%&'*+\-.^_`|~\w]+", re.ASCII)
_PRODUCT: Final = re.compile(r"\([^)]*\)|\S+")
_SCHEMES: Final = ("http", "https")

_NO_NAME: Final = -131073
"""What .NET reports on Linux for a name that nobody knows."""

TokenSource = Callable[[str, Mapping[str, object]], Awaitable[str]]
"""Gets a bearer token for a resource; raises TokenError."""
Json = Mapping[str, object]


class _RefusedError(Exception):
    """The request cannot be made."""

    def __init__(self, failed: ActivityFailed) -> None:
        super().__init__(failed.reason)
        self.failed = failed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    url: URL
    headers: list[tuple[str, str]]
    content: bytes | None
    timeout_text: str | None
    timeout_s: float | None
    retries: bool
    statuses: frozenset[int]


class HttpActivity:
    """The activity (engine.ports.ActivityRunner)."""

    def __init__(self, token: TokenSource) -> None:
        """The session opens with the first request."""
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give back the connections. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def run(self, call: ActivityCall) -> ActivityCompleted | ActivityFailed:
        """Make the request; whatever goes wrong with it is an answer."""
        try:
            request = await self._request(_members(call.input))
            return await self._send(request)
        except _RefusedError as refused:
            return refused.failed

    async def _request(self, members: Json) -> _Request:
        retry = cast("Json | None", members.get("retryOptions"))
        headers, content_type = _request_headers(cast(Json, members.get("headers") or {}))
        content = cast("str | None", members.get("content"))
        if content is not None:
            headers.append(("Content-Type", _content_type(content_type or "text/plain")))
        source = cast("Json | None", members.get("tokenSource"))
        if source is not None:
            headers.append(("Authorization", f"Bearer {await self._bearer(source, members)}"))
        if not any(name.lower() == "user-agent" for name, _ in headers):
            headers.append(("User-Agent", failures.USER_AGENT))
        span = read_span(members.get("timeout"))
        return _Request(
            method=str(members.get("method") or "GET"),
            url=_url(str(members.get("uri") or "")),
            headers=headers,
            content=None if content is None else content.encode(),
            timeout_text=cast("str | None", members.get("timeout")),
            timeout_s=None if span is None else span.total_seconds(),
            retries=retry is not None,
            statuses=frozenset(cast("list[int]", (retry or {}).get("StatusCodesToRetry") or [])),
        )

    async def _bearer(self, source: Json, members: Json) -> str:
        resource = str(source.get("resource") or "")
        try:
            return await self._token(resource, cast(Json, source.get("options") or {}))
        except TokenError as error:
            text = f"call_http to {members.get('uri')} asks for a token for {resource!r}: {error}"
            raise _RefusedError(
                failures.unhandled(text, "Azure.Identity.CredentialUnavailableException")
            ) from error

    async def _send(self, request: _Request) -> ActivityCompleted | ActivityFailed:
        own = asyncio.timeout(request.timeout_s)
        try:
            async with own:
                return await self._exchange(request)
        except TimeoutError:
            if own.expired():
                return failures.too_slow(request.timeout_text or "")
            text = f"The request was canceled due to the configured HttpClient.Timeout of {LIMIT_S:g} seconds elapsing."
            return failures.unhandled(text, "System.Threading.Tasks.TaskCanceledException")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failure(error)

    async def _exchange(self, request: _Request) -> ActivityCompleted | ActivityFailed:
        async with self._client().request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.content,
            skip_auto_headers=_SILENT,
            max_redirects=REDIRECTS_MAX,
        ) as answer:
            body = await answer.read()
            if request.retries and not request.statuses and not 200 <= answer.status < 300:
                return failures.no_success(answer.status, answer.reason or "")
            if answer.status in request.statuses:
                return failures.status_to_retry(answer.status)
            return ActivityCompleted(result=_result_text(answer, body))

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                timeout=aiohttp.ClientTimeout(total=LIMIT_S),
            )
        return self._session


# --- the request --------------------------------------------------------------------------------------------------


def _members(text: str | None) -> Json:
    try:
        items = cast("list[Any]", loads(text or ""))
        return cast(Json, dict(items[0]))
    except (ValueError, TypeError, LookupError) as error:
        failed = failures.unhandled(
            f"the input of the HTTP activity is no list of one request: {text!r}",
            "Newtonsoft.Json.JsonSerializationException",
        )
        raise _RefusedError(failed) from error


def _request_headers(members: Json) -> tuple[list[tuple[str, str]], str]:
    """The headers, and apart from them the content type."""
    headers: list[tuple[str, str]] = []
    content_type = ""
    for name, value in members.items():
        values = cast("list[str]", value) if isinstance(value, list) else [str(value)]
        if name.lower() != "content-type":
            if values:
                headers.append((name, ", ".join(values)))
            continue
        for item in values:
            if "multipart" in item:
                name = "Microsoft.Azure.WebJobs.Extensions.DurableTask.FunctionFailedException"
                raise _RefusedError(failures.unhandled(failures.NO_MULTIPART, name))
            content_type = item
    return headers, content_type


def _content_type(value: str) -> str:
    """As .NET sends it: no parameters are accepted, and a form gets its charset."""
    if value.lower() == _FORM:
        return f"{value}; charset=utf-8"
    if not _MEDIA_TYPE.fullmatch(value):
        text = f"The format of value '{value}' is invalid."
        raise _RefusedError(failures.unhandled(text, "System.FormatException"))
    return value


def _url(text: str) -> URL:
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise _RefusedError(
            failures.unhandled(failures.NOT_ABSOLUTE, "System.InvalidOperationException")
        )
    if scheme.lower() not in _SCHEMES:
        refusal = f"The '{scheme.lower()}' scheme is not supported."
        raise _RefusedError(failures.unhandled(refusal, "System.NotSupportedException"))
    try:
        return URL(text)
    except ValueError as error:
        refusal = f"Invalid URI: {error}"
        raise _RefusedError(failures.unhandled(refusal, "System.UriFormatException")) from error


# --- the answer ---------------------------------------------------------------------------------------------------


def _result_text(answer: aiohttp.ClientResponse, body: bytes) -> str:
    headers: dict[str, list[str]] = {}
    for raw_name, raw_value in answer.raw_headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name.lower() not in _OF_CONTENT:
            known = next((k for k in headers if k.lower() == name.lower()), name)
            headers.setdefault(known, []).extend(_values(name.lower(), value))
    shown = {name: values[0] if len(values) == 1 else values for name, values in headers.items()}
    return compact(
        {"statusCode": answer.status, "headers": shown, "content": _text(body, answer.charset)}
    )


def _values(name: str, value: str) -> list[str]:
    if name == "server":
        return _PRODUCT.findall(value)
    if name in _LISTS:
        return [item.strip() for item in value.split(",") if item.strip()]
    return [value]


def _text(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8-sig", errors="replace")
    except LookupError:
        return body.decode("utf-8-sig", errors="replace")


def _failure(error: Exception) -> ActivityFailed:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return failures.refused_certificate(str(error))
        case aiohttp.ClientConnectorError():
            return _no_connection(error)
        case _:
            return failures.broken_off(str(error) or failures.ENDED_EARLY)


def _no_connection(error: aiohttp.ClientConnectorError) -> ActivityFailed:
    cause = error.os_error
    port = error.port or 80
    address = f"{error.host}:{port}"
    if isinstance(cause, socket.gaierror) or isinstance(error, aiohttp.ClientConnectorDNSError):
        fault = failures.RequestFault.NAME_RESOLUTION
        return failures.unreachable("Name or service not known", address, _NO_NAME, fault)
    text = os.strerror(cause.errno) if cause.errno else str(cause)
    return failures.unreachable(text, address, cause.errno, failures.RequestFault.CONNECTION)
