"""The management API: start, query, steer and purge instances; read and signal entities.

One handler for both URL schemes and the local RPC listener. Source: reference http-api.md 1 and 4; where versions
differ, the recorded one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, cast

from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.instant import MIN_INSTANT
from emulator.core.json_text import compact
from emulator.core.status import LIVE, TERMINAL, RuntimeStatus
from emulator.engine.ports import ClientProvider, OrchestrationClient
from emulator.errors import InstanceConflictError, InstanceNotFoundError
from emulator.http.bodies import (
    LIVE_CODES,
    entity_object,
    exception_body,
    history_objects,
    message_body,
    status_object,
    stored_value,
)
from emulator.http.messages import ApiRequest, ApiResponse, answer, empty
from emulator.http.problems import invalid_json, response_to
from emulator.http.urls import Links, check_status_headers, forwarded_origin
from emulator.log import fields, get_logger

_log = get_logger(__name__)
PAGE_SIZE: Final = 100
TOKEN_HEADER: Final = "x-ms-continuation-token"
_BAD_INSTANCE: Final = "InstanceId does not match a valid orchestration instance."

Route = Callable[[ApiRequest, "OrchestrationClient", list[str]], Awaitable[ApiResponse]]


class ManagementApi:
    """The durable routes of one host."""

    def __init__(
        self,
        clients: ClientProvider,
        *,
        connection: str,
        code: Callable[[], str | None],
        use_forwarded_host: bool = False,
    ) -> None:
        """Serve the clients that the provider gives.

        Args:
            connection: name of the app's own connection, for links.
            code: gives the system key for links, if keys are enforced.
        """
        self._clients = clients
        self._connection = connection
        self._code = code
        self._use_forwarded_host = use_forwarded_host
        self._routes: dict[tuple[str, int, str], Route] = {
            ("GET", 1, "instances"): self._list,
            ("DELETE", 1, "instances"): self._purge_where,
            ("GET", 2, "instances"): self._status,
            ("DELETE", 2, "instances"): self._purge,
            ("POST", 2, "orchestrators"): self._start,
            ("POST", 3, "orchestrators"): self._start,
            ("POST", 4, "raiseevent"): self._raise_event,
            ("POST", 3, "terminate"): self._terminate,
            ("POST", 3, "suspend"): self._suspend,
            ("POST", 3, "resume"): self._resume,
            ("POST", 3, "rewind"): self._rewind,
            ("POST", 3, "restart"): self._restart,
            ("GET", 1, "entities"): self._list_entities,
            ("GET", 2, "entities"): self._list_entities,
            ("GET", 3, "entities"): self._read_entity,
            ("POST", 1, "entities"): self._signal_entity,
            ("POST", 2, "entities"): self._signal_entity,
            ("POST", 3, "entities"): self._signal_entity,
            ("DELETE", 1, "entities"): self._signal_entity,
            ("DELETE", 2, "entities"): self._signal_entity,
            ("DELETE", 3, "entities"): self._signal_entity,
        }

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request; errors become answers too."""
        segments = request.path.split("/") if request.path else []
        if not segments or "" in segments:
            return empty(404)
        area = segments[0].lower()
        if area == "makeprimary" and len(segments) == 1:
            return empty(200)
        key = area
        if area == "instances" and len(segments) in (3, 4):
            key = segments[2].lower()
        route = self._routes.get((request.method, len(segments), key))
        if route is None:
            return empty(404)
        try:
            hub, connection = request.query.given("taskHub"), request.query.given("connection")
            return await route(request, self._clients.client(hub, connection), segments)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            response = response_to(error)
            if response.status >= 500:
                _log.warning(
                    "%s %s failed: %s",
                    request.method,
                    request.path,
                    error,
                    extra=fields("request_failed", path=request.path),
                )
            return response

    def _links(self, request: ApiRequest, client: OrchestrationClient) -> Links:
        origin = request.origin
        if self._use_forwarded_host:
            origin = forwarded_origin(origin, request.headers)
        return Links(
            origin=origin,
            prefix=request.prefix,
            task_hub=request.query.given("taskHub") or client.task_hub,
            connection=request.query.given("connection") or self._connection,
            code=self._code(),
        )

    # --- start ------------------------------------------------------------------------------------------------

    async def _start(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        text = request.body.decode("utf-8-sig", "replace")
        problem = _json_problem(text)
        if problem is not None:
            return problem
        try:
            instance_id = await client.start(
                segments[1],
                instance_id=segments[2] if len(segments) > 2 else None,
                input=text or None,
                version=request.query.text("version"),
            )
        except InstanceConflictError as error:
            return ApiResponse(status=409, body=message_body(str(error)))
        return await self._check_status(request, client, instance_id)

    async def _check_status(
        self, request: ApiRequest, client: OrchestrationClient, instance_id: str
    ) -> ApiResponse:
        """202 with links, or, in wait mode, the outcome if it comes in time."""
        limit, interval = request.query.seconds("timeout"), request.query.seconds("pollingInterval")
        if limit is not None and interval is not None:
            if interval > limit:
                return ApiResponse(status=400, body=message_body(_interval_text(limit, interval)))
            record = await client.wait(instance_id, limit=limit, interval=interval)
            if record is not None and record.status in TERMINAL:
                return await self._outcome(request, client, record)
        links = self._links(request, client).management(instance_id, rewind=False)
        return answer(202, links, check_status_headers(links))

    async def _outcome(
        self, request: ApiRequest, client: OrchestrationClient, record: InstanceRecord
    ) -> ApiResponse:
        if record.status is RuntimeStatus.COMPLETED:
            return answer(200, stored_value(record.output))
        return answer(200, await self._status_object(request, client, record))

    # --- queries ----------------------------------------------------------------------------------------------

    async def _status(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        record = await client.get(segments[1])
        if record is None:
            return empty(404)
        status = LIVE_CODES[record.status]
        wants_error = request.query.flag("returnInternalServerErrorOnFailure", default=False)
        if record.status is RuntimeStatus.FAILED and wants_error:
            status = 500
        headers = {"Location": request.url, "Retry-After": "5"} if status == 202 else {}
        return answer(status, await self._status_object(request, client, record), headers)

    async def _status_object(
        self, request: ApiRequest, client: OrchestrationClient, record: InstanceRecord
    ) -> dict[str, object]:
        show_input = request.query.flag("showInput", default=True)
        history: list[object] | None = None
        wants_history = request.query.flag("showHistory", default=False)
        if wants_history and record.status is not RuntimeStatus.PENDING:
            history = history_objects(
                await client.history(record.instance_id),
                show_input=show_input,
                show_output=request.query.flag("showHistoryOutput", default=False),
            )
        return status_object(record, show_input=show_input, history=history)

    async def _list(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del segments
        query = request.query
        created_from, created_to = query.instant("createdTimeFrom"), query.instant("createdTimeTo")
        statuses = query.statuses("runtimeStatus")
        if statuses is not None and not statuses:
            return self._page(request, [], None)
        show_input = query.flag("showInput", default=True)
        where = InstanceQuery(
            created_from=None if created_from == MIN_INSTANT else created_from,
            created_to=None if created_to == MIN_INSTANT else created_to,
            statuses=statuses or frozenset(),
            prefix=query.given("instanceIdPrefix"),
            fetch_input=show_input,
        )
        top = query.number("top")
        page = await client.query(
            where,
            top=PAGE_SIZE if top is None else top,
            continuation=request.headers.get(TOKEN_HEADER) or None,
        )
        items = [status_object(record, show_input=True) for record in page.records]
        return self._page(request, items, page.continuation)

    def _page(
        self, request: ApiRequest, items: list[dict[str, object]], token: str | None
    ) -> ApiResponse:
        """A list; the last page has an empty token on the listener and none elsewhere."""
        headers = {TOKEN_HEADER: token or ""} if token or request.is_rpc else {}
        return answer(200, items, headers)

    # --- steering ---------------------------------------------------------------------------------------------

    async def _raise_event(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        record = await client.get(segments[1])
        gone = _not_live(record)
        if gone is not None:
            return gone
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return ApiResponse(
                status=400, body=message_body("Only application/json request content is supported")
            )
        text = request.body.decode("utf-8-sig", "replace").strip()
        try:
            value, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            detail = "Error reading JToken from JsonReader. Path '', line 0, position 0."
            return invalid_json(
                detail if not text else f"Unexpected character encountered: {text[:1]}."
            )
        await client.raise_event(segments[1], segments[3], compact(value))
        return empty(202)

    async def _terminate(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        return await self._steer(request, client, segments, client.terminate)

    async def _suspend(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        return await self._steer(request, client, segments, client.suspend)

    async def _resume(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        return await self._steer(request, client, segments, client.resume)

    async def _steer(
        self,
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
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        try:
            await client.rewind(segments[1], request.query.text("reason"))
        except InstanceNotFoundError:
            text = f'No orchestration with instance ID "${segments[1]}" found.'
            return answer(404, text)
        except InstanceConflictError as error:
            text = (
                f"This orchestration has status {error.status}, but only orchestrations in the "
                '"Failed" state can be rewound.'
            )
            return answer(412, text)
        return empty(202)

    async def _restart(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        new_id = request.query.flag("restartWithNewInstanceId", default=True)
        limit, interval = request.query.seconds("timeout"), request.query.seconds("pollingInterval")
        if limit is not None and interval is not None and interval > limit:
            return _bad_restart(_interval_text(limit, interval))
        try:
            instance_id = await client.restart(segments[1], new_id=new_id)
        except InstanceNotFoundError as error:
            return _bad_restart(f"{error} (Parameter 'instanceId')")
        except InstanceConflictError as error:
            kind = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
            message = "A non-terminal instance with this instance ID already exists."
            return ApiResponse(status=409, body=exception_body(message, str(error), kind))
        return await self._check_status(request, client, instance_id)

    # --- purge ------------------------------------------------------------------------------------------------

    async def _purge(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del request
        instance_id = segments[1]
        if not instance_id.startswith("@"):
            record = await client.get(instance_id)
            if record is None:
                return empty(404)
            if record.status in LIVE:
                text = (
                    "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
                    f"{instance_id} has status {record.status}"
                )
                return answer(412, text)
        deleted = await client.purge(instance_id)
        return answer(200, {"instancesDeleted": int(deleted)})

    async def _purge_where(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del segments
        created_from = request.query.instant("createdTimeFrom")
        if created_from is None:
            return answer(400, "Please provide value for 'createdTimeFrom' parameter.")
        statuses = request.query.statuses("runtimeStatus")
        count = await client.purge_where(
            created_from=created_from,
            created_to=request.query.instant("createdTimeTo"),
            statuses=statuses or frozenset(),
        )
        return answer(200, {"instancesDeleted": count}) if count else empty(404)

    # --- entities ---------------------------------------------------------------------------------------------

    async def _list_entities(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        name = segments[1].lower() if len(segments) > 1 else ""
        query = request.query
        fetch_state = query.flag("fetchState", default=False)
        top = query.number("top")
        where = InstanceQuery(
            created_from=query.instant("lastOperationTimeFrom"),
            created_to=query.instant("lastOperationTimeTo"),
            prefix=f"@{name}@" if name else "@",
            fetch_input=fetch_state,
        )
        page = await client.query(
            where,
            top=PAGE_SIZE if top is None else top,
            continuation=request.headers.get(TOKEN_HEADER) or None,
        )
        items = [
            entity_object(record, _entity_state(record) if fetch_state else None)
            for record in page.records
            if "entityExists" in (record.custom_status or "")
        ]
        return self._page(request, items, page.continuation)

    async def _read_entity(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del request
        key = "" if segments[2] == "$" else segments[2]
        entity = await client.read_entity(segments[1], key)
        return empty(404) if entity is None else answer(200, stored_value(entity.state))

    async def _signal_entity(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        if len(segments) == 1:
            text = "Invalid entity id: entity name must not be a null or empty string. (Parameter 'entityName')"
            return ApiResponse(status=400, body=message_body(text))
        name, key = segments[1], segments[2] if len(segments) > 2 else ""
        refusal = self._entity_refusal(client, name, key)
        if refusal is not None:
            return ApiResponse(status=400, body=message_body(refusal))
        deletes = request.method == "DELETE"
        operation = "delete" if deletes else (request.query.text("op") or "")
        try:
            data = None if deletes else _signal_input(request)
        except ValueError as error:
            text = f"Could not parse JSON content: {error}"
            return ApiResponse(status=400, body=message_body(text))
        await client.signal_entity(name, key, operation, data)
        return empty(202)

    def _entity_refusal(self, client: OrchestrationClient, name: str, key: str) -> str | None:
        known = self._clients.entity_names()
        own = client.task_hub == self._clients.client().task_hub
        if own and name.lower() not in {entity.lower() for entity in known}:
            listed = ", ".join(f"'{entity}'" for entity in known)
            info = (
                f"The following are the known entity functions: {listed}."
                if known
                else "No entity functions are currently registered!"
            )
            return (
                f"The function '{name.lower()}' doesn't exist, is disabled, or is not an entity function. "
                f"Additional info: {info}"
            )
        if any(c in "\\#?" or ord(c) < ord(" ") for c in key):
            return "entityKey (Parameter 'Entity keys must not contain /, \\, #, ?, or control characters.')"
        return None


def _not_live(record: InstanceRecord | None) -> ApiResponse | None:
    if record is None:
        return empty(404)
    return empty(410) if record.status in TERMINAL else None


def _json_problem(text: str) -> ApiResponse | None:
    """Why a start's body is no JSON value; blank is null."""
    if not text.strip():
        return None
    try:
        json.loads(text)
    except ValueError as error:
        return invalid_json(f"{error}")
    return None


def _interval_text(limit: timedelta, interval: timedelta) -> str:
    total, retry = limit.total_seconds(), interval.total_seconds()
    return f"Total timeout {total:g} should be bigger than retry timeout {retry:g}"


def _bad_restart(text: str) -> ApiResponse:
    return ApiResponse(
        status=400, body=exception_body(_BAD_INSTANCE, text, "System.ArgumentException")
    )


def _signal_input(request: ApiRequest) -> str | None:
    """What a signal carries: JSON text, a text as a JSON string, or nothing.

    Raises:
        ValueError: it says that it is JSON and is none.
    """
    if not request.body:
        return None
    text = request.body.decode("utf-8-sig", "replace")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        return compact(text)
    value, _ = json.JSONDecoder().raw_decode(text.strip())
    return compact(value)


def _entity_state(record: InstanceRecord) -> object:
    scheduler = stored_value(record.input)
    if not isinstance(scheduler, dict):
        return None
    state = cast("dict[str, object]", scheduler).get("state")
    return stored_value(state) if isinstance(state, str) else None
