"""Runs one function: binds its inputs, calls it by keyword, collects its outputs, watches the time limit.

Coroutine functions run on the loop, plain ones in a sized thread pool. Source: reference functions-host.md 5.3, 7.
"""

from __future__ import annotations

import asyncio
import contextvars
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from emulator.host.binding_api import (
    BindingRegistry,
    Direction,
    FunctionTimeoutError,
    InputSource,
    InvocationResult,
    OutputSink,
    Services,
    UserFunctionError,
)
from emulator.host.context import Context, Out
from emulator.host.function_app import LoadedFunction
from emulator.log import fields, get_logger

_log = get_logger(__name__)
_HERE: Final = str(Path(__file__).resolve())
current_function: contextvars.ContextVar[str] = contextvars.ContextVar("function", default="")
"""Name of the function that user code runs in now, for the log."""

IMPLICIT_RETURN: Final = frozenset(
    {"orchestrationtrigger", "activitytrigger", "entitytrigger", "manualtrigger"}
)
"""Triggers whose functions may return a value without a $return binding."""


class _Ids(Protocol):
    def guid(self) -> str: ...


class _Clock(Protocol):
    def monotonic(self) -> float: ...


class Invoker:
    """Runs the functions of one app."""

    def __init__(
        self,
        registry: BindingRegistry,
        services: Services,
        *,
        ids: _Ids,
        clock: _Clock,
        threads: int,
        time_limit: timedelta | None,
    ) -> None:
        """Start a pool of `threads` threads for functions that are no coroutines."""
        self._registry = registry
        self._services = services
        self._ids = ids
        self._clock = clock
        self._time_limit = time_limit
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="function")
        self._sources: dict[str, dict[str, InputSource]] = {}
        self._sinks: dict[str, dict[str, OutputSink | None]] = {}

    def close(self) -> None:
        """Take no more calls; threads that still run user code are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def invoke(
        self, function: LoadedFunction, trigger_value: object, *, reason: str = "(null)"
    ) -> InvocationResult:
        """Run a function once.

        Args:
            trigger_value: what started it, as the trigger's binding type expects it.
            reason: why, for the log.

        Raises:
            UserFunctionError: user code, or the conversion of what it returned, raised.
            FunctionTimeoutError: it ran longer than functionTimeout.
        """
        invocation_id = self._ids.guid()
        started = self._clock.monotonic()
        _log.info(
            "Executing 'Functions.%s' (Reason='%s', Id=%s)",
            function.name,
            reason,
            invocation_id,
            extra=fields("function_executing", function=function.name),
        )
        try:
            result = await self._run(function, trigger_value, invocation_id)
        except (UserFunctionError, FunctionTimeoutError) as error:
            self._log_failure(function, invocation_id, started, error)
            raise
        _log.info(
            "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)",
            function.name,
            invocation_id,
            (self._clock.monotonic() - started) * 1000,
            extra=fields("function_executed", function=function.name),
        )
        return result

    async def _run(
        self, function: LoadedFunction, trigger_value: object, invocation_id: str
    ) -> InvocationResult:
        arguments, outs = self._arguments(function, trigger_value, invocation_id)
        returned = await self._call(function, arguments, invocation_id)
        _check_return(function, returned)
        outputs = {name: out.get() for name, out in outs.items() if out.get() is not None}
        await self._send_outputs(function, {**outputs, **_returned(function, returned)})
        return InvocationResult(returned=returned, outputs=outputs)

    def _arguments(
        self, function: LoadedFunction, trigger_value: object, invocation_id: str
    ) -> tuple[dict[str, Any], dict[str, Out[Any]]]:
        spec = function.spec
        trigger = spec.trigger
        outs = {b.name: Out[Any]() for b in spec.outputs if b.name != "$return"}
        arguments: dict[str, Any] = dict(outs)
        try:
            arguments[trigger.name] = self._registry.decode_trigger(
                trigger, trigger_value, function.annotations.get(trigger.name)
            )
        except Exception as error:
            raise user_error(error) from error
        for name, source in self._inputs(function).items():
            arguments[name] = source()
        if function.wants_context:
            arguments["context"] = Context(invocation_id, function.name, spec.directory)
        return arguments, outs

    def _inputs(self, function: LoadedFunction) -> Mapping[str, InputSource]:
        sources = self._sources.get(function.name)
        if sources is None:
            sources = self._sources[function.name] = {
                b.name: self._registry.input_source(b, self._services) for b in function.spec.inputs
            }
        return sources

    async def _call(
        self, function: LoadedFunction, arguments: Mapping[str, Any], invocation_id: str
    ) -> Any:  # noqa: ANN401 - whatever user code returns
        token = current_function.set(function.name)
        limit = self._time_limit.total_seconds() if self._time_limit is not None else None
        try:
            async with asyncio.timeout(limit):
                if function.is_async:
                    return await function.callable(**arguments)
                return await self._call_in_thread(function.callable, arguments)
        except TimeoutError as error:
            if limit is None:
                raise user_error(error) from error
            raise FunctionTimeoutError(
                f"Timeout value of {self._time_limit} exceeded by function 'Functions.{function.name}' "
                f"(Id: '{invocation_id}'). Initiating cancellation."
            ) from error
        except Exception as error:
            raise user_error(error) from error
        finally:
            current_function.reset(token)

    async def _call_in_thread(self, call: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever user code returns
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: context.run(call, **arguments))

    async def _send_outputs(self, function: LoadedFunction, values: Mapping[str, Any]) -> None:
        sinks = self._sinks.get(function.name)
        if sinks is None:
            sinks = self._sinks[function.name] = {
                b.name: self._registry.output_sink(b, self._services) for b in function.spec.outputs
            }
        for name, value in values.items():
            sink = sinks.get(name)
            if sink is None or value is None:
                continue
            try:
                await sink(value)
            except Exception as error:
                raise user_error(error) from error

    def _log_failure(
        self, function: LoadedFunction, invocation_id: str, started: float, error: Exception
    ) -> None:
        stack = getattr(error, "stack", "")
        _log.error(
            "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)\n%s\n%s",
            function.name,
            invocation_id,
            (self._clock.monotonic() - started) * 1000,
            error,
            stack,
            extra=fields("function_user_error", function=function.name),
        )


def _returned(function: LoadedFunction, value: object) -> dict[str, object]:
    outputs = {binding.name for binding in function.spec.outputs}
    return {"$return": value} if "$return" in outputs and value is not None else {}


def _check_return(function: LoadedFunction, value: object) -> None:
    has_return = any(
        b.name == "$return" and b.direction is Direction.OUT for b in function.spec.bindings
    )
    if value is None or has_return or function.spec.trigger.kind in IMPLICIT_RETURN:
        return
    raise UserFunctionError(
        f"RuntimeError: function '{function.name}' without a $return binding returned a non-None value",
        "",
    )


def user_error(error: BaseException) -> UserFunctionError:
    """What user code raised, with the frames of the user's code only."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if frame.filename != _HERE and "concurrent/futures" not in frame.filename
    ]
    return UserFunctionError(
        f"{type(error).__name__}: {error}", "".join(traceback.format_list(own))
    )
