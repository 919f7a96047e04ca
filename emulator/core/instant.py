"""Points in time at the resolution of the stored ones: 100 ns.

Python's datetime stops at microseconds, the rows and messages of a task hub at a tenth of one. An instant is
therefore the .NET tick count, so that what was read is written again to the digit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Self

from emulator.errors import DecodeError

TICKS_PER_SECOND: Final = 10_000_000
_EPOCH: Final = datetime(1, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_MICROSECOND: Final = timedelta(microseconds=1)
_FRACTION_DIGITS: Final = 7


class Instant(int):
    """100 ns ticks since 0001-01-01T00:00:00Z. Ordered and comparable as the integer that it is."""

    __slots__ = ()

    @classmethod
    def from_datetime(cls, moment: datetime) -> Self:
        """The instant of an aware datetime; a naive one is taken as UTC."""
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return cls((aware - _EPOCH) // _MICROSECOND * 10)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ISO 8601 with 0 to 7 fractional digits; no zone means UTC.

        Raises:
            DecodeError: the text is not such a time.
        """
        head, dot, tail = text.partition(".")
        digits = ""
        zone = ""
        if dot:
            count = next((i for i, c in enumerate(tail) if not c.isdigit()), len(tail))
            digits, zone = tail[:count], tail[count:]
        try:
            whole = datetime.fromisoformat(head + zone)
        except ValueError as error:
            raise DecodeError(f"{text!r} is not an ISO 8601 time") from error
        fraction = int(digits[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, "0")) if digits else 0
        return cls(cls.from_datetime(whole) + fraction)

    def to_datetime(self) -> datetime:
        """The aware UTC datetime, cut (not rounded) to microseconds."""
        return _EPOCH + timedelta(microseconds=self // 10)

    def plus(self, span: timedelta) -> Instant:
        """This instant moved by a span."""
        return Instant(self + span // _MICROSECOND * 10)

    def minus(self, other: Instant) -> timedelta:
        """The span from `other` to this instant, cut to microseconds."""
        return timedelta(microseconds=(int(self) - int(other)) // 10)

    def text7(self) -> str:
        """`2026-06-24T20:53:05.0000000Z`: always seven digits, as in table cells and filters."""
        return f"{_seconds_text(self)}.{self % TICKS_PER_SECOND:07d}Z"

    def text(self) -> str:
        """`2026-06-24T20:53:05.25Z`: trailing zeros and an empty fraction dropped, as in JSON."""
        fraction = self % TICKS_PER_SECOND
        if not fraction:
            return f"{_seconds_text(self)}Z"
        return f"{_seconds_text(self)}.{f'{fraction:07d}'.rstrip('0')}Z"


def _seconds_text(instant: Instant) -> str:
    """To the second, without zone."""
    return _text_of_second(instant // TICKS_PER_SECOND)


@lru_cache(maxsize=1024)
def _text_of_second(second: int) -> str:
    """Rows and messages of one second share its text. `isoformat` takes a quarter of the time of `strftime`."""
    return (_NAIVE_EPOCH + timedelta(seconds=second)).isoformat()


MIN_INSTANT: Final = Instant(0)
