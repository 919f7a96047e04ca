"""What all routes of the management API share: clients, links, and the clock's zone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo

from emulator.core.instant import Instant
from emulator.core.parity import Deviation
from emulator.engine.ports import ClientProvider, OrchestrationClient
from emulator.http.deviations import Deviations
from emulator.http.dialect import OF_2018, TODAY, Dialect
from emulator.http.messages import ApiRequest, ApiResponse
from emulator.http.queries import has_short_year, is_bound
from emulator.http.urls import ADMIN, Links, forwarded_origin

Route = Callable[[ApiRequest, OrchestrationClient, list[str]], Awaitable[ApiResponse]]
"""Answers a request; gets the client that its query names, and the segments of its path."""

RouteKey = tuple[str, int, str]
"""Method, number of segments, and the literal that tells routes apart, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The host as the routes see it.

    Attributes:
        connection: name of the app's own connection, for links.
        code: gives the system key for links, if keys are enforced.
        zone: the host's time zone, for times without one.
        is_store_lost: tells whether the host has said that its store cannot be reached, and not yet that it is back.
        deviations: tells of requests that the real product would answer otherwise.
        is_of_2018: the app binds with the names of 2018, and was written against the API of that time.
    """

    clients: ClientProvider
    connection: str
    code: Callable[[], str | None]
    zone: tzinfo
    is_store_lost: Callable[[], bool]
    deviations: Deviations
    use_forwarded_host: bool = False
    is_of_2018: bool = False

    def dialect(self, request: ApiRequest) -> Dialect:
        """How a request is answered where releases differ."""
        return OF_2018 if self.is_of_2018 and request.prefix == ADMIN else TODAY

    def time(self, request: ApiRequest, name: str) -> Instant | None:
        """A time that a request's query gives; None if it gives none.

        Raises:
            InvalidRequestError: the real product would not take it for one, and the host is strict.
        """
        moment = request.query.instant(name, self.zone)
        text = request.query.text(name) or ""
        if moment is not None and has_short_year(text):
            self.deviations.meet(request.line, Deviation.short_year(name, text), about="")
        return moment

    def bound(self, request: ApiRequest, name: str) -> Instant | None:
        """A bound of a listing; None if there is none. The beginning of time is none, however it is written.

        Raises:
            InvalidRequestError: the real product would not take it for a time, and the host is strict.
        """
        if not is_bound(request.query.instant(name, self.zone)):
            return None
        return self.time(request, name)

    def client(self, request: ApiRequest) -> OrchestrationClient:
        """The client of the hub and connection that a request names, or the app's own.

        Raises:
            ConfigError: the connection has no setting.
            StorageError: no hub can have that name.
        """
        return self.clients.client(
            request.query.given("taskHub"), request.query.given("connection")
        )

    def links(self, request: ApiRequest, client: OrchestrationClient) -> Links:
        """Links for the answer to a request.

        Raises:
            InvalidRequestError: its forwarded headers name no origin.
        """
        origin = request.origin
        if self.use_forwarded_host:
            origin = forwarded_origin(origin, request.headers)
        return Links(
            origin=origin,
            prefix=request.prefix,
            task_hub=request.query.given("taskHub") or client.task_hub,
            connection=request.query.given("connection") or self.connection,
            code=self.code(),
        )
