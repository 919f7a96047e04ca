"""When a failed call is tried again.

Source: DurableTask.Core, RetryInterceptor: one more timer, due at once, follows the last failed attempt; a retry
time-out that has passed ends the attempts without one.
"""

from __future__ import annotations

from datetime import timedelta

from emulator.core.actions import RetryOptions
from emulator.core.instant import Instant


def delay_after(
    options: RetryOptions, *, attempt: int, first_try: Instant, now: Instant
) -> timedelta | None:
    """How long to wait after attempt number `attempt` (0-based) failed.

    Returns:
        Zero after the last attempt (the timer that leads nowhere), None if the retry time-out has passed.
    """
    if attempt + 1 >= options.max_attempts:
        return timedelta(0)
    if options.timeout is not None and now >= first_try.plus(options.timeout):
        return None
    try:
        delay = options.first_interval * options.backoff_coefficient**attempt
    except OverflowError:
        return options.max_interval
    return min(delay, options.max_interval)
