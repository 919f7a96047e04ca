"""How a failed HTTP activity reads: the texts of .NET's HTTP client, and its exceptions as JSON.

The shape of HttpRequestException with a socket's error inside is recorded; the others follow the same serializer.
Source: reference out-of-process-protocol.md 3.9; extension: TaskHttpActivityShim.cs; .NET: HttpRequestException,
SocketException, HttpStatusCode.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Final

from emulator.core.calls import ActivityFailed
from emulator.core.json_text import compact

USER_AGENT: Final = "Microsoft.Azure.WebJobs.Extensions.DurableTask/3.14.1"
NO_MULTIPART: Final = "Multipart content is not supported with CallHttpAsync."
NOT_ABSOLUTE: Final = (
    "An invalid request URI was provided. Either the request URI must be an absolute URI "
    "or BaseAddress must be set."
)
NO_TLS: Final = "The SSL connection could not be established, see inner exception."
NOT_SENT: Final = "An error occurred while sending the request."
ENDED_EARLY: Final = "The response ended prematurely. (ResponseEnded)"

_SHIM: Final = (
    "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.TaskHttpActivityShim.RunAsync"
    "(TaskContext context, String rawInput)"
)
_EXCEPTION: Final = -2146233088
_SOCKET: Final = -2147467259
_TIMEOUT: Final = -2146233083
_IO: Final = -2146232800
_STATUS_NAMES: Final = {
    200: "OK",
    302: "Found",
    413: "RequestEntityTooLarge",
    416: "RequestedRangeNotSatisfiable",
    422: "UnprocessableEntity",
    505: "HttpVersionNotSupported",
}
"""Members of HttpStatusCode that are not spelled as Python's HTTPStatus."""


class RequestFault(IntEnum):
    """.NET's HttpRequestError."""

    UNKNOWN = 0
    NAME_RESOLUTION = 1
    CONNECTION = 2
    SECURE_CONNECTION = 3
    RESPONSE_ENDED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inner:
    json: dict[str, object]
    hresult: int


def unreachable(text: str, address: str, number: int | None, fault: RequestFault) -> ActivityFailed:
    """No connection: the system's text, with host and port."""
    return _request_failed(f"{text} ({address})", fault, inner=_socket_error(text, number))


def refused_certificate(text: str) -> ActivityFailed:
    """TLS could not be agreed upon."""
    name = "System.Security.Authentication.AuthenticationException"
    inner = _Inner(json=_classic(name, "System.Net.Security", text, _EXCEPTION), hresult=_EXCEPTION)
    return _request_failed(NO_TLS, RequestFault.SECURE_CONNECTION, inner=inner)


def broken_off(text: str) -> ActivityFailed:
    """The connection ended before the answer did."""
    inner = _Inner(json=_classic("System.IO.IOException", _CORE, text, _IO), hresult=_IO)
    return _request_failed(NOT_SENT, RequestFault.RESPONSE_ENDED, inner=inner)


def status_to_retry(status: int) -> ActivityFailed:
    """An answer whose status is listed in the request's retry options."""
    text = f"Status code {_status_name(status)} received, retry requested."
    return _request_failed(text, RequestFault.UNKNOWN)


def no_success(status: int, reason: str) -> ActivityFailed:
    """An answer that is no success, where the retry options list no status."""
    shown = f"{status} ({reason})" if reason else str(status)
    text = f"Response status code does not indicate success: {shown}."
    return _request_failed(text, RequestFault.UNKNOWN, status=status)


def too_slow(span: str) -> ActivityFailed:
    """The request's own time limit is over."""
    text = f"The operation was canceled. Reached user specified timeout: {span}."
    details = _classic("System.TimeoutException", _CORE, text, _TIMEOUT)
    return ActivityFailed(reason=text, details=compact(details))


def unhandled(text: str, exception: str) -> ActivityFailed:
    """What the real activity does not catch: its dispatcher answers with the bare text."""
    details = f"Unhandled exception while executing task: {exception}: {text}\n{_SHIM}"
    return ActivityFailed(reason=text, details=details)


_CORE: Final = "System.Private.CoreLib"


def _request_failed(
    text: str, fault: RequestFault, *, inner: _Inner | None = None, status: int | None = None
) -> ActivityFailed:
    details = {
        "$type": "System.Net.Http.HttpRequestException, System.Net.Http",
        "HttpRequestError": int(fault),
        "StatusCode": status,
        "Message": text,
        "Data": {"$type": f"System.Collections.ListDictionaryInternal, {_CORE}"},
        "InnerException": inner.json if inner else None,
        "HelpLink": None,
        "Source": "System.Net.Http",
        "HResult": inner.hresult if inner else _EXCEPTION,
        "StackTrace": _SHIM,
    }
    return ActivityFailed(reason=text, details=compact(details))


def _socket_error(text: str, number: int | None) -> _Inner:
    name = "System.Net.Sockets.SocketException"
    members = _classic(name, "System.Net.Primitives", text, _SOCKET)
    members |= {
        "StackTraceString": _SHIM,
        "Source": "System.Net.Sockets",
        "NativeErrorCode": number,
    }
    return _Inner(json=members, hresult=_SOCKET)


def _classic(name: str, assembly: str, text: str, hresult: int) -> dict[str, object]:
    """An exception that serializes itself."""
    return {
        "$type": f"{name}, {assembly}",
        "ClassName": name,
        "Message": text,
        "Data": None,
        "InnerException": None,
        "HelpURL": None,
        "StackTraceString": None,
        "RemoteStackTraceString": None,
        "RemoteStackIndex": 0,
        "ExceptionMethod": None,
        "HResult": hresult,
        "Source": None,
        "WatsonBuckets": None,
    }


def _status_name(status: int) -> str:
    if status in _STATUS_NAMES:
        return _STATUS_NAMES[status]
    try:
        words = HTTPStatus(status).name.split("_")
    except ValueError:
        return str(status)
    return "".join(word.capitalize() for word in words)
