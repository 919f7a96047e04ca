"""The servers: the public listener and the local RPC listener, over aiohttp."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from socket import socket
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from aiohttp import web

from emulator.errors import InvalidRequestError
from emulator.http import openapi
from emulator.http.admin import HOME, AdminApi
from emulator.http.bodies import message_body
from emulator.http.connections import Site, connections_of
from emulator.http.functions import HttpFunctions, HttpRoute
from emulator.http.gate import Gate, Level, level_of
from emulator.http.intake import READ_AHEAD_BYTES, Body, Intake
from emulator.http.listening import BACKLOG, cannot_listen, listen_together
from emulator.http.management import ManagementApi
from emulator.http.messages import ApiRequest, ApiResponse, answer
from emulator.http.problems import too_short
from emulator.http.queries import Query
from emulator.http.readiness import NotReadyError, Readiness
from emulator.http.urls import ADMIN, RPC, WEBHOOKS
from emulator.log import fields, get_logger
from emulator.settings import HttpSettings

_log = get_logger(__name__)
SHUTDOWN_S: Final = 2.0
LINGER_S: Final = 1.0
"""For how long the rest of a body that nobody wants is read away, so that its sender can see the answer."""
PING: Final = "/admin/host/ping"
"""Answers without a key."""
EXTENSIONS: Final = "/runtime/webhooks/"
_KNOWN_HEADERS: Final = {
    name.lower(): name
    for name in (
        "Access-Control-Allow-Origin",
        "Allow",
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "ETag",
        "Expires",
        "Last-Modified",
        "Location",
        "Pragma",
        "Retry-After",
        "Vary",
        "WWW-Authenticate",
    )
}
"""Headers that the real server spells its own way, however the function spells them."""
KESTREL: Final = "Kestrel"
_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_WEBHOOK_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS"})


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedBodyError(Exception):
    """A body is not read to its end: the answer says why, and ends the connection."""

    def __init__(self, status: int, text: str) -> None:
        """408 or 413, as Kestrel answers; the text is ours."""
        super().__init__(text)
        self._status = status

    def response(self) -> web.Response:
        """The answer."""
        response = _response(ApiResponse(status=self._status, body=message_body(str(self))))
        response.force_close()
        return response


def _too_large(limit: int) -> str:
    return f"The body is larger than the {limit - 1} bytes that the host takes; send less"


async def _answered(work: Awaitable[web.Response]) -> web.Response:
    """The answer to a request; what is refused on the way is one, too."""
    try:
        return await work
    except RefusedBodyError as refused:
        return refused.response()
    except NotReadyError as refused:
        return web.Response(status=503, text=str(refused))


class HttpServer:
    """Both listeners of a host."""

    def __init__(
        self,
        settings: HttpSettings,
        management: ManagementApi,
        functions: HttpFunctions,
        admin: AdminApi,
        gate: Gate | None = None,
        *,
        readiness: Readiness,
        version: Callable[[], str],
    ) -> None:
        """Nothing listens before start().

        Args:
            readiness: of the host; until then only its own endpoints answer.
            version: of this program.
            gate: enforces keys; without one everything is open.
        """
        self._gate = gate
        self._readiness = readiness
        self._version = version
        self._settings = settings
        self._management = management
        self._functions = functions
        self._admin = admin
        self.public_bodies = Intake(settings.body_bytes_held_max)
        self._rpc_bodies = Intake(settings.body_bytes_held_max)
        """Its own: functions that hold public bodies start instances by it."""
        self._runners: list[web.AppRunner] = []
        self._public: web.AppRunner
        self.port = settings.port
        self.rpc_port = settings.rpc_port

    @property
    def rpc_base_url(self) -> str:
        """Where the SDK's client sends its calls."""
        return f"http://127.0.0.1:{self.rpc_port}{RPC}/"

    async def start_rpc(self) -> None:
        """Open the local RPC listener, on its usual port or, if that is taken, any free one."""
        for port in (self._settings.rpc_port, 0):
            try:
                self.rpc_port = await self._listen(
                    self._handle_rpc, "127.0.0.1", port, body_bytes_max=None
                )
            except OSError as error:
                if error.errno != errno.EADDRINUSE or port == 0:
                    raise
            else:
                _log.info(
                    "Opened local http RPC endpoint: %s",
                    self.rpc_base_url,
                    extra=fields("listener_opened"),
                )
                return

    async def start(self, sockets: Sequence[socket] = ()) -> None:
        """Open the public listener.

        Args:
            sockets: bound already, and shared with other processes; in place of address and port.

        Raises:
            PreconditionError: the port is taken.
            ConfigError: the address is not one of this machine's.
        """
        try:
            self.port = await self._listen(
                self._handle,
                self._settings.address,
                self._settings.port,
                body_bytes_max=self._settings.max_body_bytes,
                sockets=sockets,
            )
            self._public = self._runners[-1]
        except OSError as error:
            raise cannot_listen(self._settings, error) from error

    def listening(self) -> tuple[socket, ...]:
        """The public listener's sockets once more, for whoever listens when this one has stopped."""
        sites = (site for site in self._public.sites if isinstance(site, Site))
        return tuple(each for site in sites for each in site.duplicates())

    async def stop(self) -> None:
        """Close both listeners; requests in flight get a moment to end."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _listen(
        self,
        handler: Handler,
        address: str,
        port: int,
        *,
        body_bytes_max: int | None,
        sockets: Sequence[socket] = (),
    ) -> int:
        """Open a listener; the port it has.

        Args:
            body_bytes_max: None on the local listener, where the real one has no limit either.
        """
        # aiohttp refuses from its limit on; 0 is none
        limit = 0 if body_bytes_max is None else body_bytes_max + 1
        app = web.Application(client_max_size=limit)
        app.router.add_route("*", "/{tail:(?s:.*)}", handler)
        app.on_response_prepare.append(_tidy_headers)
        options: dict[str, Any] = {
            "access_log": None,
            "lingering_time": LINGER_S,
            "keepalive_timeout": self._settings.idle_timeout.total_seconds(),
            "read_bufsize": READ_AHEAD_BYTES,
        }
        runner = web.AppRunner(
            app, shutdown_timeout=SHUTDOWN_S, handler_cancellation=False, **options
        )
        await runner.setup()
        factory = connections_of(runner, head_timeout=self._settings.head_timeout, options=options)
        try:
            if sockets:
                await listen_together(runner, factory, sockets)
            else:
                await Site(runner, factory, (address, port), backlog=BACKLOG).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    # --- requests ---------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        preflight = self._preflight(request)
        if preflight is not None:
            return preflight
        response = await _answered(self._answer(request))
        response.headers.update(self._cors_headers(request))
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        path = _raw_path(request)
        lowered = path.lower()
        for prefix in (WEBHOOKS, ADMIN):
            if lowered == prefix.lower() or lowered.startswith(f"{prefix.lower()}/"):
                if request.method not in _WEBHOOK_METHODS:
                    return web.Response(status=404)
                refused = await self._barred(request, Level.SYSTEM)
                if refused is not None:
                    return refused
                return await self._manage(request, path[len(prefix) :], prefix)
        if lowered.startswith(EXTENSIONS):
            # No key is an unknown extension's own; who may see everything sees that it is not there.
            refused = await self._refusal(request, Level.ADMIN)
            return web.Response(status=404) if refused is None else refused
        if lowered.startswith("/admin/"):
            level = Level.ANONYMOUS if lowered == PING else Level.ADMIN
            refused = await self._refusal(request, level)
            if refused is not None:
                return refused
            body = Body(await self._read(request))
            admin = _api_request(request, body, path[len("/admin/") :], "", is_rpc=False)
            return _response(await self._admin.handle(admin))
        found = self._functions.table.find(request.method, path)
        if found is not None:
            trigger = found[0].function
            level = level_of(trigger.spec.trigger.text("authLevel"))
            refused = await self._barred(request, level, trigger.name)
            return await self._call(request, *found) if refused is None else refused
        if path in ("", "/") and request.method == "GET":
            return self._home()
        return web.Response(status=404)

    async def _refusal(
        self, request: web.Request, level: Level, function: str = ""
    ) -> web.Response | None:
        if self._gate is None:
            return None
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = Query(_raw_query(request))
        status = await self._gate.refusal(level, headers, query, function=function)
        return None if status is None else web.Response(status=status)

    async def _barred(
        self, request: web.Request, level: Level, function: str = ""
    ) -> web.Response | None:
        """Refuse who has no key; hold the others until the host is ready.

        Raises:
            NotReadyError: that takes too long.
        """
        refused = await self._refusal(request, level, function)
        if refused is None:
            await self._readiness.reached()
        return refused

    def _home(self) -> web.Response:
        if not self._settings.has_home_page:
            return web.Response(status=204)
        return web.Response(text=HOME, content_type="text/html")

    async def _handle_rpc(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the local listener, which cuts off its base path by length and compares nothing.

        A request that names another host is taken for one to the webhook, whose base path is longer.
        """
        path = _raw_path(request)
        base = len(RPC) + 1 if self._is_own_rpc(request) else len(WEBHOOKS) + 1
        if len(path) < base and path.lower() != WEBHOOKS:
            return _kestrel(_response(too_short()))
        work = self._manage(request, path[base:], WEBHOOKS, is_rpc=True)
        return _kestrel(await _answered(work))

    def _is_own_rpc(self, request: web.Request) -> bool:
        host, _, port = request.host.rpartition(":")
        return host in _LOOPBACK_NAMES and port == str(self.rpc_port)

    async def _read(self, request: web.Request) -> bytes:
        """The body.

        Raises:
            RefusedBodyError: it is too large, or does not come in time.
        """
        _check_declared(request)
        try:
            async with asyncio.timeout(self._settings.body_timeout.total_seconds()):
                return await _collected(request)
        except TimeoutError as error:
            raise RefusedBodyError(
                408, "The body did not come in time; send it faster, or in parts"
            ) from error

    async def _received(self, request: web.Request, intake: Intake) -> Body:
        """The body, as soon as there is room for it; to be dropped.

        Raises:
            RefusedBodyError: it is too large, or does not come in time.
        """
        _check_declared(request)
        size = intake.size_of(request.content_length if request.can_read_body else 0)
        await intake.take(size)
        try:
            content = await self._read(request)
        except BaseException:
            intake.give_back(size)
            raise
        more = max(0, intake.size_of(len(content)) - size)
        if more:
            intake.hold(more)
        return Body(content, partial(intake.give_back, size + more))

    async def _manage(
        self, request: web.Request, rest: str, prefix: str, *, is_rpc: bool = False
    ) -> web.Response:
        body = await self._received(request, self._rpc_bodies if is_rpc else self.public_bodies)
        try:
            api = _api_request(request, body, rest, prefix, is_rpc=is_rpc)
            if api.method == "GET" and api.path == openapi.FILE:
                return _response(answer(200, openapi.document(self._version(), prefix)))
            return _response(await self._management.handle(api))
        finally:
            body.drop()

    async def _call(
        self, request: web.Request, route: HttpRoute, route_params: Mapping[str, str]
    ) -> web.Response:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        query: dict[str, str] = {}
        for name, value in parse_qsl(_raw_query(request), keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        body = await self._received(request, self.public_bodies)
        try:
            value = await self._functions.call(
                route,
                method=request.method,
                url=_url(request),
                headers=headers,
                query=query,
                route_params=route_params,
                body=body.content,
            )
        except InvalidRequestError as refused:
            return web.Response(status=400, text=str(refused))
        finally:
            body.drop()
        if value is None:
            return web.Response(status=500)
        response = web.Response(status=value.status, body=value.body)
        for name, text in {**value.headers, **self._settings.custom_headers}.items():
            response.headers[_KNOWN_HEADERS.get(name.lower(), name)] = text
        for cookie in value.cookies:
            response.headers.add("Set-Cookie", cookie)
        return response

    # --- CORS -------------------------------------------------------------------------------------------------

    def _cors_headers(self, request: web.Request) -> dict[str, str]:
        origin = request.headers.get("Origin")
        allowed = self._settings.cors_origins
        if not origin or not allowed or ("*" not in allowed and origin not in allowed):
            return {}
        headers = {"Access-Control-Allow-Origin": "*" if "*" in allowed else origin}
        if self._settings.cors_credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
            headers["Access-Control-Allow-Origin"] = origin
        return headers

    def _preflight(self, request: web.Request) -> web.Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        headers = self._cors_headers(request)
        if not headers:
            return None
        headers["Access-Control-Allow-Methods"] = request.headers["Access-Control-Request-Method"]
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted:
            headers["Access-Control-Allow-Headers"] = wanted
        return web.Response(status=204, headers=headers)


def _raw_path(request: web.Request) -> str:
    return request.raw_path.partition("?")[0]


def _raw_query(request: web.Request) -> str:
    return request.raw_path.partition("?")[2]


def _origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _url(request: web.Request) -> str:
    return f"{_origin(request)}{request.raw_path}"


def _check_declared(request: web.Request) -> None:
    """Refuse a body that says itself that it is too large."""
    declared, limit = request.content_length, request.client_max_size
    if limit and declared is not None and declared >= limit:
        raise RefusedBodyError(413, _too_large(limit))


async def _collected(request: web.Request) -> bytes:
    """The body. The request's own read() keeps what it has read for as long as there is the request.

    Raises:
        RefusedBodyError: it is too large.
    """
    limit, content = request.client_max_size, bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if limit and len(content) >= limit:
            raise RefusedBodyError(413, _too_large(limit))
    return bytes(content)


def _api_request(
    request: web.Request, body: Body, rest: str, prefix: str, *, is_rpc: bool
) -> ApiRequest:
    return ApiRequest(
        method=request.method,
        path=decode_path(rest),
        query=Query(_raw_query(request)),
        headers={name.lower(): value for name, value in request.headers.items()},
        content=body,
        url=_url(request),
        origin=_origin(request),
        prefix=prefix,
        is_rpc=is_rpc,
    )


def decode_path(raw: str) -> str:
    """What follows a prefix: dots resolved, decoded once (+ is a blank), no slashes at either end."""
    kept: list[str] = []
    for segment in raw.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    text = "/".join(kept).replace("+", " ")
    return unquote_to_bytes(text).decode("utf-8", "replace").strip("/")


async def _tidy_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Name no server but the one that the real listener names, and no type for what is not there."""
    if response.headers.get("Server") != KESTREL:
        response.headers.pop("Server", None)
        if request.method == "HEAD":
            response.headers.setdefault("Content-Length", "0")
    if response.content_length == 0 and response.content_type == "application/octet-stream":
        response.headers.pop("Content-Type", None)


def _kestrel(response: web.Response) -> web.Response:
    """An answer of the local listener: it names its server and sends bodies in chunks."""
    response.headers["Server"] = KESTREL
    if response.body:
        response.enable_chunked_encoding()
    return response


def _response(answer: ApiResponse) -> web.Response:
    headers = dict(answer.headers)
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    headers["Content-Type"] = answer.content_type or ""
    body = _encoded(answer.body)
    return web.Response(
        status=answer.status,
        body=body if answer.rest is None else _in_parts(body, answer.rest),
        headers=headers,
    )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


async def _in_parts(first: bytes, rest: AsyncIterable[str]) -> AsyncIterator[bytes]:
    """A body in parts; one that fails ends the connection, since its status has been sent."""
    yield first
    try:
        async for part in rest:
            yield _encoded(part)
    except Exception as error:
        _log.warning("an answer was ended in the middle: %s", error, extra=fields("request_failed"))
        raise ConnectionAbortedError from error
