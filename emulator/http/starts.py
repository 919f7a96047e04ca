"""Routes that start instances, and the answers that hand out their links.

Source: reference http-api.md 1.4, 1.12 and 4.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from emulator.core.instance import InstanceRecord
from emulator.core.lenient_json import parse
from emulator.core.status import TERMINAL, RuntimeStatus
from emulator.engine.ports import OrchestrationClient
from emulator.errors import InstanceConflictError, InstanceNotFoundError, InvalidRequestError
from emulator.http.bodies import exception_body, message_body, stored_value
from emulator.http.instances import status_body
from emulator.http.messages import ApiRequest, ApiResponse, answer, read_aside
from emulator.http.surface import Route, RouteKey, Surface
from emulator.http.urls import check_status_headers

_BAD_INSTANCE: Final = "InstanceId does not match a valid orchestration instance."
_EXISTS: Final = "A non-terminal instance with this instance ID already exists."
_EXISTS_TYPE: Final = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"


class StartRoutes:
    """Start and restart."""

    def __init__(self, surface: Surface) -> None:
        """Serve a surface."""
        self._surface = surface

    def routes(self) -> dict[RouteKey, Route]:
        """What this area answers."""
        return {
            ("POST", 2, "orchestrators"): self._start,
            ("POST", 3, "orchestrators"): self._start,
            ("POST", 3, "restart"): self._restart,
        }

    async def _start(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        """Start an instance with the body's text, as it is, as its input; whoever waits for it keeps no body."""
        text = await _json_text(request)
        try:
            instance_id = await client.start(
                segments[1],
                instance_id=segments[2] if len(segments) > 2 else None,
                input=text or None,
                version=request.query.text("version"),
            )
            del text
            request.content.drop()
            return await self.links_or_outcome(request, client, instance_id)
        except InstanceConflictError as error:
            return ApiResponse(status=409, body=message_body(str(error)))
        except InvalidRequestError as error:
            return ApiResponse(status=400, body=message_body(str(error)))

    async def _restart(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        new_id = request.query.flag("restartWithNewInstanceId", default=True)
        try:
            instance_id = await client.restart(segments[1], new_id=new_id)
            return await self.links_or_outcome(request, client, instance_id)
        except InstanceNotFoundError as error:
            return _bad_restart(f"{error} (Parameter 'instanceId')")
        except InvalidRequestError as error:
            return _bad_restart(str(error))
        except InstanceConflictError as error:
            return ApiResponse(status=409, body=exception_body(_EXISTS, str(error), _EXISTS_TYPE))

    async def links_or_outcome(
        self, request: ApiRequest, client: OrchestrationClient, instance_id: str
    ) -> ApiResponse:
        """202 with links, or, if the request waits for it, the outcome.

        Raises:
            InvalidRequestError: it asks for a longer interval than it waits.
        """
        limit, interval = request.query.seconds("timeout"), request.query.seconds("pollingInterval")
        if limit is None or interval is None:
            return self.links(request, client, instance_id)
        return await self.wait(request, client, instance_id, limit=limit, interval=interval)

    async def wait(
        self,
        request: ApiRequest,
        client: OrchestrationClient,
        instance_id: str,
        *,
        limit: timedelta,
        interval: timedelta,
        failure_flag: bool = False,
    ) -> ApiResponse:
        """The outcome of an instance if it ends in time, else links (WaitForCompletionOrCreateCheckStatusResponse).

        Args:
            failure_flag: whether a failed instance is a 500 in today's dialect, too.

        Raises:
            InvalidRequestError: the interval is longer than the limit.
        """
        if interval > limit:
            total, retry = limit.total_seconds(), interval.total_seconds()
            raise InvalidRequestError(
                f"Total timeout {total:g} should be bigger than retry timeout {retry:g}"
            )
        record = await client.wait(instance_id, limit=limit, interval=interval, is_new=True)
        if record is None or record.status not in TERMINAL:
            return self.links(request, client, instance_id, failure_flag=failure_flag)
        return await self._outcome(request, client, record, failure_flag=failure_flag)

    async def _outcome(
        self,
        request: ApiRequest,
        client: OrchestrationClient,
        record: InstanceRecord,
        *,
        failure_flag: bool,
    ) -> ApiResponse:
        if record.status is RuntimeStatus.COMPLETED:
            return answer(200, stored_value(record.output))
        status = 200
        if record.status is RuntimeStatus.FAILED:
            status = 500 if failure_flag else self._surface.dialect(request).failed_status
        body = await status_body(request, client, record, self._surface)
        return answer(status, body)

    def links(
        self,
        request: ApiRequest,
        client: OrchestrationClient,
        instance_id: str,
        *,
        failure_flag: bool = False,
    ) -> ApiResponse:
        """202 with the links of an instance, which need not exist (CreateCheckStatusResponse)."""
        links = self._surface.links(request, client).management(
            instance_id,
            rewind=self._surface.dialect(request).links_rewind,
            failure_flag=failure_flag,
        )
        return answer(202, links, check_status_headers(links))


async def _json_text(request: ApiRequest) -> str:
    """The body's text.

    Raises:
        LenientJsonError: it is neither JSON nor blank.
    """
    text = request.text
    if text.strip():
        await read_aside(parse, text)
    return text


def _bad_restart(text: str) -> ApiResponse:
    body = exception_body(_BAD_INSTANCE, text, "System.ArgumentException")
    return ApiResponse(status=400, body=body)
