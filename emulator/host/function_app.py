"""A loaded function app: its functions, and what is wrong with those that cannot run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from emulator.core.parity import Deviation
from emulator.host.binding_api import BindingSpec, Direction, InvocationResult, TriggerKind
from emulator.host.retry_policy import RetryPolicy


def name_order(name: str) -> str:
    """Sort key of function names: ordinal without case, which puts _ behind the letters."""
    return name.upper()


class FunctionInvoker(Protocol):
    """What runs functions (host.invoker.Invoker)."""

    async def invoke(
        self, function: LoadedFunction, trigger_value: object, *, reason: str = ...
    ) -> InvocationResult:
        """Run a function for what started it."""
        ...


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """A function as it is declared, before its code is looked at. What every call asks for is found once."""

    name: str
    bindings: tuple[BindingSpec, ...]
    script: Path
    entry_point: str
    directory: Path
    retry: Mapping[str, str] | None = None
    declaration: Path | None = None
    """The function.json; None if the script declares it."""

    @property
    def place(self) -> Path:
        """The file that declares it."""
        return self.declaration or self.script

    @cached_property
    def trigger(self) -> BindingSpec:
        """The one binding that starts it."""
        return next(binding for binding in self.bindings if binding.is_trigger)

    @cached_property
    def outputs(self) -> tuple[BindingSpec, ...]:
        """What it may set or return."""
        return tuple(b for b in self.bindings if b.direction is Direction.OUT)

    @cached_property
    def inputs(self) -> tuple[BindingSpec, ...]:
        """What it is given beside the trigger."""
        return tuple(b for b in self.bindings if b.direction is Direction.IN and not b.is_trigger)

    @property
    def durable_name(self) -> str:
        """The name under which orchestrations know it."""
        trigger = self.trigger
        for member in ("orchestration", "activity", "entityname"):
            override = trigger.text(member)
            if override:
                return override
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFunction:
    """A function that can be run."""

    spec: FunctionSpec
    callable: Callable[..., Any]
    is_async: bool
    wants_context: bool
    retry: RetryPolicy | None = None
    annotations: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def name(self) -> str:
        """The function's name."""
        return self.spec.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFailure:
    """A function that cannot run, and why: what, where, what to do."""

    name: str
    message: str
    spec: FunctionSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionApp:
    """Everything found in an app's folder, sorted by name without case."""

    root: Path
    functions: tuple[LoadedFunction, ...]
    failures: tuple[FunctionFailure, ...] = ()
    """Of both kinds: put aside before its code was looked at, or listed among the functions, where each call fails."""
    disabled: tuple[FunctionSpec, ...] = ()
    warnings: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    """What works here and not on Azure."""
    source: object = None
    """The SDK's app object of the v2 model."""

    def of_kind(self, kind: TriggerKind) -> tuple[LoadedFunction, ...]:
        """The functions that a kind of trigger starts."""
        return tuple(f for f in self.functions if f.spec.trigger.kind == kind)

    def find(self, name: str) -> LoadedFunction | None:
        """A function by its name, compared without case."""
        return next((f for f in self.functions if f.name.lower() == name.lower()), None)

    @property
    def uses_2018_names(self) -> bool:
        """Whether an app binds its client by the name that extension 1.x had."""
        return any(
            binding.kind == "orchestrationclient"
            for function in self.functions
            for binding in function.spec.bindings
        )
