"""How much memory payloads take: texts that apps choose, and that may be large."""

from __future__ import annotations

from dataclasses import fields
from sys import getsizeof
from typing import Final, get_args

from emulator.core.events import HistoryEvent

_PAYLOADS: Final = frozenset({"data", "details", "input", "reason", "result", "state"})
_PAYLOADS_OF: Final[dict[type, tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind) if field.name in _PAYLOADS)
    for kind in get_args(HistoryEvent)
}


def payload_bytes(event: HistoryEvent) -> int:
    """Bytes of memory of an event's payloads, without what every event takes."""
    values: list[object] = [getattr(event, name) for name in _PAYLOADS_OF[type(event)]]
    return sum(getsizeof(value) for value in values if isinstance(value, str))
