"""Retry policies of functions, durable ones apart. Source: reference functions-host.md 7.7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from emulator.core.backoff import JITTER_HIGH, JITTER_LOW
from emulator.errors import ConfigError
from emulator.host.host_json import parse_span

FOR_EVER: Final = -1
_STRATEGIES: Final = {"fixeddelay": False, "exponentialbackoff": True}
_EXPONENT_MAX: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and when a function that failed is called again.

    Attributes:
        count_max: retries after the first call; -1 means for ever.
        shortest: the delay, or the first one if `grows`.
        longest: no delay is longer.
    """

    count_max: int
    shortest: timedelta
    longest: timedelta
    grows: bool

    def allows(self, retries: int) -> bool:
        """Whether there is another retry after so many."""
        return self.count_max == FOR_EVER or retries < self.count_max

    def delay(self, retries: int, jitter: float) -> timedelta:
        """How long to wait before the next retry.

        Args:
            jitter: drawn between JITTER_LOW and JITTER_HIGH; only growing delays have it.
        """
        assert JITTER_LOW <= jitter <= JITTER_HIGH
        if not self.grows:
            return self.shortest
        grown = self.shortest * float(2 ** min(retries, _EXPONENT_MAX)) * jitter
        return min(max(grown, self.shortest), self.longest)


def read_policy(declared: Mapping[str, str] | None, where: str) -> RetryPolicy | None:
    """The policy of a declaration in either model; None if there is none.

    Raises:
        ConfigError: a member is missing or wrong; says which and what to write.
    """
    if declared is None:
        return None
    members = {name.lower().replace("_", ""): value for name, value in declared.items()}
    strategy = members.get("strategy", "").lower().replace("_", "")
    if strategy not in _STRATEGIES:
        raise ConfigError(
            f"{where}: the retry strategy is {members.get('strategy')!r}; use fixed_delay or exponential_backoff "
            "(fixedDelay or exponentialBackoff in function.json)"
        )
    grows = _STRATEGIES[strategy]
    shortest = _span(members, "minimuminterval" if grows else "delayinterval", where)
    longest = _span(members, "maximuminterval", where) if grows else shortest
    if longest < shortest:
        raise ConfigError(f"{where}: the retry policy's maximum interval is below its minimum")
    return RetryPolicy(
        count_max=_count(members.get("maxretrycount"), where),
        shortest=shortest,
        longest=longest,
        grows=grows,
    )


_SPELLED: Final = {
    "delayinterval": "delay_interval (delayInterval)",
    "minimuminterval": "minimum_interval (minimumInterval)",
    "maximuminterval": "maximum_interval (maximumInterval)",
}


def _span(members: Mapping[str, str], name: str, where: str) -> timedelta:
    span = parse_span(members.get(name) or "")
    if span is None:
        raise ConfigError(
            f"{where}: the retry policy's {_SPELLED[name]} is {members.get(name)!r}; write a duration hh:mm:ss"
        )
    return span


def _count(text: str | None, where: str) -> int:
    try:
        count = int(text or "")
    except ValueError:
        count = FOR_EVER - 1
    if count < FOR_EVER:
        raise ConfigError(
            f"{where}: the retry policy's max_retry_count (maxRetryCount) is {text!r}; write a whole number, "
            "or -1 for ever"
        )
    return count
