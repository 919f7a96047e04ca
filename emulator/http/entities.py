"""Routes of entities: read, signal, delete, list. Source: reference http-api.md 1.13."""

from __future__ import annotations

from typing import Final, cast

from emulator.core.entity_messages import is_entity_id, unknown_entity_text
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.json_text import compact
from emulator.core.lenient_json import LenientJsonError
from emulator.engine.ports import OrchestrationClient
from emulator.errors import InvalidRequestError
from emulator.http.bodies import entity_object, first_value, message_body, stored_value
from emulator.http.dialect import TODAY
from emulator.http.instances import page_of, page_size, token_of
from emulator.http.messages import ApiRequest, ApiResponse, answer, empty, read_aside
from emulator.http.surface import Route, RouteKey, Surface

_EMPTY_KEY: Final = "$"
"""How the empty key is written where a segment must not be empty; only when reading."""
_KEY_FORBIDDEN: Final = frozenset("\\#?")


class EntityRoutes:
    """Entities by name and key."""

    def __init__(self, surface: Surface) -> None:
        """Serve a surface."""
        self._surface = surface

    def routes(self) -> dict[RouteKey, Route]:
        """What this area answers."""
        return {
            ("GET", 1, "entities"): self._list,
            ("GET", 2, "entities"): self._list,
            ("GET", 3, "entities"): self._read,
            **{
                (method, count, "entities"): self._signal
                for method in ("POST", "DELETE")
                for count in (1, 2, 3)
            },
        }

    async def _list(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        """Entities that exist; a page may hold fewer than asked for, or none."""
        query, surface = request.query, self._surface
        name = segments[1].lower() if len(segments) > 1 else ""
        fetch_state = query.flag("fetchState", default=False)
        where = InstanceQuery(
            created_from=surface.bound(request, "lastOperationTimeFrom"),
            created_to=surface.bound(request, "lastOperationTimeTo"),
            prefix=f"@{name}@" if name else "@",
            fetch_input=fetch_state,
        )
        page = await client.query(
            where, top=page_size(request, TODAY.page_rows), continuation=token_of(request)
        )
        items = [
            entity_object(record, _state(record) if fetch_state else None)
            for record in page.records
            if is_entity_id(record.instance_id) and _exists(record)
        ]
        return page_of(request, items, page.continuation)

    async def _read(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        del request
        key = "" if segments[2] == _EMPTY_KEY else segments[2]
        entity = await client.read_entity(segments[1], key)
        return empty(404) if entity is None else answer(200, stored_value(entity.state))

    async def _signal(
        self, request: ApiRequest, client: OrchestrationClient, segments: list[str]
    ) -> ApiResponse:
        """Send an operation; DELETE sends the operation `delete`."""
        name, key = (*segments[1:], "", "")[:2]
        deletes = request.method == "DELETE"
        try:
            self._check_name(client, name)
            _check_key(key)
            data = None if deletes else await _input_of(request)
        except InvalidRequestError as error:
            return ApiResponse(status=400, body=message_body(str(error)))
        operation = "delete" if deletes else request.query.text("op") or ""
        await client.signal_entity(name, key, operation, data)
        return empty(202)

    def _check_name(self, client: OrchestrationClient, name: str) -> None:
        """An entity of the app's own hub must be one of the app's."""
        if not name:
            raise InvalidRequestError(
                "Invalid entity id: entity name must not be a null or empty string. (Parameter 'entityName')"
            )
        clients = self._surface.clients
        known = clients.entity_names()
        is_own = client.task_hub == clients.client().task_hub
        if not is_own or name.lower() in {entity.lower() for entity in known}:
            return
        raise InvalidRequestError(unknown_entity_text(name, known))


def _check_key(key: str) -> None:
    if any(c in _KEY_FORBIDDEN or ord(c) < ord(" ") for c in key):
        raise InvalidRequestError(
            "entityKey (Parameter 'Entity keys must not contain /, \\, #, ?, or control characters.')"
        )


async def _input_of(request: ApiRequest) -> str | None:
    """What a signal carries: a JSON value written anew, any other text as a JSON string, or nothing."""
    if not request.body:
        return None
    if not request.is_json:
        return compact(request.text)
    try:
        return await read_aside(first_value, request.text)
    except LenientJsonError as error:
        raise InvalidRequestError(f"Could not parse JSON content: {error}") from error


def _exists(record: InstanceRecord) -> bool:
    return _member(record.custom_status, "entityExists") is True


def _state(record: InstanceRecord) -> object:
    state = _member(record.input, "state")
    return stored_value(state) if isinstance(state, str) else None


def _member(text: str | None, name: str) -> object:
    value = stored_value(text)
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
