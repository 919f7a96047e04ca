"""The app's HTTP functions: which one a request is for, and its answer.

Functions are tried in the order of their names; the first whose template and method match is called. Source:
reference functions-host.md 3.2 to 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from emulator.core.parity import Deviation
from emulator.errors import AppError, ConfigError
from emulator.host.binding_api import InvocationResult, TriggerKind
from emulator.host.function_app import FunctionApp, FunctionFailure, LoadedFunction
from emulator.http.deviations import Deviations
from emulator.http.routes import Template, compile_template, decode_segments
from emulator.log import fields, get_logger

_log = get_logger(__name__)
_RESERVED: Final = ("admin", "runtime")
REASON: Final = "This function was programmatically called via the host APIs."


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """One HTTP function and where it answers. No methods means all."""

    function: LoadedFunction
    template: Template
    methods: frozenset[str]
    """In capitals."""
    declared_methods: frozenset[str]
    """As they are written."""

    @property
    def path(self) -> str:
        """The template behind the prefix, as text."""
        return self.template.text


class InvokerLike(Protocol):
    """Runs a function once."""

    async def invoke(
        self, function: LoadedFunction, trigger_value: object, *, reason: str = ...
    ) -> InvocationResult:
        """Run it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """All routes of an app, in the order in which they are tried, and the functions that have none."""

    routes: tuple[HttpRoute, ...]
    failures: tuple[FunctionFailure, ...]
    deviations: tuple[Deviation, ...] = ()
    """What works here and not on Azure."""

    def find(self, method: str, path: str) -> tuple[HttpRoute, dict[str, str]] | None:
        """The function for a request, with its route parameters; None if there is none.

        Args:
            path: raw path without its query, percent-encoded.
        """
        decoded = decode_segments(path)
        for route in self.routes:
            if route.methods and method not in route.methods:
                continue
            values = route.template.match(decoded)
            if values is not None:
                return route, values
        return None


def build_routes(app: FunctionApp, prefix: str) -> RouteTable:
    """Compile the routes of an app's HTTP functions; a bad route puts its function aside."""
    routes: list[HttpRoute] = []
    failures: list[FunctionFailure] = []
    for function in app.of_kind(TriggerKind.HTTP):
        try:
            route = _route(function, prefix)
            _check_conflicts(route, routes)
            routes.append(route)
        except ConfigError as error:
            message = f"The '{function.name}' function is in error: {error}"
            failures.append(
                FunctionFailure(name=function.name, message=message, spec=function.spec)
            )
    deviations = tuple(
        Deviation.leading_slash(route.function.name, prefix)
        for route in routes
        if _has_slash(route, prefix)
    )
    return RouteTable(routes=tuple(routes), failures=tuple(failures), deviations=deviations)


def _has_slash(route: HttpRoute, prefix: str) -> bool:
    return bool(prefix) and (route.function.spec.trigger.text("route") or "").startswith("/")


def _route(function: LoadedFunction, prefix: str) -> HttpRoute:
    trigger = function.spec.trigger
    where = f"function {function.name!r} ({function.spec.place})"
    route = trigger.text("route") or function.name
    if route.strip("/").lower().startswith(_RESERVED):
        raise ConfigError(
            f"{where}: The specified route conflicts with one or more built in routes. Its text {route!r} must not "
            "begin with admin or runtime"
        )
    template = compile_template(f"{prefix}/{route.lstrip('/')}" if prefix else route, where)
    methods = trigger.properties.get("methods")
    names = cast("Sequence[object]", methods) if isinstance(methods, list | tuple) else ()
    declared = frozenset(str(name) for name in names)
    return HttpRoute(
        function=function,
        template=template,
        methods=frozenset(map(str.upper, declared)),
        declared_methods=declared,
    )


def _check_conflicts(route: HttpRoute, others: Sequence[HttpRoute]) -> None:
    """Refuse a route that another has. Methods are compared as they are written, as the host does."""
    mine = route.declared_methods
    for other in others:
        same = other.path.strip("/").lower() == route.path.strip("/").lower()
        theirs = other.declared_methods
        if same and (not mine or not theirs or mine & theirs):
            raise ConfigError(
                f"The route specified conflicts with the route defined by function '{other.function.name}'. Both "
                f"answer {route.path!r} ({route.function.spec.place}); change the route or the methods of one"
            )


class HttpBinding(Protocol):
    """Turns requests into trigger values and results into responses (bindings.http_trigger)."""

    def request_value(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        route_params: Mapping[str, str],
        body: bytes,
    ) -> object:
        """The trigger value of a request."""
        ...

    def response_of(self, returned: object, *, has_return: bool) -> Any:  # noqa: ANN401
        """Status, body, headers and cookies of a response; raises TypeError if it cannot be one."""
        ...


class HttpFunctions:
    """Answers requests with the app's functions."""

    def __init__(
        self,
        table: RouteTable,
        invoker: InvokerLike,
        binding: HttpBinding,
        deviations: Deviations,
    ) -> None:
        """Serve the routes of a table."""
        self._deviations = deviations
        self.table = table
        self._invoker = invoker
        self._binding = binding

    async def call(
        self,
        route: HttpRoute,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        route_params: Mapping[str, str],
        body: bytes,
    ) -> Any:  # noqa: ANN401 - the binding's response value, or None
        """Run the function of a route; None if it failed, which is a 500 without a body.

        Raises:
            InvalidRequestError: the real host would give it no body, and this one is strict.
        """
        if body and "content-length" not in headers:
            name = route.function.name
            deviation = Deviation.body_without_length(name)
            self._deviations.meet(f"{method} {urlsplit(url).path}", deviation, about=name)
        value = self._binding.request_value(
            method=method,
            url=url,
            headers=headers,
            query=query,
            route_params=route_params,
            body=body,
        )
        try:
            result = await self._invoker.invoke(route.function, value, reason=REASON)
        except AppError:
            return None
        try:
            return self._response(route.function, result)
        except (TypeError, ValueError) as error:
            spec = route.function.spec
            _log.error(
                "Function '%s' (%s) gave no HTTP response: %s",
                spec.name,
                spec.script,
                error,
                extra=fields("function_user_error", function=spec.name),
            )
            return None

    def _response(self, function: LoadedFunction, result: InvocationResult) -> Any:  # noqa: ANN401
        http_outputs = [b.name for b in function.spec.outputs if b.kind == "http"]
        if "$return" in http_outputs:
            return self._binding.response_of(result.returned, has_return=True)
        named = next((result.outputs[n] for n in http_outputs if n in result.outputs), None)
        return self._binding.response_of(named, has_return=False)
