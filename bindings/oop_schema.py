"""The out-of-process protocol as text: the context an orchestrator is given, and the state it returns.

Pure. Source: reference out-of-process-protocol.md 1.1 to 2.6, and recordings of the real extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from emulator.core.actions import (
    Action,
    CallActivity,
    CallEntity,
    CallHttp,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    LockEntities,
    Refused,
    ReleaseEntities,
    RetryOptions,
    SignalEntity,
    WaitForEvent,
    WhenAll,
    WhenAny,
)
from emulator.core.entity_messages import EntityId
from emulator.core.events import ExecutionStarted, HistoryEvent
from emulator.core.http_call import HttpRequestError, call_of
from emulator.core.instant import Instant
from emulator.core.json_text import compact, indented
from emulator.core.lenient_json import LenientJsonError, parse_first
from emulator.errors import DecodeError, InvariantError
from emulator.wire.event_json import to_members

SCHEMA_MAX: Final = 3
_SLICED_TIMERS_SCHEMA: Final = 2
CUSTOM_STATUS_KB_MAX: Final = 16
"""UTF-16 size of a custom status in KiB, fraction cut (extension: DurableOrchestrationContext.SetCustomStatus)."""

_MARKER: Final = "\n\n$OutOfProcData$:"
_SCHEMA_NAMES: Final = {"Original": 0, "V1": 0, "V2": 1, "V3": 2, "V4": 3}
_ACTION_NAMES: Final = (
    "CallActivity",
    "CallActivityWithRetry",
    "CallSubOrchestrator",
    "CallSubOrchestratorWithRetry",
    "ContinueAsNew",
    "CreateTimer",
    "WaitForExternalEvent",
    "CallEntity",
    "CallHttp",
    "SignalEntity",
    "ScheduledSignalEntity",
    "WhenAny",
    "WhenAll",
    "LockEntities",
    "ReleaseEntities",
)
_NOT_JSON: Final = "The data returned by the out-of-process function execution was not valid json."
_NO_SCHEMA: Final = "Out of proc orchestrators must return a valid JSON schema"
_NO_ACTIONS: Final = (
    "Value cannot be null. "
    "(Parameter 'Out-of-proc orchestrator schema must have a non-null actions property.')"
)
_NULL_REFERENCE: Final = "Object reference not set to an instance of an object."

Json = Mapping[str, object]


class StateError(Exception):
    """The returned state is not acceptable; the text is what the real host says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """Members of the context that come from the host's settings."""

    long_timer_interval: timedelta
    max_short_timer: timedelta
    default_http_sleep: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What an orchestrator returned, with all its actions since the execution began."""

    done: bool
    actions: tuple[Action, ...]
    output: str | None
    error: str | None
    custom_status: str | None


# --- the context --------------------------------------------------------------------------------------------------


def started_event(events: Sequence[HistoryEvent]) -> ExecutionStarted:
    """The ExecutionStarted of a feed.

    Raises:
        InvariantError: there is none.
    """
    for event in events:
        if isinstance(event, ExecutionStarted):
            return event
    raise InvariantError("an orchestrator was to run without an ExecutionStarted event")


def context_members(events: Sequence[HistoryEvent], settings: ContextSettings) -> dict[str, object]:
    """The context as an object, members in their order on the wire."""
    started = started_event(events)
    return {
        "history": [to_members(event) for event in events],
        "input": _input_value(started.input),
        "instanceId": started.instance.instance_id,
        "isReplaying": started.is_played,
        "parentInstanceId": started.parent.instance.instance_id if started.parent else None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": SCHEMA_MAX,
        "longRunningTimerIntervalDuration": _timespan(settings.long_timer_interval),
        "maximumShortTimerDuration": _timespan(settings.max_short_timer),
        "defaultHttpAsyncRequestSleepTimeMillseconds": settings.default_http_sleep
        // timedelta(milliseconds=1),
    }


def context_text(events: Sequence[HistoryEvent], settings: ContextSettings) -> str:
    """The trigger string, to the byte as the real extension writes it."""
    return indented(context_members(events, settings))


def _input_value(text: str | None) -> object:
    if text is None or not text.strip():
        return None
    try:
        return parse_first(text).value
    except LenientJsonError:
        return text


def _timespan(span: timedelta) -> str:
    """A .NET TimeSpan: `[d.]hh:mm:ss`."""
    minutes, seconds = divmod(span // timedelta(seconds=1), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{days}.{clock}" if days else clock


# --- the state ----------------------------------------------------------------------------------------------------


def read_state(returned: object) -> State:
    """Read what an orchestrator returned: a parsed JSON value, or a string.

    Raises:
        StateError: it cannot be accepted.
    """
    if returned is None:
        return State(done=True, actions=(), output=None, error=None, custom_status=None)
    if isinstance(returned, str):
        returned = _read_text(returned)
    if not isinstance(returned, dict):
        raise StateError(_NOT_JSON)
    state = cast(Json, returned)
    schema = _schema(state.get("schemaVersion", 0))
    return State(
        done=bool(state.get("isDone", False)),
        actions=_actions(state.get("actions"), schema),
        output=json_or_none(state.get("output")),
        error=_text(state.get("error")) or None,
        custom_status=json_or_none(state.get("customStatus")),
    )


def read_failure(message: str) -> tuple[str, State | None]:
    """Split an exception's text into what the user raised and, behind the marker, the state at that point."""
    error, marker, rest = message.partition(_MARKER)
    if not marker:
        return message, None
    decoder = json.JSONDecoder()
    try:
        value, _ = decoder.raw_decode(rest)
        return error, read_state(value)
    except (ValueError, StateError):
        return message, None


def custom_status_refusal(custom_status: str | None) -> str | None:
    """Why a custom status is too large, None if it is not."""
    if custom_status is None:
        return None
    size_kb = len(custom_status.encode("utf-16-le")) // 1024
    if size_kb <= CUSTOM_STATUS_KB_MAX:
        return None
    return (
        "The UTF-16 size of the JSON-serialized payload must not exceed 16 KB. "
        f"The current payload size is {size_kb} KB."
    )


def json_or_none(value: object) -> str | None:
    """Compact JSON text of a value; None of a null."""
    return None if value is None else compact(value)


def _read_text(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise StateError(_NO_SCHEMA)
    return cast(object, value)


def _schema(value: object) -> int:
    number = _SCHEMA_NAMES.get(value) if isinstance(value, str) else value
    if not isinstance(number, int) or not 0 <= number <= SCHEMA_MAX:
        raise StateError(
            f'The OOProc schema of of version "{value}" is unsupported by this durable-extension version.'
        )
    return number


def _actions(value: object, schema: int) -> tuple[Action, ...]:
    if not isinstance(value, list):
        raise StateError(_NULL_REFERENCE if schema else _NO_ACTIONS)
    outer = cast(list[object], value)
    if schema and len(outer) != 1:
        raise StateError(
            "With OOProc schema V3, expected actions array to be of length 1 in outer layer "
            f"but got size: {len(outer)}"
        )
    return tuple(
        read_action(cast(Json, item), schema)
        for inner in outer
        for item in cast(list[object], inner)
    )


# --- actions ------------------------------------------------------------------------------------------------------


def read_action(item: Json, schema: int = SCHEMA_MAX - 1) -> Action:
    """Read one action. What the host refuses when it starts it becomes a Refused."""
    kind = item.get("actionType", 0)
    name = kind if isinstance(kind, str) else _action_name(kind)
    try:
        return _read(name, item, schema)
    except StateError as error:
        return Refused(message=str(error))


def _action_name(kind: object) -> str:
    if isinstance(kind, int) and 0 <= kind < len(_ACTION_NAMES):
        return _ACTION_NAMES[kind]
    return str(kind)


def _read(name: str, item: Json, schema: int) -> Action:
    match name:
        case "CallActivity" | "CallActivityWithRetry":
            return CallActivity(
                name=_text(item.get("functionName")),
                input=compact([item.get("input")]),
                retry=_retry(item) if name.endswith("Retry") else None,
            )
        case "CallSubOrchestrator" | "CallSubOrchestratorWithRetry":
            return CallSubOrchestrator(
                name=_text(item.get("functionName")),
                input=json_or_none(item.get("input")),
                instance_id=_text_or_none(item.get("instanceId")),
                version=_text_or_none(item.get("version")),
                retry=_retry(item) if name.endswith("Retry") else None,
            )
        case "ContinueAsNew":
            return ContinueAsNew(input=json_or_none(item.get("input")))
        case "WaitForExternalEvent":
            return WaitForEvent(name=_text(item.get("externalEventName")))
        case "CallHttp":
            return _http_call(cast(Json, item.get("httpRequest") or {}))
        case "CreateTimer":
            return _timer(item, schema)
        case "WhenAny" | "WhenAll":
            return _compound(name, item, schema)
        case _:
            return _read_entity_action(name, item)


def _read_entity_action(name: str, item: Json) -> Action:
    target = _text(item.get("instanceId"))
    operation = _text(item.get("operation"))
    payload = json_or_none(item.get("input"))
    match name:
        case "CallEntity":
            return CallEntity(instance_id=target, operation=operation, input=payload)
        case "SignalEntity":
            return SignalEntity(instance_id=target, operation=operation, input=payload)
        case "ScheduledSignalEntity":
            fire_at = _instant(item.get("fireAt"))
            return SignalEntity(
                instance_id=target, operation=operation, input=payload, fire_at=fire_at
            )
        case "LockEntities":
            return LockEntities(entities=_lock_set(item.get("lockSet")))
        case "ReleaseEntities":
            return ReleaseEntities()
        case _:
            raise StateError(
                f"Received an unexpected action type from the out-of-proc function: '${name}'."
            )


def _lock_set(value: object) -> tuple[EntityId, ...]:
    items = cast("list[Json]", value or [])
    if not items:
        raise StateError(
            "The list of entities to lock must not be null or empty. (Parameter 'entities')"
        )
    return tuple(
        EntityId(name=_text(item.get("name")).lower(), key=_text(item.get("key"))) for item in items
    )


def _compound(name: str, item: Json, schema: int) -> Action:
    children = tuple(
        read_action(cast(Json, child), schema)
        for child in cast(list[object], item.get("compoundActions") or [])
    )
    if name == "WhenAll":
        return WhenAll(children=children)
    if not children:
        raise StateError("The tasks argument contains no tasks. (Parameter 'tasks')")
    return WhenAny(children=children)


def _timer(item: Json, schema: int) -> CreateTimer:
    return CreateTimer(
        fire_at=_instant(item.get("fireAt")),
        cancelled=bool(item.get("isCanceled", False)),
        may_be_long=schema >= _SLICED_TIMERS_SCHEMA,
    )


def _instant(value: object) -> Instant:
    try:
        return Instant.parse(_text(value))
    except DecodeError as error:
        raise StateError(f"'{value}' is not a time to fire at") from error


def _retry(item: Json) -> RetryOptions:
    options = cast(Json, item.get("retryOptions") or {})
    for required in ("firstRetryIntervalInMilliseconds", "maxNumberOfAttempts"):
        if options.get(required) is None:
            raise StateError(f"Invalid JSON. Must contain field {required} (Parameter 'reader')")
    first = _milliseconds(options["firstRetryIntervalInMilliseconds"])
    if first <= timedelta(0):
        raise StateError(
            "Invalid interval.  Specify a TimeSpan value greater then TimeSpan.Zero. "
            "(Parameter 'firstRetryInterval')"
        )
    longest = options.get("maxRetryIntervalInMilliseconds")
    limit = options.get("retryTimeoutInMilliseconds")
    return RetryOptions(
        first_interval=first,
        max_attempts=int(cast(int, options["maxNumberOfAttempts"])),
        backoff_coefficient=float(cast(float, options.get("backoffCoefficient") or 1)),
        max_interval=_milliseconds(longest) if longest is not None else timedelta(days=6),
        timeout=_milliseconds(limit) if limit is not None else None,
    )


def _milliseconds(value: object) -> timedelta:
    return timedelta(milliseconds=float(cast(float, value)))


def _http_call(request: Json) -> CallHttp:
    try:
        return call_of(request)
    except HttpRequestError as error:
        raise StateError(str(error)) from error


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
