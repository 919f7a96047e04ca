"""Requests that come before the host is ready: they are held for a while, and then refused.

Source: reference functions-host.md 3.1 and 3.9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from emulator.log import fields, get_logger

_log = get_logger(__name__)
HOLD_S: Final = 30.0
NOT_RUNNING: Final = "Function host is not running."
"""What the real host answers, code 503."""
_WHY: Final = (
    "its task hub has not given it a partition yet, or the store of a trigger has not answered. See "
    "/admin/host/status, the host's log, and `durable doctor`"
)


class Readiness:
    """Whether leases and listeners are up."""

    def __init__(self, is_ready: Callable[[], bool], wait: Callable[[], Awaitable[None]]) -> None:
        """Ask `is_ready`, and `wait` until it is true."""
        self.is_ready = is_ready
        self._wait = wait
        self._has_told = False

    async def reached(self) -> bool:
        """Wait until the host is ready, HOLD_S at most; whether it is."""
        if self.is_ready():
            return True
        try:
            async with asyncio.timeout(HOLD_S):
                await self._wait()
        except TimeoutError:
            self._tell()
            return False
        return True

    def _tell(self) -> None:
        if not self._has_told:
            self._has_told = True
            _log.warning(
                "requests are refused with 503, since this host is not running %g s after they came: %s",
                HOLD_S,
                _WHY,
                extra=fields("request_failed"),
            )

    @staticmethod
    def refusal() -> str:
        """The text of the answer; its first line is the real host's."""
        return f"{NOT_RUNNING}\nAfter {HOLD_S:g} s {_WHY}.\n"
