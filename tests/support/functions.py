"""Functions of plain triggers without an app, and an invoker that does as it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.engine.clock import Clock, IdSource
from emulator.engine.outage import Outage
from emulator.host.binding_api import (
    BindingSpec,
    Direction,
    Invocation,
    InvocationResult,
    Services,
    UserFunctionError,
)
from emulator.host.function_app import FunctionSpec, LoadedFunction
from emulator.listeners.work import Surroundings, Work
from emulator.storage.ports import Storage
from tests.support.clocks import CountedIds, ManualClock


def binding(type: str, *, direction: Direction = Direction.IN, **properties: object) -> BindingSpec:  # noqa: A002 - the member's name
    """A binding called `value`; properties are spelled as in function.json."""
    lowered = {name.lower(): value for name, value in properties.items()}
    return BindingSpec(type=type, name="value", direction=direction, properties=lowered)


def function(trigger: BindingSpec, *others: BindingSpec, **changes: Any) -> LoadedFunction:
    """A loaded function called `work`."""
    spec = FunctionSpec(
        name="work",
        bindings=(trigger, *others),
        script=Path("function_app.py"),
        entry_point="work",
        directory=Path(),
    )
    members = {"callable": lambda: None, "is_async": False, "wants_context": False, **changes}
    return LoadedFunction(spec=spec, **members)


class ScriptedInvoker:
    """Keeps the trigger values it is given; fails while told to."""

    def __init__(self, *, fails: Callable[[Any], bool] = lambda value: False) -> None:
        self.fails = fails
        self.values: list[Any] = []
        self.reasons: list[str] = []

    async def invoke(
        self, function: LoadedFunction, value: object, *, reason: str = ""
    ) -> InvocationResult:
        self.values.append(value)
        self.reasons.append(reason)
        if self.fails(value):
            raise UserFunctionError("ValueError: told to", "")
        return InvocationResult(returned=None, outputs={})


class NoUrls:
    def binding_json(self, task_hub: str | None, connection: str | None) -> str:
        return "{}"


def services(storage: Storage, *, base64_messages: bool = True) -> Services:
    """What bindings get, on one store."""
    clock, ids = ManualClock(), CountedIds()

    async def open_storage(connection: str | None) -> Storage:
        return storage

    def no_starter(task_hub: str | None, connection: str | None) -> Any:
        raise AssertionError("nothing is started here")

    return Services(
        client_urls=NoUrls(),
        starter=no_starter,
        storage=open_storage,
        base64_messages=base64_messages,
        guid=ids.guid,
        now=clock.now,
    )


def invocation(**data: object) -> Invocation:
    """One call whose trigger makes this known."""
    return Invocation(id="1", function="work", data=data)


def surroundings(
    invoker: ScriptedInvoker, *, clock: Clock | None = None, ids: IdSource | None = None
) -> Surroundings:
    """What a listener of the app `app` works with."""
    return Surroundings(
        invoker=invoker,  # type: ignore[arg-type]
        host_id="app",
        clock=clock or ManualClock(),
        ids=ids or CountedIds(),
        work=Work(),
        outage=Outage("memory", ManualClock()),
    )
