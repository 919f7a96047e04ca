"""All that bindings may see of the host, and all that the host knows of bindings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from emulator.errors import AppError


class Direction(StrEnum):
    """Which way a binding's value goes."""

    IN = "in"
    OUT = "out"


class TriggerKind(StrEnum):
    """The triggers that start functions here; values are binding types in lower case."""

    HTTP = "httptrigger"
    ORCHESTRATION = "orchestrationtrigger"
    ACTIVITY = "activitytrigger"
    ENTITY = "entitytrigger"
    MANUAL = "manualtrigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingSpec:
    """One binding as it is declared. `properties` holds every member, names in lower case."""

    type: str
    name: str
    direction: Direction
    properties: Mapping[str, object] = field(default_factory=dict[str, object])

    def text(self, name: str) -> str | None:
        """A property as text; None if it is missing or null."""
        value = self.properties.get(name.lower())
        return None if value is None else str(value)

    @property
    def kind(self) -> str:
        """The binding type in lower case, under which it is looked up."""
        return self.type.lower()

    @property
    def is_trigger(self) -> bool:
        """Whether it starts the function."""
        return self.kind.endswith("trigger")


class ClientUrls(Protocol):
    """What a client binding tells the SDK about this host's addresses."""

    def binding_json(self, task_hub: str | None, connection: str | None) -> str:
        """The client binding's text for a hub and connection; None means the app's own."""
        ...


class Starter(Protocol):
    """Starts orchestrations for output bindings."""

    async def start(self, name: str, *, instance_id: str | None, input: str | None) -> str:  # noqa: A002
        """Start one; the id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What bindings get from the host."""

    client_urls: ClientUrls
    starter: Callable[[str | None, str | None], Starter]
    """The starter of a hub and connection; None means the app's own."""


InputSource = Callable[[], Any]
"""Makes the value of an input parameter for one call."""

OutputSink = Callable[[Any], Awaitable[None]]
"""Takes what a function set on an output."""


class BindingRegistry(Protocol):
    """Knows the binding types."""

    def refusal(self, spec: BindingSpec) -> str | None:
        """Why a binding cannot be used; None if it can."""
        ...

    def input_source(self, spec: BindingSpec, services: Services) -> InputSource:
        """What fills an input that is no trigger."""
        ...

    def output_sink(self, spec: BindingSpec, services: Services) -> OutputSink | None:
        """What takes an output; None for the HTTP response, which the caller takes."""
        ...

    def decode_trigger(self, spec: BindingSpec, value: object, annotation: object) -> Any:  # noqa: ANN401
        """The value of the trigger parameter, from what started the function."""
        ...


class UserFunctionError(AppError):
    """User code raised.

    Attributes:
        text: `<TypeName>: <message>`, as the worker reports it.
        stack: formatted frames of the user's code.
    """

    def __init__(self, text: str, stack: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.text = text
        self.stack = stack


class FunctionTimeoutError(AppError):
    """A function ran longer than host.json's functionTimeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationResult:
    """What a function gave back: its return value, and the outputs that it set, by binding name."""

    returned: Any
    outputs: Mapping[str, Any]
