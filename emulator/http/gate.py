"""Who may come in where keys are enforced. Source: reference http-api.md 5, functions-host.md 3.3.

A key in the header hides one in the query. No key, or one that nobody has, is 401; a key that opens something else is
403. Keys are compared in constant time, all of them, whichever fits, and appear in no message.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, Protocol

from emulator.http.queries import Query
from emulator.wire.secret_files import SYSTEM_NAME, HostKeys, Key

KEY_HEADER: Final = "x-functions-key"
KEY_PARAMETER: Final = "code"


class Level(StrEnum):
    """What a request needs."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    SYSTEM = "system"
    ADMIN = "admin"


class Keys(Protocol):
    """Where keys come from (host.keys.KeyStore)."""

    async def host(self) -> HostKeys:
        """Keys of the host."""
        ...

    async def function(self, name: str) -> tuple[Key, ...]:
        """Keys of one function."""
        ...


class Gate:
    """Enforces keys."""

    def __init__(self, keys: Keys) -> None:
        """Use these keys."""
        self._keys = keys

    async def refusal(
        self, level: Level, headers: Mapping[str, str], query: Query, *, function: str = ""
    ) -> int | None:
        """401 or 403; None if the request may pass.

        Args:
            headers: by lower-case name.
            function: whose keys open it, for Level.FUNCTION.
        """
        if level is Level.ANONYMOUS:
            return None
        shown = headers.get(KEY_HEADER)
        shown = shown if shown is not None else query.text(KEY_PARAMETER)
        if not shown:
            return 401
        opened = await self._opened_by(shown, function)
        if not opened:
            return 401
        return None if level in opened else 403

    async def _opened_by(self, shown: str, function: str) -> frozenset[Level]:
        """What a key opens; nothing if nobody has it."""
        host = await self._keys.host()
        own = await self._keys.function(function) if function else ()
        ours = [key for key in host.system_keys if key.name == SYSTEM_NAME]
        others = [key for key in host.system_keys if key.name != SYSTEM_NAME]
        found = (
            (_is_one_of(shown, [host.master]), frozenset(Level)),
            (_is_one_of(shown, [*host.function_keys, *own]), {Level.ANONYMOUS, Level.FUNCTION}),
            (_is_one_of(shown, ours), {Level.ANONYMOUS, Level.SYSTEM}),
            (_is_one_of(shown, others), {Level.ANONYMOUS}),
        )
        return frozenset[Level]().union(*(levels for fits, levels in found if fits))


def level_of(auth_level: str | None) -> Level:
    """The level that an HTTP trigger asks for; `function` unless it says otherwise."""
    try:
        level = Level((auth_level or "").lower())
    except ValueError:
        return Level.FUNCTION
    return Level.FUNCTION if level is Level.SYSTEM else level


def _is_one_of(shown: str, keys: Iterable[Key]) -> bool:
    """Whether it is one of them. All are compared, so that the time tells nothing."""
    fits = False
    for key in keys:
        fits |= hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), key.value.encode())
    return fits
