"""Finds the functions of an app, in either programming model. Source: reference functions-host.md 2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

from emulator.core.parity import Deviation
from emulator.errors import ConfigError
from emulator.host.binding_api import (
    BindingRegistry,
    BindingSpec,
    FunctionLoadError,
    TriggerKind,
)
from emulator.host.expressions import resolve_settings
from emulator.host.function_app import (
    FunctionApp,
    FunctionFailure,
    FunctionSpec,
    LoadedFunction,
    name_order,
)
from emulator.host.function_json import FILE, check_spec, read_binding, read_function_json
from emulator.host.loader import import_script, load_entry_point
from emulator.host.retry_policy import read_policy
from emulator.host.signature import check_signature
from emulator.settings import AppSettings

_SKIPPED: Final = frozenset({"__pycache__", "node_modules"})
_TRUE: Final = frozenset({"1", "true"})


Loader = Callable[[FunctionSpec], LoadedFunction]
"""Makes a runnable function of a declaration; a ConfigError says why it cannot."""


@dataclass(slots=True)
class _Found:
    """What indexing collects."""

    functions: list[LoadedFunction] = field(default_factory=list[LoadedFunction])
    failures: list[FunctionFailure] = field(default_factory=list[FunctionFailure])
    disabled: list[FunctionSpec] = field(default_factory=list[FunctionSpec])
    warnings: list[str] = field(default_factory=list[str])
    deviations: list[Deviation] = field(default_factory=list[Deviation])
    names: set[str] = field(default_factory=set[str])
    """Of all that is declared, in lower case."""


def load_app(settings: AppSettings, registry: BindingRegistry) -> FunctionApp:
    """Find and load everything.

    A fault of one declaration puts that function aside. A v1 function whose code cannot be loaded is there, and each
    call of it fails; a fault of a v2 app's code is one of the whole app.

    Raises:
        ConfigError: the v2 script cannot be imported or indexed.
    """
    script = settings.root / settings.script_file
    source, declared = (
        _declared_in(script, settings.root, registry) if script.exists() else (None, [])
    )
    folders = tuple(_function_folders(settings.root))
    found = _Found()
    for function in declared:
        _add(found, settings, registry, function.spec, partial(_with_spec, function))
    if not declared:
        for folder in folders:
            _add_folder(found, settings, registry, folder)
    elif folders:
        names = ", ".join(folder.name for folder in folders)
        found.warnings.append(
            "Detected mixed function app. Some functions may not be indexed - "
            f"{names}: {script.name} is there, so folders with a {FILE} are ignored; remove the one or the others"
        )
    _check_durable_names(found)
    _check_allow_list(found, settings)
    return FunctionApp(
        root=settings.root,
        functions=tuple(sorted(found.functions, key=lambda f: name_order(f.name))),
        failures=tuple(sorted(found.failures, key=lambda f: name_order(f.name))),
        disabled=tuple(sorted(found.disabled, key=lambda spec: name_order(spec.name))),
        warnings=tuple(found.warnings),
        deviations=tuple(found.deviations),
        source=source,
    )


# --- one function -------------------------------------------------------------------------------------------------


def _add(
    found: _Found,
    settings: AppSettings,
    registry: BindingRegistry,
    spec: FunctionSpec,
    load: Loader,
) -> None:
    found.names.add(spec.name.lower())
    if settings.functions is not None and spec.name.lower() not in map(
        str.lower, settings.functions
    ):
        return
    try:
        check_spec(spec, str(spec.place))
        _check_unique(found, spec)
        _check_bindings(spec, registry)
        if _is_disabled(settings, spec.name):
            found.disabled.append(spec)
            return
        resolved = _resolved(spec, settings)
        _check_members(resolved, registry)
        retry = read_policy(spec.retry, str(spec.place))
    except ConfigError as error:
        found.failures.append(
            _failure(spec.name, f"The '{spec.name}' function is in error: {error}", spec)
        )
        return
    found.functions.append(replace(_loaded(found, resolved, load), retry=retry))
    remarks = (registry.remark(binding) for binding in spec.bindings)
    found.warnings.extend(f"function {spec.name!r}: {remark}" for remark in remarks if remark)
    found.deviations.extend(
        Deviation.binding_underscore(binding.name, spec.name)
        for binding in spec.bindings
        if "_" in binding.name
    )


def _loaded(found: _Found, spec: FunctionSpec, load: Loader) -> LoadedFunction:
    """The function, or one in its place that says why it could not be loaded."""
    try:
        return load(spec)
    except ConfigError as error:
        message = f"Worker failed to load function: '{spec.name}': {error}"
        found.failures.append(_failure(spec.name, message, spec))
        return LoadedFunction(
            spec=spec, callable=_raising(message), is_async=False, wants_context=False
        )


def _raising(message: str) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> object:
        raise FunctionLoadError(message)

    return fail


def _failure(name: str, message: str, spec: FunctionSpec | None = None) -> FunctionFailure:
    return FunctionFailure(name=name, message=message, spec=spec)


def _with_spec(function: LoadedFunction, spec: FunctionSpec) -> LoadedFunction:
    return replace(function, spec=spec)


def _check_allow_list(found: _Found, settings: AppSettings) -> None:
    unknown = [name for name in settings.functions or () if name.lower() not in found.names]
    if unknown:
        found.warnings.append(
            f"--functions, or the functions of host.json, name {', '.join(unknown)}, which the app does not have"
        )


def _is_disabled(settings: AppSettings, name: str) -> bool:
    values = (
        settings.get(f"AzureWebJobs.{name}.Disabled"),
        settings.get(f"AzureWebJobs_{name}_Disabled"),
    )
    return any((value or "").lower() in _TRUE for value in values)


def _check_unique(found: _Found, spec: FunctionSpec) -> None:
    for other in found.functions:
        if other.name.lower() == spec.name.lower():
            raise ConfigError(
                f"Function {spec.name} does not have a unique function name: {other.spec.place} has "
                f"{other.name}. Please change @app.function_name() or the function method name to be unique."
            )


def _check_bindings(spec: FunctionSpec, registry: BindingRegistry) -> None:
    for binding in spec.bindings:
        refusal = registry.refusal(binding)
        if refusal is not None:
            raise ConfigError(f"{spec.place}: {refusal}")


def _check_members(spec: FunctionSpec, registry: BindingRegistry) -> None:
    for binding in spec.bindings:
        try:
            registry.check(binding)
        except ConfigError as error:
            raise ConfigError(f"{spec.place}: the binding {binding.name!r}: {error}") from error


def _check_durable_names(found: _Found) -> None:
    """Two functions of one durable name and kind: the later one, by name, is in error."""
    kinds = (TriggerKind.ORCHESTRATION, TriggerKind.ACTIVITY, TriggerKind.ENTITY)
    seen: dict[tuple[str, str], str] = {}
    for function in sorted(found.functions, key=lambda f: name_order(f.name)):
        kind = function.spec.trigger.kind
        if kind not in kinds:
            continue
        key = (kind, function.spec.durable_name.lower())
        if key in seen:
            found.functions.remove(function)
            message = (
                f"The '{function.name}' function is in error: {function.spec.place}: its durable name "
                f"{function.spec.durable_name!r} is that of function '{seen[key]}'; rename one"
            )
            found.failures.append(_failure(function.name, message, function.spec))
        seen.setdefault(key, function.name)


def _resolved(spec: FunctionSpec, settings: AppSettings) -> FunctionSpec:
    """Put app settings in the place of `%NAME%` where the host does: everywhere but in routes.

    Raises:
        ConfigError: a setting does not exist.
    """
    where = str(spec.place)
    return replace(
        spec, bindings=tuple(_resolved_binding(b, settings, where) for b in spec.bindings)
    )


def _resolved_binding(binding: BindingSpec, settings: AppSettings, where: str) -> BindingSpec:
    def resolved(name: str, value: object) -> object:
        if not isinstance(value, str) or "%" not in value or name == "route":
            return value
        return resolve_settings(value, settings, f"{where}: binding {binding.name!r}, {name}")

    properties = {name: resolved(name, value) for name, value in binding.properties.items()}
    return replace(binding, properties=properties)


# --- v1 -----------------------------------------------------------------------------------------------------------


def _function_folders(root: Path) -> Iterable[Path]:
    for folder in sorted(root.iterdir()):
        hidden = folder.name.startswith(".") or folder.name in _SKIPPED
        if folder.is_dir() and not hidden and (folder / FILE).exists():
            yield folder


def _add_folder(
    found: _Found, settings: AppSettings, registry: BindingRegistry, folder: Path
) -> None:
    try:
        spec = read_function_json(folder)
    except ConfigError as error:
        found.names.add(folder.name.lower())
        message = f"The '{folder.name}' function is in error: {error}"
        found.failures.append(_failure(folder.name, message))
        return

    def load(resolved: FunctionSpec) -> LoadedFunction:
        return check_signature(resolved, load_entry_point(resolved, settings.root), registry)

    _add(found, settings, registry, spec, load)


# --- v2 -----------------------------------------------------------------------------------------------------------


def _declared_in(
    script: Path, root: Path, registry: BindingRegistry
) -> tuple[object, list[LoadedFunction]]:
    """The SDK's app object, and what it declares as the worker indexes it: all of it, or nothing."""
    try:
        source = _app_in(import_script(script, root), script)
        return source, [
            check_signature(_spec_of(f, script, root), f.get_user_function(), registry)
            for f in _functions_of(source, script)
        ]
    except ConfigError as error:
        raise ConfigError(f"Worker failed to index functions: {error}") from error


def _app_in(module: ModuleType, script: Path) -> object:
    from azure.functions import FunctionRegister

    apps = [
        (name, value) for name, value in vars(module).items() if isinstance(value, FunctionRegister)
    ]
    if not apps:
        raise ConfigError(
            f"Could not find top level function app instances in {script.name} ({script}). Make one: "
            "app = df.DFApp(...) or app = func.FunctionApp(...)"
        )
    if len(apps) > 1:
        names = ", ".join(name for name, _ in apps)
        raise ConfigError(
            f"More than one {type(apps[0][1]).__name__} or other top level function app instances are defined in "
            f"{script}: {names}. Keep one, and use Blueprints for the others"
        )
    return apps[0][1]


def _functions_of(source: Any, script: Path) -> list[Any]:  # noqa: ANN401 - the SDK's app
    try:
        return cast("list[Any]", source.get_functions())
    except Exception as error:
        raise ConfigError(f"{script}: {error}") from error


def _spec_of(function: Any, script: Path, root: Path) -> FunctionSpec:  # noqa: ANN401 - the SDK's Function
    user = function.get_user_function()
    code = getattr(getattr(user, "client_function", user), "__code__", None)
    retry = function.get_settings_dict("retry_policy")
    return FunctionSpec(
        name=function.get_function_name(),
        bindings=tuple(
            read_binding(json.loads(raw), str(script)) for raw in function.get_raw_bindings()
        ),
        script=Path(code.co_filename)
        if code is not None and not hasattr(user, "orchestrator_function")
        else script,
        entry_point=user.__name__,
        directory=root,
        retry={str(k): str(v) for k, v in retry.items()} if retry else None,
    )
