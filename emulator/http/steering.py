"""Routes that steer running instances: events, terminate, suspend, resume, rewind.

Source: reference http-api.md 1.9 to 1.11.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulator.core.entity_messages import is_entity_id, unreadable
from emulator.core.instance import InstanceRecord
from emulator.core.parity import Deviation
from emulator.core.status import TERMINAL
from emulator.engine.ports import OrchestrationClient
from emulator.errors import InstanceConflictError, InstanceNotFoundError
from emulator.http.bodies import first_value, message_body
from emulator.http.messages import ApiRequest, ApiResponse, answer, empty, read_aside
from emulator.http.surface import Route, RouteKey, Surface


class SteeringRoutes:
    """What is done to an instance that is there."""

    def __init__(self, surface: Surface) -> None:
        """Serve a surface."""
        self._surface = surface

    def routes(self) -> dict[RouteKey, Route]:
        """What this area answers."""
        return {
            ("POST", 4, "raiseevent"): self._raise_event,
            ("POST", 3, "terminate"): _terminate,
            ("POST", 3, "suspend"): _suspend,
            ("POST", 3, "resume"): _resume,
            ("POST", 3, "rewind"): _rewind,
        }

    async def _raise_event(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        """Send an event; its content is the first JSON value of the body, written anew."""
        gone = _not_live(await client.get(segments[1]))
        if gone is not None:
            return gone
        if not request.is_json:
            text = "Only application/json request content is supported"
            return ApiResponse(status=400, body=message_body(text))
        text = request.text
        if not text.strip() and self._surface.dialect(request).takes_empty_events:
            text = "null"
        data = await read_aside(first_value, text)
        problem = unreadable(segments[3], data) if is_entity_id(segments[1]) else None
        if problem is not None:
            deviation = Deviation.entity_message_unreadable(problem)
            self._surface.deviations.refuse_if_strict(request.line, deviation)
        await client.raise_event(segments[1], segments[3], data)
        return empty(202)


async def _terminate(
    request: ApiRequest, client: OrchestrationClient, segments: list[str]
) -> ApiResponse:
    return await _steer(request, client, segments, client.terminate)


async def _suspend(
    request: ApiRequest, client: OrchestrationClient, segments: list[str]
) -> ApiResponse:
    return await _steer(request, client, segments, client.suspend)


async def _resume(
    request: ApiRequest, client: OrchestrationClient, segments: list[str]
) -> ApiResponse:
    return await _steer(request, client, segments, client.resume)


async def _steer(
    request: ApiRequest,
    client: OrchestrationClient,
    segments: list[str],
    operation: Callable[[str, str | None], Awaitable[None]],
) -> ApiResponse:
    gone = _not_live(await client.get(segments[1]))
    if gone is not None:
        return gone
    await operation(segments[1], request.query.text("reason"))
    return empty(202)


async def _rewind(
    request: ApiRequest, client: OrchestrationClient, segments: list[str]
) -> ApiResponse:
    try:
        await client.rewind(segments[1], request.query.text("reason"))
    except InstanceNotFoundError:
        return answer(404, f'No orchestration with instance ID "${segments[1]}" found.')
    except InstanceConflictError as error:
        text = (
            f"This orchestration has status {error.status}, but only orchestrations in the "
            '"Failed" state can be rewound.'
        )
        return answer(412, text)
    return empty(202)


def _not_live(record: InstanceRecord | None) -> ApiResponse | None:
    if record is None:
        return empty(404)
    return empty(410) if record.status in TERMINAL else None
