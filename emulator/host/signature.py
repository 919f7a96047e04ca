"""Checks a function's parameters against its bindings. Source: reference functions-host.md 2.4."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from emulator.errors import ConfigError
from emulator.host.binding_api import Direction
from emulator.host.function_app import FunctionSpec, LoadedFunction
from emulator.host.retry_policy import read_policy

RETURN = "$return"
CONTEXT = "context"


def check_signature(spec: FunctionSpec, function: Callable[..., Any]) -> LoadedFunction:
    """Make a runnable function of a declaration and its code.

    Raises:
        ConfigError: parameters and bindings do not agree, or the retry policy is wrong; names the function and
            its file.
    """
    where = f"function {spec.name!r} ({spec.script})"
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigError(f"{where}: *{parameter.name} is not supported; name every parameter")
    bound = {binding.name for binding in spec.bindings if binding.name != RETURN}
    names = set(parameters)
    wants_context = CONTEXT in names and CONTEXT not in bound
    missing = bound - names
    if missing:
        raise ConfigError(
            f"{where}: the following parameters are declared by bindings but not in Python: {sorted(missing)}; add "
            "them to the function, or rename the bindings"
        )
    unbound = names - bound - ({CONTEXT} if wants_context else set())
    if unbound:
        raise ConfigError(
            f"{where}: the following parameters are declared in Python but by no binding: {sorted(unbound)}; remove "
            "them, or add bindings of these names"
        )
    annotations = _annotations(function)
    _check_outputs(spec, annotations, where)
    return LoadedFunction(
        spec=spec,
        callable=function,
        is_async=inspect.iscoroutinefunction(function),
        wants_context=wants_context,
        retry=read_policy(spec.retry, where),
        annotations=annotations,
    )


def _annotations(function: Callable[..., Any]) -> dict[str, object]:
    try:
        return dict(typing.get_type_hints(function))
    except Exception:  # noqa: BLE001 - annotations are user code; without them nothing is checked
        return {}


def _check_outputs(spec: FunctionSpec, annotations: dict[str, object], where: str) -> None:
    for binding in spec.bindings:
        annotation = annotations.get(binding.name)
        if annotation is None or binding.name == RETURN:
            continue
        is_out = getattr(typing.get_origin(annotation) or annotation, "__name__", "") == "Out"
        if is_out != (binding.direction is Direction.OUT):
            wanted = "func.Out[...]" if binding.direction is Direction.OUT else "no func.Out"
            raise ConfigError(
                f"{where}: the parameter {binding.name!r} is bound with direction {binding.direction}, so its "
                f"annotation must be {wanted}"
            )
