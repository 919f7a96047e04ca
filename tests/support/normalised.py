"""What no two runs share is taken out here, of ours and of the recorded: ids of requests, times of writing, stacks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emulator.core.instant import MIN_INSTANT
from emulator.core.messages import TaskMessage
from emulator.wire.queue_message import encode_event
from emulator.wire.spill import is_oversized

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_REQUEST_TIME = re.compile(r'requestTime\\*":\\*"[^"\\]*')
_STACK = re.compile(r"(Stack: |StackTrace: ).*", re.DOTALL)
_WRITE_TIMES = ("LastUpdatedTime", "CompletedTime")


def plain(text: str) -> str:
    """Without what no two runs share: ids of requests, the clock, stacks."""
    return _STACK.sub(r"\1", without_ids(text))


def without_ids(text: str) -> str:
    """Without ids and times of requests, in plain text or in JSON of any depth."""
    return _REQUEST_TIME.sub("", _GUID.sub("GUID", text))


def plain_columns(columns: Mapping[str, Any], *, is_decision: bool = False) -> dict[str, Any]:
    """Columns of a row, without the time if the episode itself wrote it, and without what lies in a blob."""
    kept = {name: plain(v) if isinstance(v, str) else v for name, v in columns.items()}
    if is_decision:
        kept["_Timestamp"] = None
    for name in [n for n in kept if n.endswith("BlobName")]:
        kept[name.removesuffix("BlobName")] = "in a blob"
        del kept[name]
    for name, value in kept.items():
        if isinstance(value, str) and (is_oversized(value) or value.startswith("http://127.")):
            kept[name] = "in a blob"
        if name in _WRITE_TIMES:
            kept[name] = None
    return kept


def plain_message(message: TaskMessage) -> str:
    """Addressee and event, without the time of its sending."""
    event = replace(message.event, timestamp=MIN_INSTANT)
    return f"{message.target} {plain(encode_event(event))}"
