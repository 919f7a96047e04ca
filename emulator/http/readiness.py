"""Requests that come before the host is ready: they are held for a while, and then refused.

Source: reference functions-host.md 3.1 and 3.9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from emulator.log import fields, get_logger

_log = get_logger(__name__)
NOT_RUNNING: Final = "Function host is not running."
"""What the real host answers, code 503."""


class NotReadyError(Exception):
    """The host is not ready: code 503. The first line is the real host's, the second says what is awaited."""

    def __init__(self, held: timedelta, awaited: str) -> None:
        """Name what is missing after a request was held for so long."""
        super().__init__(
            f"{NOT_RUNNING}\nAfter {held.total_seconds():g} s it still waits for {awaited}. /admin/host/status tells "
            "when it is over, the host's log what fails, and `durable doctor` looks at the store.\n"
        )


class Readiness:
    """Whether leases and listeners are up."""

    def __init__(
        self,
        awaited: Callable[[], str | None],
        wait: Callable[[], Awaitable[None]],
        hold: timedelta,
    ) -> None:
        """Know when the host is ready.

        Args:
            awaited: what the host waits for; None once it is ready.
            wait: returns when it is ready.
            hold: for how long a request may wait.
        """
        self._awaited = awaited
        self._wait = wait
        self._hold = hold
        self._has_told = False

    @property
    def is_ready(self) -> bool:
        """Whether requests are served."""
        return self._awaited() is None

    async def reached(self) -> None:
        """Wait until the host is ready.

        Raises:
            NotReadyError: that takes too long.
        """
        if self.is_ready:
            return
        try:
            async with asyncio.timeout(self._hold.total_seconds()):
                await self._wait()
        except TimeoutError as error:
            raise self._refusal() from error

    def _refusal(self) -> NotReadyError:
        awaited = self._awaited() or "nothing any more"
        if not self._has_told:
            self._has_told = True
            _log.warning(
                "a request is refused with 503: after %g s this host still waits for %s",
                self._hold.total_seconds(),
                awaited,
                extra=fields("request_failed"),
            )
        return NotReadyError(self._hold, awaited)
