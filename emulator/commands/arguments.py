"""Texts of the command line as values: times, statuses, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from emulator.core.instant import Instant
from emulator.core.json_text import compact, quote
from emulator.core.status import RuntimeStatus
from emulator.errors import ConfigError, DecodeError

_BY_LOWER: Final = {str(status).lower(): status for status in RuntimeStatus}


def instant(text: str | None, flag: str) -> Instant | None:
    """A time; None if none was given.

    Raises:
        ConfigError: it is no ISO 8601 time.
    """
    if text is None:
        return None
    try:
        return Instant.parse(text.strip().replace("z", "Z"))
    except DecodeError as error:
        raise ConfigError(
            f"{flag}: {text!r} is no time; write it as 2026-01-31 or 2026-01-31T12:00:00Z (UTC)"
        ) from error


def statuses(text: str | None, flag: str) -> frozenset[RuntimeStatus]:
    """Names of states, separated by blanks or commas, in any case.

    Raises:
        ConfigError: one is no state.
    """
    found: set[RuntimeStatus] = set()
    for word in (text or "").replace(",", " ").split():
        status = _BY_LOWER.get(word.lower())
        if status is None:
            raise ConfigError(
                f"{flag}: {word!r} is no runtime status; use some of {', '.join(_BY_LOWER)}"
            )
        found.add(status)
    return frozenset(found)


def payload(text: str | None, flag: str, what: str) -> str | None:
    """JSON text of an input or event: `@file` holds JSON, anything else is a string, as `func durable` has it.

    Raises:
        ConfigError: the file is not there or holds no JSON.
    """
    if text is None:
        return None
    if not text.startswith("@"):
        return quote(text)
    try:
        return compact(json.loads(file_text(text[1:], flag, what)))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{flag}: the file {text[1:]} holds no JSON: {error}") from error


def file_text(name: str, flag: str, what: str) -> str:
    """What a file holds that a flag names.

    Raises:
        ConfigError: it is not there or no UTF-8 text.
    """
    path = Path(name)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Could not find {what} file at '{path}' ({flag}): {error}") from error
