"""What one binding type can do: a row of the registry's table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.host.binding_api import BindingSpec, InputSource, OutputSink, Services


def no_data(spec: BindingSpec, value: object) -> Mapping[str, object]:
    """A trigger that makes nothing known to binding expressions."""
    return {}


def nothing_to_check(spec: BindingSpec) -> None:
    """A binding whose members need no look before it is used."""


def as_returned(value: object) -> object:
    """What a function returned, itself."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """How a trigger's values reach functions, and what they return comes back.

    Attributes:
        decode: the parameter's value, from what started the function and the parameter's annotation.
        by_hand: what starts the function in a call through the admin API with a text; raises ValueError if it
            cannot be.
        data: what the other bindings' expressions may name.
        encode: what the function returned as its caller takes it; what this raises fails the invocation.
    """

    decode: Callable[[object, object], Any]
    by_hand: Callable[[BindingSpec, str | None, Services], Awaitable[object]]
    data: Callable[[BindingSpec, object], Mapping[str, object]] = no_data
    encode: Callable[[object], object] = as_returned


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingType:
    """One row. A way that the type does not have is None.

    Attributes:
        name: as documents spell it; compared without case.
        aliases: older names.
        check: raises ConfigError if a member is missing or wrong.
        output: gives None where the caller takes the output itself.
    """

    name: str
    aliases: tuple[str, ...] = ()
    trigger: Trigger | None = None
    input: Callable[[BindingSpec, object, Services], InputSource] | None = None
    output: Callable[[BindingSpec, Services], OutputSink | None] | None = None
    check: Callable[[BindingSpec], None] = nothing_to_check


def as_it_is(value: object, annotation: object) -> Any:  # noqa: ANN401 - what user code receives
    """The value itself, whatever the parameter's annotation is."""
    return value


def durable_trigger(
    name: str, instead: str, decode: Callable[[object, object], Any] = as_it_is
) -> BindingType:
    """A trigger whose functions the engine runs: nothing starts them by hand.

    Args:
        instead: the path of the management API that starts them.
    """

    async def refuse(spec: BindingSpec, text: str | None, services: Services) -> object:
        raise ValueError(
            f"Don't know how to bind to String. A function with {name} cannot be called through /admin/functions; "
            f"use POST {instead}"
        )

    return BindingType(name=name, trigger=Trigger(decode=decode, by_hand=refuse))
