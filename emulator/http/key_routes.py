"""`/admin/host/.../keys` and `/admin/functions/NAME/keys`: show, make, set and delete keys.

Source: reference functions-host.md 4.6; Azure/azure-functions-host, KeysController.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from emulator.core.json_text import loads
from emulator.errors import InvalidRequestError
from emulator.host.keys import KeyKind
from emulator.http.bodies import message_body
from emulator.http.gate import Keys
from emulator.http.messages import ApiRequest, ApiResponse, answer, empty
from emulator.wire.secret_files import Key

MASTER_PATH: Final = "_master"
_HOST_AREAS: Final = {
    "keys": KeyKind.HOST,
    "functionkeys": KeyKind.HOST,
    "systemkeys": KeyKind.SYSTEM,
}


class KeyFiles(Keys, Protocol):
    """Where keys are kept (host.keys.KeyStore)."""

    async def put(
        self, kind: KeyKind, name: str, value: str | None = None, *, function: str = ""
    ) -> tuple[Key, bool]:
        """Make or change a key; whether it is new."""
        ...

    async def delete(self, kind: KeyKind, name: str, *, function: str = "") -> bool:
        """Delete a key."""
        ...


class KeyRoutes:
    """Answers requests about keys."""

    def __init__(self, keys: KeyFiles) -> None:
        """Use these files."""
        self._keys = keys

    async def of_host(self, request: ApiRequest, area: str, name: str | None) -> ApiResponse:
        """`/admin/host/AREA[/NAME]`; 404 if there is no such area."""
        kind = _HOST_AREAS.get(area.lower())
        if kind is None:
            return empty(404)
        if kind is KeyKind.SYSTEM and (name or "").lower() == MASTER_PATH:
            kind = KeyKind.MASTER
        return await self._handle(request, kind, name, "")

    async def of_function(
        self, request: ApiRequest, function: str, name: str | None
    ) -> ApiResponse:
        """`/admin/functions/FUNCTION/keys[/NAME]` of a function that exists."""
        return await self._handle(request, KeyKind.FUNCTION, name, function)

    async def _handle(
        self, request: ApiRequest, kind: KeyKind, name: str | None, function: str
    ) -> ApiResponse:
        if name is None:
            if request.method != "GET":
                return empty(404)
            keys = await self._all(kind, function)
            shown = [{"name": key.name, "value": key.value} for key in keys]
            return answer(200, {"keys": shown, **_links(request)})
        match request.method:
            case "GET":
                return await self._show(request, kind, name, function)
            case "POST":
                return await self._put(request, kind, name, None, function)
            case "PUT":
                value = _value(request)
                if value is None:
                    text = 'Send {"name": "NAME", "value": "VALUE"}, both texts.'
                    return ApiResponse(status=400, body=message_body(text))
                return await self._put(request, kind, name, value, function)
            case "DELETE":
                return await self._delete(kind, name, function)
            case _:
                return empty(404)

    async def _all(self, kind: KeyKind, function: str) -> tuple[Key, ...]:
        if kind is KeyKind.FUNCTION:
            return await self._keys.function(function)
        host = await self._keys.host()
        match kind:
            case KeyKind.MASTER:
                return (host.master,)
            case KeyKind.HOST:
                return host.function_keys
            case _:
                return host.system_keys

    async def _show(
        self, request: ApiRequest, kind: KeyKind, name: str, function: str
    ) -> ApiResponse:
        keys = await self._all(kind, function)
        wanted = keys[0].name if kind is KeyKind.MASTER else name
        found = next((key for key in keys if key.name.lower() == wanted.lower()), None)
        if found is None:
            return empty(404)
        return answer(200, {"name": name, "value": found.value, **_links(request)})

    async def _put(
        self, request: ApiRequest, kind: KeyKind, name: str, value: str | None, function: str
    ) -> ApiResponse:
        stored = (await self._all(kind, function))[0].name if kind is KeyKind.MASTER else name
        key, is_new = await self._keys.put(kind, stored, value, function=function)
        body = {"name": name, "value": key.value, **_links(request)}
        return answer(201 if is_new else 200, body)

    async def _delete(self, kind: KeyKind, name: str, function: str) -> ApiResponse:
        try:
            deleted = await self._keys.delete(kind, name, function=function)
        except InvalidRequestError as error:
            return ApiResponse(status=400, body=message_body(str(error)))
        return empty(204 if deleted else 404)


def _links(request: ApiRequest) -> dict[str, object]:
    """Where the answer was found; without the query, which may hold a key."""
    return {"links": [{"rel": "self", "href": request.url.partition("?")[0]}]}


def _value(request: ApiRequest) -> str | None:
    try:
        body: object = loads(request.body.decode("utf-8-sig", "replace") or "null")
    except ValueError:
        return None
    value = cast("dict[str, object]", body).get("value") if isinstance(body, dict) else None
    return value if isinstance(value, str) and value else None
