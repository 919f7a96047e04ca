"""Polling and abandon delays: arithmetic only.

Source: DurableTask.AzureStorage, BackoffPollingHelper and TaskHubQueue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

POLLING_INTERVAL_MIN_S: Final = 0.05
ABANDON_DELAY_MAX_S: Final = 600
_ABANDON_EXPONENT_MAX: Final = 30
JITTER_LOW: Final = 0.8
JITTER_HIGH: Final = 1.2


@dataclass(frozen=True, slots=True)
class PollingDelay:
    """How long to wait after an empty receive. Begins at zero and grows towards a maximum."""

    interval_s: float = 0.0
    exponent: int = 0

    def after_signal(self) -> PollingDelay:
        """The wait was cut short because something arrived."""
        return PollingDelay(POLLING_INTERVAL_MIN_S, 1)

    def after_timeout(self, *, maximum_s: float, jitter: float) -> PollingDelay:
        """The wait ran out. `jitter` is drawn between JITTER_LOW and JITTER_HIGH."""
        if self.interval_s == maximum_s:
            return self
        following = POLLING_INTERVAL_MIN_S
        if self.exponent:
            following += POLLING_INTERVAL_MIN_S * 2.0 ** (self.exponent - 1) * jitter
        if following < maximum_s:
            return PollingDelay(following, self.exponent + 1)
        return PollingDelay(maximum_s, self.exponent)


def abandon_delay_s(dequeue_count: int) -> int:
    """Seconds until an abandoned message is visible again: 2, 4, 8, ... 600."""
    if dequeue_count > _ABANDON_EXPONENT_MAX:
        return ABANDON_DELAY_MAX_S
    return min(1 << max(dequeue_count, 0), ABANDON_DELAY_MAX_S)
