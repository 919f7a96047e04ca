"""The client binding, in both directions and under both its names.

In: the text that the SDK's client is made from. Out: objects that each start an instance. Source: reference
out-of-process-protocol.md 6.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast

from bindings.binding_type import BindingType
from emulator.core.json_text import compact
from emulator.host.binding_api import BindingSpec, InputSource, Invocation, OutputSink, Services


def client_input(spec: BindingSpec, annotation: object, services: Services) -> InputSource:
    """What fills a client parameter: the binding's JSON, as text."""
    task_hub = spec.text("taskHub")
    connection = spec.text("connectionName") or spec.text("connection")

    async def text(invocation: Invocation) -> str:
        return services.client_urls.binding_json(task_hub, connection)

    return text


def client_output(spec: BindingSpec, services: Services) -> OutputSink:
    """What takes `{"FunctionName": ..., "Input": ..., "InstanceId": ...}`, a list of such, or either as JSON text."""
    task_hub = spec.text("taskHub")
    connection = spec.text("connectionName") or spec.text("connection")

    async def start_all(value: object, invocation: Invocation) -> None:
        starter = services.starter(task_hub, connection)
        for request in read_start_requests(value):
            await starter.start(request.name, instance_id=request.instance_id, input=request.input)

    return start_all


class StartRequest:
    """One instance to start."""

    __slots__ = ("input", "instance_id", "name")

    def __init__(self, members: Mapping[str, object]) -> None:
        """Read the members, whose names are compared without case.

        Raises:
            ValueError: there is no function name.
        """
        lowered = {key.lower(): value for key, value in members.items()}
        name, instance_id = lowered.get("functionname"), lowered.get("instanceid")
        if not isinstance(name, str) or not name:
            raise ValueError(
                "an orchestration client output needs a FunctionName: set "
                '{"FunctionName": ..., "Input": ..., "InstanceId": ...}'
            )
        self.name = name
        self.instance_id = str(instance_id) if instance_id else None
        value = lowered.get("input")
        self.input = None if value is None else compact(value)


def read_start_requests(value: object) -> list[StartRequest]:
    """The instances that an output asks for.

    Raises:
        ValueError, TypeError: it is neither an object nor a list of objects, nor JSON text of either.
    """
    text = value.decode() if isinstance(value, bytes | bytearray) else value
    if isinstance(text, str):
        try:
            value = cast(object, json.loads(text))
        except ValueError as error:
            raise ValueError(
                f"an orchestration client output must be JSON, not {text[:60]!r}"
            ) from error
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    requests: list[StartRequest] = []
    for item in items:
        if not isinstance(item, dict):
            raise TypeError(
                f"an orchestration client output must be an object or a list of objects, not {item!r}"
            )
        requests.append(StartRequest(cast("dict[str, object]", item)))
    return requests


DURABLE_CLIENT: Final = BindingType(
    name="durableClient",
    aliases=("orchestrationClient",),
    input=client_input,
    output=client_output,
)
"""Today's name and that of the 2018 documents."""
