"""Reads an entity's state off the row of its scheduler."""

from __future__ import annotations

from typing import cast

from emulator.core.instance import InstanceRecord
from emulator.core.json_text import loads
from emulator.engine.ports import EntityRead


def read_state(record: InstanceRecord) -> EntityRead | None:
    """State of the entity behind a scheduler's row; None if the entity does not exist (any more)."""
    if "entityExists" not in (record.custom_status or ""):
        return None
    try:
        scheduler: object = loads(record.input or "null")
    except ValueError:
        return None
    if not isinstance(scheduler, dict):
        return None
    state = cast("dict[str, object]", scheduler).get("state")
    return EntityRead(state=state if isinstance(state, str) else None)
