"""Query strings under the rules of the real API. Pure. Source: reference http-api.md 1.2."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.status import STATUS_BY_NUMBER, RuntimeStatus
from emulator.errors import InvalidRequestError

_ISO: Final = re.compile(
    r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?)?\s*"
    r"(Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_SHORT_YEAR: Final = re.compile(r"\s*\d{1,2}-")
_US: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:\s+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_INTEGERS: Final = range(-(2**31), 2**31)
"""Those of .NET's int."""


class Query:
    """The parameters of a request: names without case, repeated values joined with a comma."""

    def __init__(self, text: str) -> None:
        """Parse a query string."""
        self._values: dict[str, str] = {}
        for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
            key = name.strip().lower()
            known = self._values.get(key)
            self._values[key] = value if known is None else f"{known},{value}"

    def text(self, name: str) -> str | None:
        """A value; None if the parameter is absent."""
        return self._values.get(name.lower())

    def given(self, name: str) -> str | None:
        """A value that is not blank."""
        value = self.text(name)
        return value if value and value.strip() else None

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false in any case; anything else counts as absent."""
        value = (self.text(name) or "").strip().lower()
        return value == "true" if value in ("true", "false") else default

    def number(self, name: str) -> int | None:
        """A whole number of 32 bits; anything else counts as absent."""
        return _whole(self.text(name) or "")

    def seconds(self, name: str) -> timedelta | None:
        """A number of seconds; anything else counts as absent."""
        try:
            return timedelta(seconds=float(self.text(name) or ""))
        except (ValueError, OverflowError):
            return None

    def instant(self, name: str, zone: tzinfo = UTC) -> Instant | None:
        """A time; anything else counts as absent.

        Args:
            zone: where a time without a zone is.
        """
        return parse_time(self.text(name) or "", zone)

    def statuses(self, name: str) -> frozenset[RuntimeStatus] | None:
        """States by name or number; None if none is named. A number without a name matches nothing.

        Raises:
            InvalidRequestError: it names the state Unknown.
        """
        return parse_statuses(self.text(name))

    @property
    def all(self) -> Mapping[str, str]:
        """All values by lower-case name."""
        return self._values


def _whole(text: str) -> int | None:
    stripped = text.strip()
    if not _INTEGER.fullmatch(stripped):
        return None
    number = int(stripped)
    return number if number in _INTEGERS else None


def parse_statuses(text: str | None) -> frozenset[RuntimeStatus] | None:
    """See Query.statuses."""
    found: set[RuntimeStatus] = set()
    named = False
    for item in (text or "").split(","):
        word = item.strip()
        if word in ("Unknown", "-1"):
            raise InvalidRequestError("Requested value 'Unknown' was not found.")
        if word in RuntimeStatus.__members__.values():
            found.add(RuntimeStatus(word))
        elif (number := _whole(word)) is not None:
            named = True
            if number in STATUS_BY_NUMBER:
                found.add(STATUS_BY_NUMBER[number])
    return frozenset(found) if found or named else None


def parse_time(text: str, zone: tzinfo = UTC) -> Instant | None:
    """A time in the forms that .NET's general parser takes; None if it is none.

    Args:
        zone: where a time without a zone is.
    """
    try:
        return _parse_time(text.strip(), zone)
    except (ValueError, OverflowError, TypeError):
        return None


def _parse_time(text: str, zone: tzinfo) -> Instant | None:
    match = _ISO.fullmatch(text)
    if match is not None:
        *parts, fraction, offset = match.groups()
        ticks = int((fraction or "0").ljust(7, "0"))
        if offset:
            return Instant(_instant_of(parts, UTC) - _offset_ticks(offset) + ticks)
        return Instant(_instant_of(parts, zone) + ticks)
    match = _US.fullmatch(text)
    if match is not None:
        month, day, *rest = match.groups()
        return _instant_of([rest[0], month, day, *rest[1:]], zone)
    return Instant.from_datetime(parsedate_to_datetime(text)) if "," in text else None


def _instant_of(parts: Sequence[str | None], zone: tzinfo) -> Instant:
    """Year to second, of which the time of day may be missing. The first day there is has no zone."""
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    if Instant.from_datetime(moment) == MIN_INSTANT:
        return MIN_INSTANT
    return Instant.from_datetime(moment.replace(tzinfo=zone))


def _offset_ticks(zone: str | None) -> int:
    if not zone or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-1 if zone[0] == "-" else 1) * minutes * 60 * 10_000_000


def is_bound(moment: Instant | None) -> bool:
    """Whether a time is a bound of a listing: the beginning of time is none."""
    return moment is not None and moment != MIN_INSTANT


def has_short_year(text: str) -> bool:
    """Whether a time begins with a year that the real parser does not take for one: of one or two digits."""
    return _SHORT_YEAR.match(text) is not None
