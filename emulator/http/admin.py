"""Endpoints of the host itself: the landing page, readiness, the list of functions, and running one by name.

Source: reference functions-host.md 4.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from emulator.core.json_text import compact, loads
from emulator.host.binding_api import ByHand
from emulator.host.function_app import FunctionApp, FunctionSpec, name_order
from emulator.http.functions import REASON, InvokerLike, RouteTable
from emulator.http.key_routes import KeyRoutes
from emulator.http.messages import ApiRequest, ApiResponse, answer, empty
from emulator.http.readiness import Readiness

HOME: Final = (
    "<!DOCTYPE html><html><head><title>Your Functions 4.0 app is up and running</title></head>"
    "<body><h1>Your Functions 4.0 app is up and running</h1></body></html>"
)


class Background(Protocol):
    """Runs something that nobody waits for, as a child of the host."""

    def __call__(self, work: Any, name: str) -> None:  # noqa: ANN401 - a coroutine
        """Start it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """What a host says of itself: the app's host id, its name as an owner of partitions, and this program's version."""

    host_id: str
    instance_id: str
    version: Callable[[], str]


class AdminApi:
    """`/admin/...`."""

    def __init__(
        self,
        app: FunctionApp,
        table: RouteTable,
        invoker: InvokerLike,
        *,
        readiness: Readiness,
        uptime_ms: Callable[[], int],
        background: Background,
        who: Who,
        keys: KeyRoutes,
    ) -> None:
        """Serve one app."""
        self._app = app
        enabled = (function.spec for function in app.functions)
        self._specs = sorted((*enabled, *app.disabled), key=lambda spec: name_order(spec.name))
        self._disabled = frozenset(spec.name for spec in app.disabled)
        self._routes = {r.function.name: r for r in table.routes}
        self._failures = {f.name.lower(): f.message for f in (*app.failures, *table.failures)}
        self._invoker = invoker
        self._readiness = readiness
        self._uptime_ms = uptime_ms
        self._background = background
        self._who = who
        self._keys = keys

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request below /admin.

        Raises:
            NotReadyError: a function is to be run, and the host is not ready.
        """
        segments = request.path.split("/")
        match (request.method, [segment.lower() for segment in segments]):
            case ("GET" | "POST", ["host", "ping"]):
                return empty(200)
            case ("GET", ["host", "status"]):
                return answer(200, self._status())
            case ("GET", ["functions"]):
                return answer(200, [self._describe(spec, request) for spec in self._specs])
            case ("GET", ["functions", name]):
                spec = next((s for s in self._specs if s.name.lower() == name), None)
                return answer(200, self._describe(spec, request)) if spec else empty(404)
            case ("GET", ["functions", name, "status"]):
                return self._function_status(name)
            case ("POST", ["functions", _]):
                return await self._run(segments[1], request)
            case _:
                return await self._handle_keys(request, segments)

    async def _handle_keys(self, request: ApiRequest, segments: list[str]) -> ApiResponse:
        match segments[0].lower(), segments[1:]:
            case "host", [area, *rest] if len(rest) < 2:
                return await self._keys.of_host(request, area, rest[0] if rest else None)
            case "functions", [function, area, *rest] if area.lower() == "keys" and len(rest) < 2:
                found = self._app.find(function)
                if found is None:
                    return empty(404)
                name = rest[0] if rest else None
                return await self._keys.of_function(request, found.name, name)
            case _:
                return empty(404)

    def _status(self) -> dict[str, object]:
        return {
            "id": self._who.host_id,
            "state": "Running" if self._readiness.is_ready else "Starting",
            "version": self._who.version(),
            "versionDetails": self._who.version(),
            "platformVersion": "",
            "instanceId": self._who.instance_id,
            "processUptime": self._uptime_ms(),
            "functionAppContentEditingState": "NotAllowed",
        }

    def _function_status(self, name: str) -> ApiResponse:
        if name in self._failures:
            return answer(200, {"errors": [self._failures[name]]})
        known = any(spec.name.lower() == name for spec in self._specs)
        return answer(200, {}) if known else empty(404)

    def _describe(self, spec: FunctionSpec, request: ApiRequest) -> dict[str, object]:
        route = self._routes.get(spec.name)
        bindings = [dict(b.properties) for b in spec.bindings]
        return {
            "name": spec.name,
            "script_root_path_href": None,
            "script_href": None,
            "config_href": None,
            "test_data_href": None,
            "href": f"{request.origin}/admin/functions/{spec.name}",
            "invoke_url_template": f"{request.origin}/{route.path}".lower() if route else None,
            "language": "python",
            "config": {
                "name": spec.name,
                "entryPoint": spec.entry_point,
                "scriptFile": spec.script.name,
                "language": "python",
                "functionDirectory": str(spec.directory),
                "bindings": bindings,
            },
            "files": None,
            "test_data": None,
            "isDisabled": spec.name in self._disabled,
            "isDirect": False,
            "isProxy": False,
        }

    async def _run(self, name: str, request: ApiRequest) -> ApiResponse:
        """Run a function in the background with a given input, which is always text."""
        function = self._app.find(name)
        if function is None:
            return empty(404)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return empty(415)
        try:
            body: object = loads(request.body.decode("utf-8-sig", "replace") or "null")
        except ValueError:
            return empty(400)
        if not isinstance(body, dict):
            return empty(400)
        await self._readiness.reached()
        value = cast("dict[str, object]", body).get("input")
        text = value if isinstance(value, str) or value is None else compact(value)
        work = self._invoker.invoke(function, ByHand(text), reason=REASON)
        self._background(work, f"admin call of {name}")
        return empty(202)
