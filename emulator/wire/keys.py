"""Partition and row keys. Source: DurableTask.AzureStorage, KeySanitation; reference azure-storage-provider.md 3."""

from __future__ import annotations

import re
from typing import Final

from emulator.core.ids import InstanceId

SENTINEL: Final = "sentinel"
"""Row key of the row that guards an instance's history; sorts after every event's."""

KEY_LENGTH_MAX: Final = 512
"""UTF-16 characters of a partition key: 1 KiB (Azure Table storage)."""

_CONTROL_OFFSET: Final = 0xC0
_REPLACED: Final = {"^": "^^", "/": "^0", "\\": "^1", "#": "^2", "?": "^3"}
_RESTORED: Final = {value[1]: key for key, value in _REPLACED.items()}
_ESCAPE: Final = {
    **{ord(key): value for key, value in _REPLACED.items()},
    **{code: "^" + chr(code + _CONTROL_OFFSET) for code in (*range(0x20), *range(0x7F, 0xA0))},
}
_ESCAPED: Final = re.compile(r"\^(.)", re.DOTALL)


def escape(instance: InstanceId) -> str:
    """The partition key of an instance's rows. Never escape twice."""
    return instance.translate(_ESCAPE)


def unescape(key: str) -> InstanceId:
    """The instance id behind a partition key."""
    return InstanceId(_ESCAPED.sub(_restore, key)) if "^" in key else InstanceId(key)


def _restore(match: re.Match[str]) -> str:
    character = match[1]
    if character in _RESTORED:
        return _RESTORED[character]
    code = ord(character)
    return chr(code - _CONTROL_OFFSET) if code >= _CONTROL_OFFSET else character


def history_row_key(place: int) -> str:
    """Row key of the place-th event of an execution: 16 upper-case hex digits."""
    return f"{place:016X}"
