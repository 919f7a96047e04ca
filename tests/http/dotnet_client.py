"""The recorded calls of the .NET client, made with the functions that the management API makes its answers of.

A function of the recorded app called the client with its own request; no Python app can. Source: README of the
recordings, file `payloads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from urllib.parse import urlsplit

from emulator.compose import Host
from emulator.errors import InstanceConflictError, InvalidRequestError
from emulator.http.deviations import Deviations
from emulator.http.intake import Body
from emulator.http.messages import ApiRequest, ApiResponse, answer
from emulator.http.queries import Query
from emulator.http.starts import StartRoutes
from emulator.http.surface import Surface
from emulator.http.urls import WEBHOOKS
from tests.support.raw_http import RawResponse

THREW = 599
"""Status that the recording front gave for an exception of the client."""


class DotnetClient:
    """CreateCheckStatusResponse, CreateHttpManagementPayload, WaitForCompletion..., StartNewAsync."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._surface = Surface(
            clients=_OwnClient(host),
            connection="Storage",
            code=lambda: None,
            zone=UTC,
            is_store_lost=lambda: False,
            deviations=Deviations(is_strict=False),
            use_forwarded_host=host.settings.http.use_forwarded_host,
        )
        self._routes = StartRoutes(self._surface)

    async def call(self, path: str, headers: Mapping[str, str]) -> RawResponse | None:
        """The answer to a recorded `GET /api/...`; None if another function is meant."""
        parts = urlsplit(path)
        request = _request(path, headers)
        try:
            match parts.path:
                case "/api/checkstatus":
                    return _raw(self._check_status(request))
                case "/api/payload":
                    return _raw(answer(200, self._payload(request)))
                case "/api/wait":
                    return _raw(await self._wait(request))
                case "/api/start":
                    return _raw(await self._start(request))
                case _:
                    return None
        except InvalidRequestError as error:
            return _threw(f"System.ArgumentException: {error}")
        except InstanceConflictError as error:
            name = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
            return _threw(f"{name}: {error}")

    def _check_status(self, request: ApiRequest) -> ApiResponse:
        flag = request.query.text("flag") is not None
        return self._routes.links(request, self._host.client, _id(request), failure_flag=flag)

    def _payload(self, request: ApiRequest) -> dict[str, str]:
        return self._host.links.management(_id(request))

    async def _wait(self, request: ApiRequest) -> ApiResponse:
        return await self._routes.wait(
            request,
            self._host.client,
            _id(request),
            limit=request.query.seconds("timeout") or timedelta(seconds=10),
            interval=request.query.seconds("retry") or timedelta(seconds=1),
            failure_flag=request.query.text("flag") is not None,
        )

    async def _start(self, request: ApiRequest) -> ApiResponse:
        started = await self._host.client.start(
            request.query.text("name") or "",
            instance_id=_id(request),
            input=request.query.text("input"),
        )
        return answer(200, {"id": started})


class _OwnClient:
    """Only the app's own hub (engine.ports.ClientProvider)."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def client(self, task_hub: str | None = None, connection: str | None = None):
        return self._host.client

    def orchestrator_names(self) -> tuple[str, ...]:
        return ()

    def entity_names(self) -> tuple[str, ...]:
        return ()


def _id(request: ApiRequest) -> str:
    return request.query.text("id") or ""


def _request(path: str, headers: Mapping[str, str]) -> ApiRequest:
    origin = f"http://{headers['Host']}"
    return ApiRequest(
        method="GET",
        path=path,
        query=Query(urlsplit(path).query),
        headers={name.lower(): value for name, value in headers.items()},
        content=Body(b""),
        url=f"{origin}{path}",
        origin=origin,
        prefix=WEBHOOKS,
    )


def _raw(response: ApiResponse) -> RawResponse:
    headers = dict(response.headers)
    if response.body is not None:
        headers["Content-Type"] = response.content_type or ""
    body = response.body or ""
    headers["Content-Length"] = str(len(body.encode()))
    return RawResponse(response.status, headers, body)


def _threw(text: str) -> RawResponse:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
    return RawResponse(THREW, headers, text)
