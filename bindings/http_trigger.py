"""HTTP requests for functions, and what becomes of what they return.

Knows nothing of a server: plain values in, plain values out. Source: reference functions-host.md 3.4, 3.5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Final, cast

from bindings.binding_type import BindingType, Trigger
from bindings.converters import converter, json_members
from emulator.core.json_text import indented
from emulator.host.binding_api import BindingSpec, Services

TEXT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestValue:
    """A request as a function's trigger value. Header names and query values are as received."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route_params: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseValue:
    """A response before a server sends it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cookies: tuple[str, ...] = ()


class ResponseError(TypeError):
    """A function returned what cannot be an HTTP response."""


def decode_http_request(value: object, annotation: object = None) -> Any:  # noqa: ANN401 - azure.functions.HttpRequest
    """The HttpRequest that a function is given; keys with an empty query value are left out, as the worker does."""
    from azure.functions.http import HttpRequest

    request = cast(RequestValue, value)
    return HttpRequest(
        method=request.method,
        url=request.url,
        headers=dict(request.headers),
        params={k: v for k, v in request.query.items() if v},
        route_params=dict(request.route_params),
        body_type="bytes",
        body=request.body,
    )


def response_of(returned: object, *, has_return: bool) -> ResponseValue:
    """The response for what a function returned or set on its http output.

    Raises:
        ResponseError: it is neither a response nor a text.
    """
    if returned is None:
        if has_return:
            raise ResponseError("the function returned None, but it has an http $return binding")
        return ResponseValue(status=204)
    if isinstance(returned, str):
        return _from_text(returned)
    return _from_response(returned)


def _from_text(text: str) -> ResponseValue:
    """A text is looked at as JSON: an object with a body describes a response, other JSON is shown indented."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return _plain(text)
    if isinstance(value, dict):
        members = {k.lower(): v for k, v in cast("dict[str, object]", value).items()}
        if "body" in members:
            return _from_description(members)
    if isinstance(value, dict | list):
        return _plain(indented(cast(object, value)))
    return _plain(_scalar(value))


def _scalar(value: object) -> str:
    if value is None:
        return ""
    return str(value)


def _plain(text: str, status: int = 200) -> ResponseValue:
    return ResponseValue(status=status, body=text.encode(), headers={"Content-Type": TEXT_TYPE})


def _from_description(members: Mapping[str, object]) -> ResponseValue:
    headers = members.get("headers")
    named = (
        {name: str(value) for name, value in cast("dict[str, object]", headers).items()}
        if isinstance(headers, dict)
        else {}
    )
    body = members["body"]
    text = body if isinstance(body, str) else indented(body) if body is not None else ""
    if "content-type" not in {name.lower() for name in named}:
        named["Content-Type"] = TEXT_TYPE
    return ResponseValue(status=_status(members), body=text.encode(), headers=named)


def _status(members: Mapping[str, object]) -> int:
    """`statusCode` or `status`, as number or text; what is no number is passed over, as the host does."""
    for name in ("statuscode", "status"):
        text = str(members.get(name) or "").strip()
        if text.isdecimal():
            return int(text)
    return 200


def _from_response(returned: object) -> ResponseValue:
    try:
        encoded = converter("http").encode(returned, expected_type=None)
    except NotImplementedError as error:
        raise ResponseError(
            f"a function with an http output returned {type(returned).__name__}; return func.HttpResponse or str"
        ) from error
    parts: dict[str, Any] = encoded.value
    cookies: list[SimpleCookie] = parts["cookies"] or []
    return ResponseValue(
        status=int(parts["status_code"].value),
        body=bytes(parts["body"].value),
        headers={name: str(value.value) for name, value in parts["headers"].items()},
        cookies=tuple(c.output(header="").strip() for jar in cookies for c in jar.values()),
    )


# --- rows of the registry -----------------------------------------------------------------------------------------


def _data(spec: BindingSpec, value: object) -> Mapping[str, object]:
    request = cast(RequestValue, value)
    return {
        **json_members(request.body.decode("utf-8", errors="replace")),
        **request.query,
        **request.route_params,
        "Query": dict(request.query),
        "Headers": dict(request.headers),
    }


async def _by_hand(spec: BindingSpec, text: str | None, services: Services) -> object:
    raise ValueError(
        "a function with httpTrigger needs a request; send one to its own address instead of /admin/functions"
    )


def _taken_by_the_caller(spec: BindingSpec, services: Services) -> None:
    """The response is not sent anywhere by the binding: whoever received the request answers it."""


HTTP_TRIGGER: Final = BindingType(
    name="httpTrigger",
    trigger=Trigger(decode=decode_http_request, by_hand=_by_hand, data=_data),
)
HTTP: Final = BindingType(name="http", output=_taken_by_the_caller)
