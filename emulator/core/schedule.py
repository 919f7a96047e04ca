"""When a timer fires: NCRONTAB expressions with seconds, and plain intervals.

An NCRONTAB expression has six fields, `{second} {minute} {hour} {day} {month} {day of week}`, or five without the
seconds. Unlike in POSIX cron a day must fit both the day of the month and the day of the week. Source: reference
functions-host.md 4.3; NCrontab; WebJobs.Extensions, CronSchedule and ConstantSchedule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, Final, Protocol

from emulator.core.instant import Instant

_FIELD_NAMES: Final = ("second", "minute", "hour", "day", "month", "day of week")
_FIELD: Final = re.compile(r"[\d*/,\-]+")
_NAMED_FIELD: Final = re.compile(r"(?:[\d*/,\-]|[A-Za-z]{3,9})+")
_WORD: Final = re.compile(r"[A-Za-z]+")
_NAMED: Final = frozenset({"month", "day of week"})
_INTERVAL: Final = re.compile(r"(?:(\d+)\.)?(\d{1,2}):([0-5]?\d):([0-5]?\d)")
_HELP: Final = (
    'Use six fields "{second} {minute} {hour} {day} {month} {day of week}", as in "0 */5 * * * *", or an interval '
    "hh:mm:ss"
)


class ScheduleError(ValueError):
    """The text is no schedule; says why and what is expected."""


class Schedule(Protocol):
    """Says when a timer is due."""

    @property
    def adjusts_for_dst(self) -> bool:
        """What the timer's value tells user code of the schedule."""
        ...

    def next_after(self, moment: Instant) -> Instant:
        """The first time it is due after a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """An NCRONTAB expression, with seconds, by the clock of a zone."""

    text: str
    zone: tzinfo = UTC

    @property
    def adjusts_for_dst(self) -> bool:
        """See Schedule."""
        return True

    def next_after(self, moment: Instant) -> Instant:
        """See Schedule."""
        from croniter import croniter

        local = moment.to_datetime().astimezone(self.zone)
        found: Any = croniter(self.text, local, second_at_beginning=True, day_or=False)
        following: datetime = found.get_next(datetime)
        return Instant.from_datetime(following)

    def __str__(self) -> str:
        """As the log shows it."""
        return f"Cron: '{self.text}'"


@dataclass(frozen=True, slots=True)
class Interval:
    """The same time between one run and the next."""

    span: timedelta

    @property
    def adjusts_for_dst(self) -> bool:
        """See Schedule."""
        return False

    def next_after(self, moment: Instant) -> Instant:
        """See Schedule."""
        return moment.plus(self.span)

    def __str__(self) -> str:
        """As the log shows it."""
        return f"Constant: {self.span}"


def parse_schedule(text: str, zone: tzinfo = UTC) -> Cron | Interval:
    """Read a timer's schedule.

    Args:
        zone: whose clock an NCRONTAB expression means.

    Raises:
        ScheduleError: it is neither form, a field is out of range, or it never comes due.
    """
    interval = _INTERVAL.fullmatch(text.strip())
    if interval is not None:
        return _interval(interval, text)
    fields = text.split()
    if len(fields) not in (5, 6):
        raise ScheduleError(f"the schedule {text!r} has {len(fields)} fields. {_HELP}")
    if len(fields) == 5:
        fields = ["0", *fields]
    parts = [_field(name, field, text) for name, field in zip(_FIELD_NAMES, fields, strict=True)]
    cron = Cron(" ".join(parts), zone)
    try:
        cron.next_after(Instant.parse("2024-01-01T00:00:00Z"))
    except ValueError as error:
        raise ScheduleError(f"the schedule {text!r} cannot be read: {error}. {_HELP}") from error
    return cron


def occurrences(schedule: Schedule, moment: Instant, count: int) -> tuple[Instant, ...]:
    """The next few times at which a schedule is due."""
    found: list[Instant] = []
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(moment)
    return tuple(found)


def shortest_gap(schedule: Schedule, moment: Instant) -> timedelta:
    """The time between the next two runs."""
    return min(
        later.minus(earlier) for earlier, later in pairwise(occurrences(schedule, moment, 2))
    )


def _interval(match: re.Match[str], text: str) -> Interval:
    days, hours, minutes, seconds = match.groups()
    span = timedelta(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=int(seconds)
    )
    if not span:
        raise ScheduleError(f"the schedule {text!r} is an interval of no length. {_HELP}")
    return Interval(span)


def _field(name: str, field: str, text: str) -> str:
    """A field in the form that croniter shares with NCrontab: names cut to three letters, nothing beyond."""
    allowed = _NAMED_FIELD if name in _NAMED else _FIELD
    if not allowed.fullmatch(field) or (name == "day of week" and re.search(r"(?<!/)\b7\b", field)):
        hint = "Sunday is 0. " if name == "day of week" else ""
        raise ScheduleError(f"the schedule {text!r} has the {name} {field!r}. {hint}{_HELP}")
    return _WORD.sub(lambda word: word[0][:3], field)
