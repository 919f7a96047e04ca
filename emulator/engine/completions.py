"""Wakes those who wait for an instance as soon as this process, or one that it shares news with, has stored its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from emulator.core.ids import InstanceId

RECENT_MAX: Final = 1024
"""Ends that are remembered for those who ask a moment too late, such as who started what has ended already."""


class Completions:
    """Who waits for what, in this process."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiting: dict[InstanceId, list[asyncio.Event]] = {}
        self._recent: dict[InstanceId, None] = {}
        self.tell_others: Callable[[InstanceId], None] = _nobody
        """Told of every end that was stored here."""

    @contextmanager
    def watch(self, instance: InstanceId) -> Generator[asyncio.Event]:
        """An event that is set when the instance has ended here; it may end elsewhere, so look as well.

        It may be set for an end before the last start.
        """
        event = asyncio.Event()
        if instance in self._recent:
            event.set()
        self._waiting.setdefault(instance, []).append(event)
        try:
            yield event
        finally:
            waiting = self._waiting[instance]
            waiting.remove(event)
            if not waiting:
                del self._waiting[instance]

    def ended(self, instance: InstanceId) -> None:
        """The end of an instance was stored here."""
        self.tell_others(instance)
        self.heard(instance)

    def heard(self, instance: InstanceId) -> None:
        """The end of an instance is stored."""
        self._recent.pop(instance, None)
        self._recent[instance] = None
        if len(self._recent) > RECENT_MAX:
            del self._recent[next(iter(self._recent))]
        for event in self._waiting.get(instance, ()):
            event.set()


def _nobody(instance: InstanceId) -> None:
    """This process has no other to tell."""
