"""call_http: the request as it is stored, and the polling that an answer of 202 begins.

Members and their order are those of the real extension's DurableHttpRequest. Source: reference
out-of-process-protocol.md 2.5, 3.9; extension: DurableHttpRequest.cs, HttpRetryOptions.cs,
DurableOrchestrationContext.cs (CallHttpAsync); recordings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from emulator.core.actions import CallHttp, RetryOptions
from emulator.core.instant import Instant
from emulator.core.json_text import compact, loads

HTTP_ACTIVITY: Final = "BuiltIn::HttpActivity"
"""The activity that the host itself runs."""

_NAMESPACE: Final = "Microsoft.Azure.WebJobs.Extensions.DurableTask"
_REQUEST_TYPE: Final = f"{_NAMESPACE}.DurableHttpRequest, {_NAMESPACE}"
_RETRY_TYPE: Final = f"{_NAMESPACE}.HttpRetryOptions, {_NAMESPACE}"
_TOKEN_KIND: Final = "AzureManagedIdentity"
_SCOPED: Final = frozenset({"https://management.core.windows.net", "https://graph.microsoft.com"})
"""Resources to which the real token source appends `/.default`."""
_RETRY_MAX: Final = "6.00:00:00"
_FOR_EVER: Final = "10675199.02:48:05.4775807"
_ACCEPTED: Final = 202
_SPAN: Final = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?|(\d+)")

Json = Mapping[str, object]


class HttpRequestError(ValueError):
    """The request is not one that the real host takes; the text is what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What follows an answer of 202: a timer, and after it the next request."""

    fire_at: Instant
    call: CallHttp


def call_of(request: Json) -> CallHttp:
    """The action for a request as the SDK sends it.

    Raises:
        HttpRequestError: its token source or its retry options are not usable.
    """
    retry = request.get("retryOptions")
    options = _lowered(cast(Json, retry)) if isinstance(retry, dict) else None
    members = {
        "$type": _REQUEST_TYPE,
        "method": request.get("method") or "GET",
        "uri": request.get("uri"),
        "headers": _headers(request.get("headers")),
        "content": request.get("content"),
        "tokenSource": _token_source(request.get("tokenSource")),
        "asynchronousPatternEnabled": bool(request.get("asynchronousPatternEnabled", False)),
        "retryOptions": None if options is None else _retry_members(options),
        "timeout": _span_text(request.get("timeout")),
    }
    return CallHttp(
        request=compact([members]),
        polls=bool(members["asynchronousPatternEnabled"]),
        retry=None if options is None else _retry_options(options),
    )


def poll_after(
    call: CallHttp, result: str | None, *, now: Instant, default_sleep: timedelta
) -> Poll | None:
    """What to do about an answer; None if it is final.

    An answer of 202 from which no next request can be made (no absolute Location, no whole number of seconds to
    wait) is final too: the real host's task fails there, and nobody looks at it.
    """
    answer = _object(result)
    if not call.polls or answer.get("statusCode") != _ACCEPTED:
        return None
    headers = _lowered(cast(Json, answer.get("headers") or {}))
    location, wait = headers.get("location"), headers.get("retry-after")
    if not isinstance(location, str) or "://" not in location:
        return None
    if wait is not None and not re.fullmatch(r"\s*-?\d+\s*", str(wait)):
        return None
    delay = default_sleep if wait is None else timedelta(seconds=int(str(wait)))
    return Poll(fire_at=now.plus(delay), call=_poll_call(call, location))


def _poll_call(call: CallHttp, location: str) -> CallHttp:
    """A GET of the new address with everything else but content, function key and retries."""
    members = dict(cast("list[Json]", loads(call.request))[0])
    headers = cast(Json, members["headers"])
    members |= {
        "method": "GET",
        "uri": location,
        "headers": {k: v for k, v in headers.items() if k.lower() != "x-functions-key"},
        "content": None,
        "retryOptions": None,
    }
    return CallHttp(request=compact([members]), polls=True)


def _object(text: str | None) -> Json:
    try:
        value = loads(text or "null")
    except ValueError:
        return {}
    return cast(Json, value) if isinstance(value, dict) else {}


def _lowered(members: Json) -> dict[str, object]:
    return {name.lower(): value for name, value in members.items()}


def _headers(value: object) -> dict[str, object]:
    """One value as text, several as a list; what is neither text nor list has no value at all, as there."""
    if not isinstance(value, dict):
        return {}
    return {name: _header(item) for name, item in cast("dict[str, object]", value).items()}


def _header(value: object) -> object:
    if isinstance(value, str):
        return value
    values = [str(item) for item in cast("list[object]", value)] if isinstance(value, list) else []
    return values[0] if len(values) == 1 else values


def _token_source(value: object) -> dict[str, object] | None:
    if not isinstance(value, dict):
        return None
    source = cast(Json, value)
    if source.get("kind") != _TOKEN_KIND:
        raise HttpRequestError(
            f"The token source kind '{compact(source.get('kind'))}' is not supported."
        )
    resource = str(source.get("resource") or "")
    if resource.rstrip("/") in _SCOPED:
        resource = f"{resource.rstrip('/')}/.default"
    members: dict[str, object] = {"kind": _TOKEN_KIND, "resource": resource}
    if source.get("options") is not None:
        members["options"] = source["options"]
    return members


# --- retries and time spans ---------------------------------------------------------------------------------------


def _retry_members(options: Json) -> dict[str, object]:
    return {
        "$type": _RETRY_TYPE,
        "FirstRetryInterval": _span_text(options.get("firstretryinterval")) or "00:00:00",
        "MaxRetryInterval": _span_text(options.get("maxretryinterval")) or _RETRY_MAX,
        "BackoffCoefficient": float(cast(float, options.get("backoffcoefficient") or 1)),
        "RetryTimeout": _span_text(options.get("retrytimeout")) or _FOR_EVER,
        "MaxNumberOfAttempts": options.get("maxnumberofattempts") or 0,
        "StatusCodesToRetry": options.get("statuscodestoretry") or [],
    }


def _retry_options(options: Json) -> RetryOptions:
    first = read_span(options.get("firstretryinterval")) or timedelta(0)
    if first <= timedelta(0):
        raise HttpRequestError(
            "Invalid interval.  Specify a TimeSpan value greater then TimeSpan.Zero. "
            "(Parameter 'firstRetryInterval')"
        )
    return RetryOptions(
        first_interval=first,
        max_attempts=int(cast(int, options.get("maxnumberofattempts") or 0)),
        backoff_coefficient=float(cast(float, options.get("backoffcoefficient") or 1)),
        max_interval=read_span(options.get("maxretryinterval")) or timedelta(days=6),
        timeout=read_span(options.get("retrytimeout")),
    )


def _span_text(value: object) -> str | None:
    span = read_span(value)
    if span is None:
        return None
    seconds, microseconds = divmod(span // timedelta(microseconds=1), 1_000_000)
    days, rest = divmod(seconds, 24 * 3600)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    fraction = f".{microseconds:06d}0" if microseconds else ""
    return f"{f'{days}.' if days else ''}{clock}{fraction}"


def read_span(value: object) -> timedelta | None:
    """A .NET TimeSpan in JSON: `[d.]hh:mm:ss[.fffffff]`, or whole days.

    Raises:
        HttpRequestError: it is none.
    """
    if value is None:
        return None
    match = _SPAN.fullmatch(str(value).strip())
    if match is None:
        raise HttpRequestError(f"Could not convert string to TimeSpan: {value}.")
    days, hours, minutes, seconds, fraction, whole = match.groups()
    try:
        return timedelta(
            days=int(days or whole or 0),
            hours=int(hours or 0),
            minutes=int(minutes or 0),
            seconds=int(seconds or 0),
            microseconds=int((fraction or "0").ljust(7, "0")) // 10,
        )
    except OverflowError as error:
        raise HttpRequestError(f"Could not convert string to TimeSpan: {value}.") from error
