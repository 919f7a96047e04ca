"""The files in which the Functions host keeps its keys: one for the host, one for each function.

Values are kept in the clear (`encrypted` false), as the real host does outside Azure. Source: reference
functions-host.md 4.6; Azure/azure-functions-host, HostSecrets and FunctionSecrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from emulator.core.json_text import indented, loads
from emulator.errors import DecodeError

CONTAINER: Final = "azure-webjobs-secrets"
MASTER_NAME: Final = "master"
HOST_FILE: Final = "host.json"
SYSTEM_NAME: Final = "durabletask_extension"
"""System key of the management API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key. It is shown nowhere but where someone asks for it."""

    name: str
    value: str

    def __repr__(self) -> str:
        """Without the value, so that no log shows it."""
        return f"Key({self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """Keys of the whole host."""

    master: Key
    function_keys: tuple[Key, ...] = ()
    """Open every function."""
    system_keys: tuple[Key, ...] = ()
    """Open the webhook of one extension each."""


def encode_host(keys: HostKeys, host_name: str) -> str:
    """Text of the host's file."""
    return indented(
        {
            "masterKey": _members(keys.master),
            "functionKeys": [_members(key) for key in keys.function_keys],
            "systemKeys": [_members(key) for key in keys.system_keys],
            **_origin(host_name),
        }
    )


def decode_host(text: str) -> HostKeys:
    """Read the host's file.

    Raises:
        DecodeError: it is no such file.
    """
    members = _object(text)
    return HostKeys(
        master=_key(members.get("masterKey")),
        function_keys=_keys(members.get("functionKeys")),
        system_keys=_keys(members.get("systemKeys")),
    )


def encode_function(keys: tuple[Key, ...], host_name: str) -> str:
    """Text of a function's file."""
    return indented({"keys": [_members(key) for key in keys], **_origin(host_name)})


def decode_function(text: str) -> tuple[Key, ...]:
    """Read a function's file.

    Raises:
        DecodeError: it is no such file.
    """
    return _keys(_object(text).get("keys"))


def _origin(host_name: str) -> dict[str, object]:
    return {"hostName": host_name, "instanceId": "", "source": "runtime", "decryptionKeyId": ""}


def _members(key: Key) -> dict[str, object]:
    return {"name": key.name, "value": key.value, "encrypted": False}


def _keys(value: object) -> tuple[Key, ...]:
    return (
        tuple(_key(item) for item in cast("list[object]", value)) if isinstance(value, list) else ()
    )


def _key(value: object) -> Key:
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    name, text = members.get("name"), members.get("value")
    if not isinstance(name, str) or not isinstance(text, str):
        raise DecodeError(f"a key in {CONTAINER} has no name or no value")
    if members.get("encrypted"):
        raise DecodeError(
            f"the key {name!r} in {CONTAINER} is encrypted by another host and cannot be used here; give this one "
            "an id of its own with the setting AzureFunctionsWebHost__hostid"
        )
    return Key(name=name, value=text)


def _object(text: str) -> dict[str, object]:
    try:
        value = loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"a key file in {CONTAINER} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DecodeError(f"a key file in {CONTAINER} is no JSON object")
    return cast("dict[str, object]", value)
