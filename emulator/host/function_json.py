"""function.json: one function of the v1 model. Source: reference functions-host.md 2.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from emulator.errors import ConfigError
from emulator.host.binding_api import BindingSpec, Direction
from emulator.host.function_app import FunctionSpec
from emulator.host.host_json import json_object, read_json_file

FILE: Final = "function.json"
DEFAULT_SCRIPT: Final = "__init__.py"
OLD_SCRIPT: Final = "run.py"
DEFAULT_ENTRY_POINT: Final = "main"
_FUNCTION_NAME: Final = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_BINDING_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,127}|\$return")


def read_function_json(folder: Path) -> FunctionSpec:
    """Read and check one function's declaration.

    Raises:
        ConfigError: it is no JSON, or a member is missing or wrong; names the file and the cure.
    """
    path = folder / FILE
    members = _lowered(json_object(read_json_file(path), str(path)))
    items = members.get("bindings")
    if not isinstance(items, list) or not items:
        raise ConfigError(f'{path}: "bindings" must be a list with at least a trigger')
    script = _script(folder, members, path)
    spec = FunctionSpec(
        name=folder.name,
        bindings=tuple(read_binding(item, str(path)) for item in cast("list[object]", items)),
        script=script,
        entry_point=str(members.get("entrypoint") or DEFAULT_ENTRY_POINT),
        directory=folder,
        retry=_retry(members.get("retry")),
        declaration=path,
    )
    check_spec(spec, str(path))
    return spec


def read_binding(item: object, where: str) -> BindingSpec:
    """Read one binding.

    Raises:
        ConfigError: type or name is missing, or the direction is none.
    """
    if not isinstance(item, dict):
        raise ConfigError(f"{where}: every binding must be a JSON object")
    members = _lowered(cast("dict[str, object]", item))
    kind, name = members.get("type"), members.get("name")
    if not kind or not name:
        raise ConfigError(f'{where}: every binding needs a "type" and a "name"; one has {members}')
    direction = str(members.get("direction") or "in").lower()
    if direction not in ("in", "out"):
        raise ConfigError(
            f"{where}: the binding {name!r} has the direction {direction!r}; use in or out"
        )
    return BindingSpec(
        type=str(kind), name=str(name), direction=Direction(direction), properties=members
    )


def check_spec(spec: FunctionSpec, where: str) -> None:
    """Check what holds for functions of both models.

    Raises:
        ConfigError: a name is illegal or used twice, or there is not exactly one trigger.
    """
    if not _FUNCTION_NAME.fullmatch(spec.name) or spec.name.lower() == "host":
        raise ConfigError(
            f"{where}: {spec.name!r} is no function name; use letters, digits, _ and -, begin with a letter, "
            "and do not use 'host'"
        )
    names = [binding.name.lower() for binding in spec.bindings]
    for binding in spec.bindings:
        if not _BINDING_NAME.fullmatch(binding.name):
            raise ConfigError(
                f"{where}: The binding name {binding.name} is invalid. Use letters and digits, the first a letter"
            )
        if names.count(binding.name.lower()) > 1:
            raise ConfigError(
                f"{where}: the binding name {binding.name!r} is used twice; rename one"
            )
        if binding.name == "$return" and binding.direction is not Direction.OUT:
            raise ConfigError(f'{where}: the binding $return must have "direction": "out"')
    triggers = [binding.type for binding in spec.bindings if binding.is_trigger]
    if len(triggers) != 1:
        found = ", ".join(triggers) or "none"
        raise ConfigError(
            f"{where}: the function {spec.name!r} must have exactly one trigger binding; it has {found}"
        )


def _lowered(members: Mapping[str, object]) -> dict[str, object]:
    return {name.lower(): value for name, value in members.items()}


def _script(folder: Path, members: Mapping[str, object], path: Path) -> Path:
    named = members.get("scriptfile")
    if named:
        script = folder / str(named)
    else:
        scripts = {item.name.lower(): item for item in folder.glob("*.py") if item.is_file()}
        only = next(iter(scripts.values())) if len(scripts) == 1 else None
        script = only or scripts.get(OLD_SCRIPT) or folder / DEFAULT_SCRIPT
    if not script.exists():
        raise ConfigError(
            f'{path}: the script {script} does not exist; correct "scriptFile" or add the file'
        )
    if script.suffix != ".py":
        raise ConfigError(f"{path}: {script.name} is no Python file; only Python apps run here")
    return script.resolve()


def _retry(value: object) -> Mapping[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {str(k).lower(): str(v) for k, v in cast("dict[str, object]", value).items()}
