"""The management API: which route a request is for, and what errors become.

One handler for both URL schemes and the local RPC listener; the routes themselves are in starts, instances, steering
and entities. Source: reference http-api.md 1.1 and 1.3; where versions differ, the recorded one.
"""

from __future__ import annotations

import logging

from emulator.core.parity import Deviation
from emulator.engine.ports import OrchestrationClient
from emulator.errors import TransientStorageError
from emulator.http.bodies import message_body
from emulator.http.entities import EntityRoutes
from emulator.http.instances import InstanceRoutes
from emulator.http.messages import ApiRequest, ApiResponse, empty
from emulator.http.problems import response_to
from emulator.http.starts import StartRoutes
from emulator.http.steering import SteeringRoutes
from emulator.http.surface import Route, RouteKey, Surface
from emulator.log import fields, get_logger

_log = get_logger(__name__)
ANY_METHOD = "*"


class ManagementApi:
    """The durable routes of one host."""

    def __init__(self, surface: Surface) -> None:
        """Serve the clients of a surface."""
        self._surface = surface
        self._routes: dict[RouteKey, Route] = {
            **StartRoutes(surface).routes(),
            **InstanceRoutes(surface).routes(),
            **SteeringRoutes(surface).routes(),
            **EntityRoutes(surface).routes(),
            (ANY_METHOD, 1, "makeprimary"): _make_primary,
        }

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request; errors become answers too."""
        route = self._find(request)
        if route is None:
            return self._unknown(request)
        try:
            self._look_at_path(request)
            return await route(request, self._surface.client(request), request.segments)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            response = response_to(error)
            if response.status >= 500:
                self._tell(request, error)
            return response

    def _look_at_path(self, request: ApiRequest) -> None:
        """A path that was decoded once has a plus sign only where %2B was."""
        for segment in request.segments:
            if "+" in segment:
                deviation = Deviation.plus_in_path(segment)
                self._surface.deviations.meet(request.line, deviation, about=segment)

    def _tell(self, request: ApiRequest, error: Exception) -> None:
        """Log a failure; that the store cannot be reached is said once, and not for each request that finds it so."""
        is_known = isinstance(error, TransientStorageError) and self._surface.is_store_lost()
        _log.log(
            logging.DEBUG if is_known else logging.WARNING,
            "%s failed: %s",
            request.line,
            error,
            extra=fields("request_failed", path=request.path),
        )

    def _unknown(self, request: ApiRequest) -> ApiResponse:
        text = self._surface.dialect(request).unknown_operation
        segments = request.segments
        if text is None or len(segments) < 2 or segments[0].lower() != "instances":
            return empty(404)
        return ApiResponse(status=400, body=message_body(text))

    def _find(self, request: ApiRequest) -> Route | None:
        """The route of a path: by its first segment, or by the operation on an instance. Literals have no case."""
        segments = request.segments
        if not segments or "" in segments:
            return None
        area = segments[0].lower()
        is_operation = area == "instances" and len(segments) in (3, 4)
        key = segments[2].lower() if is_operation else area
        found = self._routes.get((request.method, len(segments), key))
        return found or self._routes.get((ANY_METHOD, len(segments), key))


async def _make_primary(
    request: ApiRequest, client: OrchestrationClient, segments: list[str]
) -> ApiResponse:
    del request, segments
    await client.make_primary()
    return empty(200)
