"""Runs entities: one batch of operations, what the function is given and what it gives back.

Source: reference out-of-process-protocol.md 5.1 and 5.2, and recordings of the real extension for the texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from bindings.binding_type import durable_trigger
from bindings.converters import converter, datum
from emulator.core.calls import (
    BatchFailedError,
    EntityBatch,
    EntityResult,
    EntitySignal,
    OperationResult,
    every_operation_fails,
)
from emulator.core.entity_messages import unknown_entity_text
from emulator.core.json_text import compact, indented
from emulator.host.binding_api import FunctionTimeoutError, UserFunctionError
from emulator.host.function_app import FunctionInvoker, LoadedFunction

_NAME: Final = "entityTrigger"

Json = Mapping[str, object]


class Entities:
    """All entities of an app (engine.ports.EntityRunner)."""

    def __init__(self, functions: Mapping[str, LoadedFunction], invoker: FunctionInvoker) -> None:
        """Take the functions that loaded, by durable name; names are compared without case."""
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._names = tuple(functions)
        self._invoker = invoker

    async def run(self, batch: EntityBatch) -> EntityResult:
        """Run one batch to its results.

        Raises:
            BatchFailedError: it failed as a whole.
        """
        function = self._functions.get(batch.name.lower())
        if function is None:
            text = unknown_entity_text(batch.name, self._names)
            return every_operation_fails(batch, compact(text))
        try:
            result = await self._invoker.invoke(function, batch_text(batch))
        except FunctionTimeoutError as error:
            return every_operation_fails(batch, str(error))
        except UserFunctionError as error:
            raise BatchFailedError(error.text) from error
        return read_result(encode_result(result.returned), len(batch.operations))


def batch_text(batch: EntityBatch) -> str:
    """What the function is given, to the byte. The SDK takes no other member than these."""
    operations = [
        {"name": o.name, "input": o.input, "isSignal": o.is_signal, "id": o.id}
        for o in batch.operations
    ]
    return indented(
        {
            "self": {"name": batch.name, "key": batch.key},
            "exists": batch.exists,
            "state": batch.state,
            "batch": operations,
        }
    )


def decode_entity_batch(value: object, annotation: object) -> Any:  # noqa: ANN401 - what user code receives
    """What user code receives: the SDK's converter decides."""
    return converter(_NAME).decode(datum(value, "string"), trigger_metadata={})


def encode_result(returned: object) -> object:
    """What a function returned as the host parses it: JSON text is read, and what is none stays text."""
    value = converter(_NAME).encode(returned, expected_type=None).value
    if not isinstance(value, str):
        return cast(object, value)
    try:
        return cast(object, json.loads(value))
    except ValueError:
        return value


def read_result(value: object, count: int) -> EntityResult:
    """The results of a batch of `count` operations.

    Raises:
        BatchFailedError: they are not in the shape that the host takes.
    """
    if not isinstance(value, dict):
        raise BatchFailedError(
            "Out of proc orchestrators must return a valid JSON schema: the entity function returned "
            f"{type(value).__name__}, not the JSON object that azure.durable_functions.Entity makes"
        )
    members = cast("Json", value)
    results = tuple(_result(item) for item in _list(members, "results"))
    if len(results) < count:
        raise BatchFailedError(
            f"the entity function returned {len(results)} results for {count} operations: there must be one for each"
        )
    return EntityResult(
        exists=bool(members.get("entityExists", False)),
        state=_text(members.get("entityState"), "entityState"),
        results=results[:count],
        signals=tuple(_signal(item) for item in _list(members, "signals")),
    )


def _list(members: Json, name: str) -> Sequence[Json]:
    value = members.get(name)
    items = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(item, dict) for item in items):
        raise BatchFailedError(
            f"'{name}' in the entity function's result is not a list of JSON objects"
        )
    return cast("list[Json]", items)


def _result(item: Json) -> OperationResult:
    return OperationResult(
        is_error=bool(item.get("isError", False)), result=_text(item.get("result"), "result")
    )


def _signal(item: Json) -> EntitySignal:
    target = cast("Json", item.get("target") or {})
    return EntitySignal(
        name=str(target.get("name", "")),
        key=str(target.get("key", "")),
        operation=str(item.get("name", "")),
        input=_text(item.get("input"), "input"),
    )


def _text(value: object, name: str) -> str | None:
    """A member that holds JSON as text. Plain numbers and truth values are taken for their text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    raise BatchFailedError(
        f"'{name}' in the entity function's result is {type(value).__name__}, not text: dump it to JSON first"
    )


ENTITY_TRIGGER: Final = durable_trigger(
    _NAME,
    "/runtime/webhooks/durabletask/entities/{entityName}/{entityKey}?op={name}",
    decode_entity_batch,
)
