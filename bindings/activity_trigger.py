"""Runs activities: what they are given, what becomes of their results and failures.

Source: reference out-of-process-protocol.md 4, and recordings of the real extension for the texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from bindings.binding_type import BindingType, Trigger
from bindings.converters import converter, datum
from emulator.core.calls import ActivityCall, ActivityCompleted, ActivityFailed
from emulator.core.json_text import compact
from emulator.host.binding_api import (
    BindingSpec,
    FunctionTimeoutError,
    Services,
    UserFunctionError,
)
from emulator.host.function_app import FunctionInvoker, LoadedFunction

_HRESULT: Final = -2146233088


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityValue:
    """What starts an activity: its argument as the worker is given it, None for no value."""

    text: str | None
    instance_id: str


class _Runner(Protocol):
    async def run(self, call: ActivityCall) -> ActivityCompleted | ActivityFailed: ...


class Activities:
    """All activities of an app (engine.ports.ActivityRunner)."""

    def __init__(
        self,
        functions: Mapping[str, LoadedFunction],
        invoker: FunctionInvoker,
        built_in: Mapping[str, _Runner],
    ) -> None:
        """Take the functions that loaded, by durable name; names are compared without case.

        Args:
            built_in: activities that the host runs itself, by name.
        """
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._invoker = invoker
        self._built_in = {name.lower(): runner for name, runner in built_in.items()}
        self.names = {name.lower(): name for name in functions}

    async def run(self, call: ActivityCall) -> ActivityCompleted | ActivityFailed:
        """Run one activity to its answer."""
        built_in = self._built_in.get(call.name.lower())
        if built_in is not None:
            return await built_in.run(call)
        function = self._functions.get(call.name.lower())
        if function is None:
            message = f"Activity function '{call.name}' does not exist."
            return ActivityFailed(reason=_reason(call.name, message), details=None)
        try:
            value = ActivityValue(text=element_text(call.input), instance_id=call.instance_id)
            result = await self._invoker.invoke(function, value)
            return ActivityCompleted(result=result.returned)
        except UserFunctionError as error:
            return failure(call.name, error.text, error.stack)
        except FunctionTimeoutError as error:
            return failure(call.name, str(error), "")


def element_text(text: str | None) -> str | None:
    """The one element of a message's input as the worker is given it: text, or None for no value."""
    if text is None:
        return None
    try:
        items: object = json.loads(text)
    except ValueError:
        return text
    match _first(items):
        case None:
            return None
        case str() as value:
            return value
        case bool() as value:
            return "True" if value else "False"
        case value:
            return compact(value)


def _first(items: object) -> object:
    """The one argument that activities have; what is no list is the argument itself."""
    arguments = cast("list[object]", items) if isinstance(items, list) else [items]
    return arguments[0] if arguments else arguments


def decode_activity_input(value: object, annotation: object = None) -> Any:  # noqa: ANN401 - what user code receives
    """What user code receives: the SDK's converter decides."""
    text = cast(ActivityValue, value).text
    if text is None:
        return None
    return converter("activityTrigger").decode(datum(text, "string"), trigger_metadata={})


def _data(spec: BindingSpec, value: object) -> Mapping[str, object]:
    found = cast(ActivityValue, value)
    try:
        data: object = json.loads(found.text or "null")
    except ValueError:
        data = found.text
    return {"instanceId": found.instance_id, "data": data}


async def _by_hand(spec: BindingSpec, text: str | None, services: Services) -> ActivityValue:
    """The text is the JSON of the one argument; the instance is none that there is."""
    argument = element_text(f"[{text}]") if text else None
    return ActivityValue(text=argument, instance_id=services.guid())


def encode_result(value: object) -> str | None:
    """The stored text of what an activity returned; None for a null.

    Raises:
        ValueError: it is no JSON.
    """
    if value is None:
        return None
    encoded = converter("activityTrigger").encode(value, expected_type=None)
    parsed: object = json.loads(encoded.value)
    return None if parsed is None else compact(parsed)


def failure(name: str, text: str, stack: str) -> ActivityFailed:
    """Reason and details of a failed activity, in the shape that apps parse."""
    message = f" {text}"
    return ActivityFailed(reason=_reason(name, message), details=details_json(text, stack))


def _reason(name: str, message: str) -> str:
    return f"Activity function '{name}' failed: {message}"


def details_json(text: str, stack: str) -> str:
    """The exception object that the real host serializes, member for member."""
    inner = {
        "$type": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException, Microsoft.Azure.WebJobs.Script",
        "IsUserException": False,
        "RemoteStackTrace": stack,
        "RemoteMessage": text,
        "RemoteTypeName": None,
        "Message": f"Result: Failure\nException: {text}\nStack: {stack}",
        "Data": {
            "$type": "System.Collections.ListDictionaryInternal, System.Private.CoreLib",
        },
        "InnerException": None,
        "HelpLink": None,
        "Source": "System.Private.CoreLib",
        "HResult": _HRESULT,
        "StackTrace": stack,
    }
    return compact(
        {
            "$type": "System.Exception, System.Private.CoreLib",
            "ClassName": "System.Exception",
            "Message": f" {text}",
            "Data": None,
            "InnerException": inner,
            "HelpURL": None,
            "StackTraceString": None,
            "RemoteStackTraceString": None,
            "RemoteStackIndex": 0,
            "ExceptionMethod": None,
            "HResult": _HRESULT,
            "Source": None,
            "WatsonBuckets": None,
        }
    )


ACTIVITY_TRIGGER: Final = BindingType(
    name="activityTrigger",
    trigger=Trigger(
        decode=decode_activity_input, by_hand=_by_hand, data=_data, encode=encode_result
    ),
)
