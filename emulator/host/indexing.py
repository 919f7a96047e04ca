"""Finds the functions of an app, in either programming model. Source: reference functions-host.md 2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from emulator.errors import ConfigError
from emulator.host.binding_api import BindingRegistry, BindingSpec, TriggerKind
from emulator.host.function_app import FunctionApp, FunctionFailure, FunctionSpec, LoadedFunction
from emulator.host.function_json import FILE, check_spec, read_binding, read_function_json
from emulator.host.loader import import_script, load_entry_point
from emulator.host.signature import check_signature
from emulator.settings import AppSettings

_SKIPPED: Final = frozenset({"__pycache__", "node_modules"})
_TRUE: Final = frozenset({"1", "true"})


@dataclass(slots=True)
class _Found:
    """What indexing collects."""

    functions: list[LoadedFunction] = field(default_factory=list[LoadedFunction])
    failures: list[FunctionFailure] = field(default_factory=list[FunctionFailure])
    disabled: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])


def load_app(settings: AppSettings, registry: BindingRegistry) -> FunctionApp:
    """Find and load everything.

    A fault of one function puts that function aside; a fault of a v2 app's script is one of the whole app.

    Raises:
        ConfigError: the v2 script cannot be imported or indexed.
    """
    script = settings.root / settings.script_file
    found = _Found()
    source: object = None
    if script.exists():
        source, declared = _declared_in(script, settings.root)
        for spec, function in declared:
            _add(found, settings, registry, spec, partial(_given, function))
    if not found.functions and not found.failures:
        for folder in _function_folders(settings.root):
            _add_folder(found, settings, registry, folder)
    elif any(_function_folders(settings.root)):
        found.warnings.append(
            f"{script.name} and function.json folders are both there; the folders are ignored. Some functions may "
            "not be indexed"
        )
    _check_durable_names(found)
    return FunctionApp(
        root=settings.root,
        functions=tuple(sorted(found.functions, key=lambda f: f.name.lower())),
        failures=tuple(sorted(found.failures, key=lambda f: f.name.lower())),
        disabled=tuple(sorted(found.disabled)),
        warnings=tuple(found.warnings),
        source=source,
    )


# --- one function -------------------------------------------------------------------------------------------------


def _add(
    found: _Found,
    settings: AppSettings,
    registry: BindingRegistry,
    spec: FunctionSpec,
    load: Callable[[], Callable[..., Any]],
) -> None:
    if settings.functions is not None and spec.name.lower() not in map(
        str.lower, settings.functions
    ):
        return
    if _is_disabled(settings, spec.name):
        found.disabled.append(spec.name)
        return
    try:
        check_spec(spec, str(spec.script))
        _check_unique(found, spec)
        _check_bindings(spec, registry)
        resolved = _resolved(spec, settings)
        _check_members(resolved, registry)
        found.functions.append(check_signature(resolved, load()))
    except ConfigError as error:
        message = f"The '{spec.name}' function is in error: {error}"
        found.failures.append(FunctionFailure(name=spec.name, message=message, spec=spec))
        return
    found.warnings.extend(
        f"the binding name {b.name!r} of function {spec.name!r} has an underscore: it works here, but Azure refuses "
        "such a function"
        for b in spec.bindings
        if "_" in b.name
    )


def _given(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


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
                f"Function {spec.name} does not have a unique function name: {other.spec.script} has "
                f"{other.name}. Please change @app.function_name() or the function method name to be unique."
            )


def _check_bindings(spec: FunctionSpec, registry: BindingRegistry) -> None:
    for binding in spec.bindings:
        refusal = registry.refusal(binding)
        if refusal is not None:
            raise ConfigError(f"{spec.script}: {refusal}")


def _check_members(spec: FunctionSpec, registry: BindingRegistry) -> None:
    for binding in spec.bindings:
        try:
            registry.check(binding)
        except ConfigError as error:
            raise ConfigError(f"{spec.script}: the binding {binding.name!r}: {error}") from error


def _check_durable_names(found: _Found) -> None:
    """Two functions of one durable name and kind: the later one, by name, is in error."""
    kinds = (TriggerKind.ORCHESTRATION, TriggerKind.ACTIVITY, TriggerKind.ENTITY)
    seen: dict[tuple[str, str], str] = {}
    for function in sorted(found.functions, key=lambda f: f.name.lower()):
        kind = function.spec.trigger.kind
        if kind not in kinds:
            continue
        key = (kind, function.spec.durable_name.lower())
        if key in seen:
            found.functions.remove(function)
            message = (
                f"The '{function.name}' function is in error: {function.spec.script}: its durable name "
                f"{function.spec.durable_name!r} is that of function '{seen[key]}'; rename one"
            )
            found.failures.append(
                FunctionFailure(name=function.name, message=message, spec=function.spec)
            )
        seen.setdefault(key, function.name)


def _resolved(spec: FunctionSpec, settings: AppSettings) -> FunctionSpec:
    """Put app settings in the place of `%NAME%` where the host does: everywhere but in routes.

    Raises:
        ConfigError: a setting does not exist.
    """
    return replace(spec, bindings=tuple(_resolved_binding(b, settings) for b in spec.bindings))


def _resolved_binding(binding: BindingSpec, settings: AppSettings) -> BindingSpec:
    properties: dict[str, object] = {}
    for name, value in binding.properties.items():
        text = value if isinstance(value, str) and "%" in value and name != "route" else None
        properties[name] = value if text is None else _resolve(text, settings)
    return replace(binding, properties=properties)


def _resolve(text: str, settings: AppSettings) -> str:
    parts = text.split("%")
    if len(parts) % 2 == 0:
        raise ConfigError(f"{text!r} has an odd %; write %NAME%")
    for index in range(1, len(parts), 2):
        value = settings.get(parts[index])
        if value is None:
            raise ConfigError(
                f"'%{parts[index]}%' does not resolve to a value. Add {parts[index]} to the Values of "
                "local.settings.json or to the environment"
            )
        parts[index] = value
    return "".join(parts)


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
        message = f"The '{folder.name}' function is in error: {error}"
        found.failures.append(FunctionFailure(name=folder.name, message=message))
        return
    _add(found, settings, registry, spec, lambda: load_entry_point(spec, settings.root))


# --- v2 -----------------------------------------------------------------------------------------------------------


def _declared_in(
    script: Path, root: Path
) -> tuple[object, list[tuple[FunctionSpec, Callable[..., Any]]]]:
    """The SDK's app object, and its functions."""
    from azure.functions import FunctionRegister

    module = import_script(script, root)
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
    try:
        functions: list[Any] = cast(Any, apps[0][1]).get_functions()
    except Exception as error:
        raise ConfigError(f"{script}: {error}") from error
    return apps[0][1], [(_spec_of(f, script, root), f.get_user_function()) for f in functions]


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
