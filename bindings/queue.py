"""Messages that a function sends to a queue. Source: reference functions-host.md 3.8; azure.functions.queue."""

from __future__ import annotations

import json
import re
from typing import Final, cast

from bindings.binding_type import BindingType
from bindings.converters import converter
from bindings.expressions import expand
from emulator.core.json_text import compact
from emulator.errors import ConfigError
from emulator.host import queue_text
from emulator.host.binding_api import BindingSpec, Invocation, OutputSink, Services

_NAME: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_MESSAGE_MEMBERS: Final = {"id", "body"}
"""What the SDK makes of a QueueMessage."""
_NAME_LENGTHS: Final = range(3, 64)


def queue_output(spec: BindingSpec, services: Services) -> OutputSink:
    """What takes a text, bytes, a QueueMessage, or a list of texts or QueueMessages: one message each."""

    async def send(value: object, invocation: Invocation) -> None:
        name = expand(spec.text("queueName") or "", invocation, services).lower()
        queues = (await services.storage(spec.text("connection"))).queues
        await queues.create_queue(name)
        for body in bodies_of(value):
            await queues.put(name, queue_text.encode(body, base64_text=services.base64_messages))

    return send


def bodies_of(value: object) -> list[bytes]:
    """The messages of one output.

    A text that is a JSON list becomes one message for each of its items, as the host takes it apart.

    Raises:
        TypeError: the value cannot be sent.
    """
    if isinstance(value, dict):
        return [compact(cast("dict[str, object]", value)).encode()]
    try:
        encoded = converter("queue").encode(value, expected_type=None)
    except NotImplementedError as error:
        raise TypeError(
            f"a queue output was set to {type(value).__name__}; set str, bytes, func.QueueMessage, or a list of str"
        ) from error
    if encoded.type == "bytes":
        return [bytes(encoded.value)]
    return [_body(item) for item in _items(str(encoded.value), is_json=encoded.type == "json")]


def check_queue_name(spec: BindingSpec) -> None:
    """Look at the queue's name, unless it has expressions.

    Raises:
        ConfigError: it is missing, or no queue can have it.
    """
    name = spec.text("queueName")
    if not name:
        raise ConfigError("the queue's name is missing; set queue_name (queueName)")
    if "{" in name:
        return
    if not _NAME.fullmatch(name.lower()) or len(name) not in _NAME_LENGTHS:
        raise ConfigError(
            f"{name!r} cannot name a queue: use 3 to 63 letters, digits and single hyphens, no hyphen at the ends"
        )


def _items(text: str, *, is_json: bool) -> list[object]:
    if not is_json and not text.lstrip().startswith("["):
        return [text]
    try:
        value: object = json.loads(text)
    except ValueError:
        return [text]
    if isinstance(value, list):
        return cast("list[object]", value)
    return [value]


def _body(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if not isinstance(item, dict):
        return compact(item).encode()
    members = cast("dict[str, object]", item)
    if members.keys() == _MESSAGE_MEMBERS:
        return str(members["body"]).encode()
    return compact(members).encode()


QUEUE: Final = BindingType(name="queue", output=queue_output, check=check_queue_name)
