"""Checks a function's parameters against its bindings. Source: reference functions-host.md 2.4."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Any, Final

from emulator.errors import ConfigError
from emulator.host.binding_api import BindingRegistry, BindingSpec, Direction
from emulator.host.function_app import FunctionSpec, LoadedFunction

RETURN: Final = "$return"
CONTEXT: Final = "context"
_Annotations = Mapping[str, object]


def check_signature(
    spec: FunctionSpec, function: Callable[..., Any], registry: BindingRegistry
) -> LoadedFunction:
    """Make a runnable function of a declaration and its code.

    Raises:
        ConfigError: parameters, annotations and bindings do not agree; names them, the function and its file.
    """
    where = f"function {spec.name!r} ({spec.script})"
    wants_context = _check_parameters(spec, function, where)
    annotations = _annotations(function, where)
    if wants_context:
        _check_context(annotations, where)
    for binding in spec.bindings:
        if binding.name in annotations:
            _check_annotation(binding, annotations[binding.name], registry, where)
        elif binding.name == RETURN and "return" in annotations:
            _check_value_type(binding, annotations["return"], registry, where)
    return LoadedFunction(
        spec=spec,
        callable=function,
        is_async=inspect.iscoroutinefunction(function),
        wants_context=wants_context,
        annotations=annotations,
    )


def _check_parameters(spec: FunctionSpec, function: Callable[..., Any], where: str) -> bool:
    """Whether the function wants to be told of its invocation."""
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigError(f"{where}: *{parameter.name} is not supported; name every parameter")
    bound = {binding.name for binding in spec.bindings if binding.name != RETURN}
    names = set(parameters)
    wants_context = CONTEXT in names and CONTEXT not in bound
    missing = bound - names
    if missing == {spec.trigger.name} and wants_context and spec.trigger.kind in _WRAPPED:
        raise ConfigError(
            f"{where}: the SDK calls orchestrators and entities with a parameter named {CONTEXT!r}; write "
            f'context_name="{CONTEXT}", and name the parameter so'
        )
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
    return wants_context


_WRAPPED: Final = frozenset({"orchestrationtrigger", "entitytrigger"})


def _annotations(function: Callable[..., Any], where: str) -> _Annotations:
    try:
        return dict(typing.get_type_hints(function))
    except Exception as error:
        raise ConfigError(
            f"{where}: its annotations cannot be read: {type(error).__name__}: {error}. Import the names that they "
            "use when the module is loaded, or remove the annotations"
        ) from error


def _check_context(annotations: _Annotations, where: str) -> None:
    annotation = annotations.get(CONTEXT)
    if annotation is None or getattr(annotation, "__name__", "") == "Context":
        return
    raise ConfigError(
        f"{where}: the parameter {CONTEXT!r} has no binding, so it is the invocation's context and its annotation "
        f"must be func.Context, not {_shown(annotation)}"
    )


def _check_annotation(
    binding: BindingSpec, annotation: object, registry: BindingRegistry, where: str
) -> None:
    is_out = getattr(typing.get_origin(annotation) or annotation, "__name__", "") == "Out"
    if is_out != (binding.direction is Direction.OUT):
        wanted = "func.Out[...]" if binding.direction is Direction.OUT else "no func.Out"
        raise ConfigError(
            f"{where}: the parameter {binding.name!r} is bound with direction {binding.direction}, so its "
            f"annotation must be {wanted}"
        )
    if not is_out:
        _check_value_type(binding, annotation, registry, where)
        return
    inner = typing.get_args(annotation)
    if len(inner) != 1:
        raise ConfigError(
            f"{where}: the annotation of {binding.name!r} must say what is put out, such as func.Out[str]"
        )
    _check_value_type(binding, inner[0], registry, where)


def _check_value_type(
    binding: BindingSpec, annotation: object, registry: BindingRegistry, where: str
) -> None:
    kind = annotation if isinstance(annotation, type) else typing.get_origin(annotation)
    if not isinstance(kind, type) or _is_union(annotation):
        raise ConfigError(
            f"{where}: the binding {binding.name!r} has the invalid non-type annotation {_shown(annotation)}: it must "
            "be one class; Optional and Union are refused on Azure, too"
        )
    if not registry.accepts(binding, annotation):
        raise ConfigError(
            f"{where}: the type of {binding.name!r} ({binding.type}) does not match its Python annotation "
            f"{_shown(annotation)}; use the class that the binding gives, or no annotation{_hint(annotation)}"
        )


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) is typing.Union or type(annotation).__name__ == "UnionType"


def _hint(annotation: object) -> str:
    """The worker knows lists by their names in typing only."""
    if isinstance(annotation, GenericAlias) and typing.get_origin(annotation) is list:
        return f"; write typing.List instead of list in {annotation}"
    return ""


def _shown(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
