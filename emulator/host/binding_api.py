"""All that bindings may see of the host, and all that the host knows of bindings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from emulator.core.instant import Instant
from emulator.errors import AppError
from emulator.storage.ports import (
    AllOf,
    Comparison,
    Condition,
    Filter,
    Int64,
    Row,
    RowKey,
    Storage,
    TablePort,
    Value,
    Write,
    WriteKind,
)

__all__ = [
    "AllOf",
    "Comparison",
    "Condition",
    "Filter",
    "Instant",
    "Int64",
    "Row",
    "RowKey",
    "Storage",
    "TablePort",
    "Value",
    "Write",
    "WriteKind",
]
"""What bindings use of the rooms below, beside what is defined here."""


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
    TIMER = "timertrigger"
    QUEUE = "queuetrigger"
    BLOB = "blobtrigger"


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def kind(self) -> str:
        """The binding type in lower case, under which it is looked up."""
        return self.type.lower()

    @cached_property
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
    storage: Callable[[str | None], Awaitable[Storage]]
    """The open store of a connection; None means the app's own. Raises ConfigError if there is no such setting."""
    base64_messages: bool
    """Whether queue messages are text in base64, as host.json has it."""
    guid: Callable[[], str]
    now: Callable[[], Instant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of a function, as its bindings see it.

    `data` holds what the trigger makes known to the binding expressions of the others, such as the `name` of a
    blob's path.
    """

    id: str
    function: str
    data: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class ByHand:
    """The trigger value of a call through the admin API: what the caller gave, which is text or nothing."""

    text: str | None


InputSource = Callable[[Invocation], Awaitable[Any]]
"""Makes the value of an input parameter for one call."""

OutputSink = Callable[[Any, Invocation], Awaitable[None]]
"""Takes what a function set on an output."""


class BindingRegistry(Protocol):
    """Knows the binding types."""

    def refusal(self, spec: BindingSpec) -> str | None:
        """Why a binding cannot be used; None if it can."""
        ...

    def remark(self, spec: BindingSpec) -> str | None:
        """What the app's author should know of a binding that can be used; None if nothing."""
        ...

    def check(self, spec: BindingSpec) -> None:
        """Look at the members of a binding whose app settings are in place.

        Raises:
            ConfigError: one is missing or wrong; says which and what to write.
        """
        ...

    def accepts(self, spec: BindingSpec, annotation: object) -> bool:
        """Whether a parameter of this class, or list of a class, can hold the value, or an output can be set to it."""
        ...

    def input_source(
        self, spec: BindingSpec, annotation: object, services: Services
    ) -> InputSource:
        """What fills an input that is no trigger."""
        ...

    def output_sink(self, spec: BindingSpec, services: Services) -> OutputSink | None:
        """What takes an output; None for the HTTP response, which the caller takes."""
        ...

    async def value_by_hand(self, spec: BindingSpec, call: ByHand, services: Services) -> object:
        """What starts the function in a call through the admin API.

        Raises:
            ValueError: such a trigger cannot be called so, or not with that text.
        """
        ...

    def decode_trigger(self, spec: BindingSpec, value: object, annotation: object) -> Any:  # noqa: ANN401
        """The value of the trigger parameter, from what started the function."""
        ...

    def trigger_data(self, spec: BindingSpec, value: object) -> Mapping[str, object]:
        """What the trigger makes known to binding expressions."""
        ...

    def encode_returned(self, spec: BindingSpec, value: object) -> object:
        """What the trigger's caller takes, from what the function returned; raises what the SDK's converter raises."""
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


class FunctionLoadError(AppError):
    """A function was called that could not be loaded; the message is the one that the start printed."""


class FunctionTimeoutError(AppError):
    """A function ran longer than host.json's functionTimeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationResult:
    """What a function gave back: its return value as the trigger encodes it, and the outputs that it set, by name."""

    returned: Any
    outputs: Mapping[str, Any]
