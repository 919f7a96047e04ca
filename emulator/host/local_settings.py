"""local.settings.json: an app's settings on this machine. Source: reference functions-host.md 1.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from emulator.errors import ConfigError
from emulator.host.host_json import json_object, read_json_file

LOCAL_SETTINGS: Final = "local.settings.json"
_KEY_VAULT: Final = "@microsoft.keyvault("


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What the file holds; nothing if there is none."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """`Values`, and `ConnectionStrings` as `ConnectionStrings:NAME`."""
    host: Mapping[str, object] = field(default_factory=dict[str, object])
    """`Host`, by lower-case name."""
    notices: tuple[str, ...] = ()
    """What was passed over, for people."""


def read_local_settings(root: Path) -> LocalSettings:
    """Read the file of an app, if it has one.

    Raises:
        ConfigError: it is no JSON, is encrypted, or a value is no text; names file, member and cure.
    """
    path = root / LOCAL_SETTINGS
    if not path.exists():
        return LocalSettings()
    members = _lowered(json_object(read_json_file(path), str(path)))
    if members.get("isencrypted") is True:
        raise ConfigError(
            f"{path}: IsEncrypted is true, and encrypted settings cannot be read here. Run `func settings decrypt`, "
            "or set IsEncrypted to false and write the values in plain text"
        )
    notices: list[str] = []
    values = _values(members, path, notices)
    for name, value in _section(members, "ConnectionStrings", path).items():
        values[f"ConnectionStrings:{name}"] = _connection_string(name, value, path)
    host = _lowered(_section(members, "Host", path))
    return LocalSettings(values=values, host=host, notices=tuple(notices))


def merged(
    local: LocalSettings, environment: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The settings that an app sees, and a notice of each that was passed over.

    A variable of the process wins unless it is empty.
    """
    notices = [
        f"Skipping '{name}' from local settings as it's already defined in current environment variables."
        for name in local.values
        if environment.get(name)
    ]
    own = {k: v for k, v in environment.items() if v or k not in local.values}
    return {**local.values, **own}, (*local.notices, *notices)


def _values(members: Mapping[str, object], path: Path, notices: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in _section(members, "Values", path).items():
        if value is None:
            notices.append(f"Skipping '{name}' from local settings as its value is null ({path}).")
        elif name:
            values[name] = _scalar(value, f"{path}: Values.{name}")
            if values[name].lower().startswith(_KEY_VAULT):
                notices.append(
                    f"'{name}' is a Key Vault reference, which is not looked up here: the app sees its text. Write "
                    f"the value itself into {path} for local runs."
                )
    return values


def _section(members: Mapping[str, object], name: str, path: Path) -> Mapping[str, object]:
    value = members.get(name.lower())
    return {} if value is None else json_object(value, f"{path}: {name}")


def _lowered(members: Mapping[str, object]) -> dict[str, object]:
    return {name.lower(): value for name, value in members.items()}


def _connection_string(name: str, value: object, path: Path) -> str:
    where = f"{path}: ConnectionStrings.{name}"
    if not isinstance(value, dict):
        return _scalar(value, where)
    members = _lowered(cast("dict[str, object]", value))
    return _scalar(members.get("connectionstring"), f"{where}.ConnectionString")


def _scalar(value: object, where: str) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, str | int | float):
        return str(value)
    kind = "nothing" if value is None else "a list" if isinstance(value, list) else "an object"
    raise ConfigError(
        f'{where} must be text, but it is {kind}; write the value in quotes ("...") or remove it'
    )
