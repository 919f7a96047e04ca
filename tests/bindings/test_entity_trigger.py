"""What becomes of a batch: the function's answer, its failures, and a function that is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import azure.durable_functions as df
import pytest

from bindings.entity_trigger import Entities, decode_entity_batch
from emulator.core.calls import (
    BatchFailedError,
    EntityBatch,
    EntityResult,
    Operation,
    OperationResult,
)
from emulator.host.binding_api import (
    BindingSpec,
    Direction,
    FunctionTimeoutError,
    InvocationResult,
    UserFunctionError,
)
from emulator.host.function_app import FunctionSpec, LoadedFunction


def loaded(function: Callable[..., object]) -> LoadedFunction:
    trigger = BindingSpec(type="entityTrigger", name="context", direction=Direction.IN)
    spec = FunctionSpec(
        name="Counter",
        bindings=(trigger,),
        script=Path("function_app.py"),
        entry_point="counter",
        directory=Path(),
    )
    return LoadedFunction(spec=spec, callable=function, is_async=False, wants_context=False)


class CallsItHere:
    """An invoker that only calls; what the function raises, the host has wrapped already."""

    async def invoke(
        self, function: LoadedFunction, trigger_value: object, *, reason: str = ""
    ) -> InvocationResult:
        returned = function.callable(context=decode_entity_batch(trigger_value, None))
        return InvocationResult(returned=returned, outputs={})


def batch(*names: str, state: str | None = None) -> EntityBatch:
    operations = [Operation(name=n, input='"5"', is_signal=False, id=f"id of {n}") for n in names]
    return EntityBatch(
        name="counter",
        key="k",
        exists=state is not None,
        state=state,
        operations=tuple(operations),
    )


async def run(function: Callable[..., object], given: EntityBatch) -> EntityResult:
    return await Entities({"Counter": loaded(function)}, CallsItHere()).run(given)


def raising(error: Exception) -> Callable[..., object]:
    def function(context: object) -> object:
        raise error

    return function


def count(context: df.DurableEntityContext) -> None:
    if context.operation_name == "fail":
        raise ValueError("no")
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result({"total": context.get_state()})


async def test_the_sdk_runs_the_operations_of_a_batch_one_after_the_other() -> None:
    result = await run(df.Entity.create(count), batch("add", "fail", "add", state="1"))
    assert result == EntityResult(
        exists=True,
        state="11",
        results=(
            OperationResult(is_error=False, result='{"total": 6}'),
            OperationResult(is_error=True, result='"no"'),
            OperationResult(is_error=False, result='{"total": 11}'),
        ),
    )


async def test_a_state_that_was_not_looked_at_is_returned_as_it_was() -> None:
    result = await run(df.Entity.create(lambda context: None), batch("x", state='{"a": [1,2]}'))
    assert (result.exists, result.state) == (True, '{"a": [1,2]}')


async def test_a_time_limit_answers_every_operation_and_keeps_the_state() -> None:
    text = "Timeout value of 0:00:01 exceeded by function 'Functions.Counter' (Id: 'x')."
    result = await run(raising(FunctionTimeoutError(text)), batch("a", "b", state="7"))
    assert (result.exists, result.state) == (True, "7")
    assert result.results == (OperationResult(is_error=True, result=text),) * 2


async def test_an_exception_of_the_function_itself_fails_the_batch() -> None:
    with pytest.raises(BatchFailedError, match=r"^TypeError: no JSON$"):
        await run(raising(UserFunctionError("TypeError: no JSON", "its stack")), batch("a"))


async def test_operations_for_a_function_that_is_gone_are_answered_with_what_there_is() -> None:
    """A message may be older than the app, or come from a host with another one."""
    entities = Entities({"Other": loaded(count)}, CallsItHere())
    result = await entities.run(batch("a", state="7"))
    [only] = result.results
    assert only.is_error
    assert json.loads(only.result or "") == (
        "The function 'counter' doesn't exist, is disabled, or is not an entity function. "
        "Additional info: The following are the known entity functions: 'Other'."
    )
    assert (result.exists, result.state) == (True, "7")


async def test_an_app_without_entities_says_so() -> None:
    [only] = (await Entities({}, CallsItHere()).run(batch("a"))).results
    assert only.result is not None
    assert only.result.endswith('No entity functions are currently registered!"')
