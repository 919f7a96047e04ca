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

from emulator.core.backoff import JITTER_HIGH, JITTER_LOW
from emulator.host.binding_api import (
    BindingRegistry,
    ByHand,
    Direction,
    FunctionTimeoutError,
    InputSource,
    Invocation,
    InvocationResult,
    OutputSink,
    Services,
    UserFunctionError,
)
from emulator.host.context import Context, Out, RetryContext, RetryException
from emulator.host.function_app import LoadedFunction
from emulator.host.retry_policy import RetryPolicy
from emulator.log import fields, get_logger, tell

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

    def uniform(self, low: float, high: float) -> float: ...


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
        """Run a function, and again as its retry policy has it, each time as a new invocation.

        Args:
            trigger_value: what started it, as the trigger's binding type expects it, or a ByHand.
            reason: why, for the log.

        Raises:
            UserFunctionError: user code, or the conversion of what it was given or returned, raised.
            FunctionTimeoutError: it ran longer than functionTimeout.
        """
        policy = function.retry
        retry = RetryContext(max_retry_count=policy.count_max if policy else 0)
        while True:
            try:
                return await self._invoke(function, trigger_value, reason, retry)
            except (UserFunctionError, FunctionTimeoutError) as error:
                if policy is None:
                    raise
                if not policy.allows(retry.retry_count):
                    _log_given_up(function, retry.retry_count)
                    raise
                await self._wait(function, policy, retry.retry_count)
                retry = _following(retry, error)

    async def _wait(self, function: LoadedFunction, policy: RetryPolicy, retries: int) -> None:
        delay = policy.delay(retries, self._ids.uniform(JITTER_LOW, JITTER_HIGH))
        _log.debug(
            "Waiting for `%s` before retrying function execution. Next attempt: '%d'. Max retry count: '%d'.",
            delay,
            retries + 1,
            policy.count_max,
            extra=fields("function_retried", function=function.name),
        )
        await asyncio.sleep(delay.total_seconds())

    async def _invoke(
        self, function: LoadedFunction, trigger_value: object, reason: str, retry: RetryContext
    ) -> InvocationResult:
        invocation_id = self._ids.guid()
        started = self._clock.monotonic()
        tell(
            _log,
            "Executing 'Functions.%s' (Reason='%s', Id=%s)",
            function.name,
            reason,
            invocation_id,
            extra=fields("function_executing", function=function.name),
        )
        try:
            result = await self._run(function, trigger_value, invocation_id, retry)
        except (UserFunctionError, FunctionTimeoutError) as error:
            self._log_failure(function, invocation_id, started, error)
            raise
        tell(
            _log,
            "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)",
            function.name,
            invocation_id,
            (self._clock.monotonic() - started) * 1000,
            extra=fields("function_executed", function=function.name),
        )
        return result

    async def _run(
        self, function: LoadedFunction, value: object, invocation_id: str, retry: RetryContext
    ) -> InvocationResult:
        outs = {b.name: Out[Any]() for b in function.spec.outputs if b.name != "$return"}
        try:
            invocation, arguments = await self._inputs(function, value, invocation_id)
        except Exception as error:
            raise user_error(error) from error
        if function.wants_context:
            folder = function.spec.directory
            arguments["context"] = Context(invocation_id, function.name, folder, retry)
        returned = await self._call(function, {**arguments, **outs}, invocation_id)
        _check_return(function, returned)
        try:
            encoded = self._registry.encode_returned(function.spec.trigger, returned)
        except Exception as error:
            raise user_error(error) from error
        outputs = {name: out.get() for name, out in outs.items() if out.get() is not None}
        sent = {**outputs, **_returned(function, returned)}
        await self._send_outputs(function, sent, invocation)
        return InvocationResult(returned=encoded, outputs=outputs)

    async def _inputs(
        self, function: LoadedFunction, value: object, invocation_id: str
    ) -> tuple[Invocation, dict[str, Any]]:
        """What the bindings may know of the call, and the values of trigger and inputs by parameter."""
        trigger, registry = function.spec.trigger, self._registry
        if isinstance(value, ByHand):
            value = await registry.value_by_hand(trigger, value, self._services)
        has_others = bool(function.spec.inputs or function.spec.outputs)
        data: Mapping[str, object] = registry.trigger_data(trigger, value) if has_others else {}
        invocation = Invocation(id=invocation_id, function=function.name, data=data)
        annotation = function.annotations.get(trigger.name)
        arguments = {trigger.name: registry.decode_trigger(trigger, value, annotation)}
        for name, source in self._sources_of(function).items():
            arguments[name] = await source(invocation)
        return invocation, arguments

    def _sources_of(self, function: LoadedFunction) -> Mapping[str, InputSource]:
        sources = self._sources.get(function.name)
        if sources is None:
            sources = self._sources[function.name] = {
                b.name: self._registry.input_source(
                    b, function.annotations.get(b.name), self._services
                )
                for b in function.spec.inputs
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

    async def _send_outputs(
        self, function: LoadedFunction, values: Mapping[str, Any], invocation: Invocation
    ) -> None:
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
                await sink(value, invocation)
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


def _following(
    retry: RetryContext, error: UserFunctionError | FunctionTimeoutError
) -> RetryContext:
    stack = error.stack if isinstance(error, UserFunctionError) else ""
    return RetryContext(
        retry_count=retry.retry_count + 1,
        max_retry_count=retry.max_retry_count,
        exception=RetryException(message=str(error), stack_trace=stack),
    )


def _log_given_up(function: LoadedFunction, retries: int) -> None:
    _log.error(
        "Function execution failed after '%d' retries.",
        retries,
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
