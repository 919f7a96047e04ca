from __future__ import annotations

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from emulator.core.instant import Instant
from emulator.core.schedule import (
    Cron,
    Interval,
    ScheduleError,
    occurrences,
    parse_schedule,
    shortest_gap,
)

NOW = Instant.parse("2026-11-25T12:00:30Z")
"""A Wednesday."""

NEXT = [
    ("0 */5 * * * *", ["2026-11-25T12:05:00Z", "2026-11-25T12:10:00Z"]),
    ("*/15 * * * * *", ["2026-11-25T12:00:45Z", "2026-11-25T12:01:00Z"]),
    ("30 0 12 * * *", ["2026-11-26T12:00:30Z", "2026-11-27T12:00:30Z"]),
    ("0 0 9-17/4 * * *", ["2026-11-25T13:00:00Z", "2026-11-25T17:00:00Z"]),
    ("0 30 9 * * Mon-Fri", ["2026-11-26T09:30:00Z", "2026-11-27T09:30:00Z"]),
    ("0 0 0 * * Sunday", ["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"]),
    ("0 0 0 1 January *", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
    ("0 0 0 13 * 5", ["2027-08-13T00:00:00Z", "2028-10-13T00:00:00Z"]),
    ("0 0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
    ("*/5 * * * *", ["2026-11-25T12:05:00Z", "2026-11-25T12:10:00Z"]),
    ("00:00:40", ["2026-11-25T12:01:10Z", "2026-11-25T12:01:50Z"]),
    ("24:00:00", ["2026-11-26T12:00:30Z", "2026-11-27T12:00:30Z"]),
    ("1.12:00:00", ["2026-11-27T00:00:30Z", "2026-11-28T12:00:30Z"]),
]


@pytest.mark.parametrize(("text", "expected"), NEXT)
def test_a_schedule_comes_due(text: str, expected: list[str]) -> None:
    found = occurrences(parse_schedule(text), NOW, len(expected))
    assert [moment.text() for moment in found] == expected


LOCAL = [
    ("0 0 8 * * *", "2026-03-28T00:00:00Z", ["2026-03-28T07:00:00Z", "2026-03-29T06:00:00Z"]),
    ("0 0 * * * *", "2026-10-24T23:30:00Z", ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]),
    ("01:00:00", "2026-03-29T00:30:00Z", ["2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]),
]


@pytest.mark.parametrize(("text", "start", "expected"), LOCAL)
def test_a_schedule_goes_by_the_clock_of_its_zone(
    text: str, start: str, expected: list[str]
) -> None:
    schedule = parse_schedule(text, ZoneInfo("Europe/Berlin"))
    found = occurrences(schedule, Instant.parse(start), len(expected))
    assert [moment.text() for moment in found] == expected


WRONG = [
    ("", "has 0 fields"),
    ("* * * *", "has 4 fields"),
    ("* * * * * * *", "has 7 fields"),
    ("61 * * * * *", "cannot be read"),
    ("0 0 0 * * 7", "has the day of week '7'. Sunday is 0"),
    ("0 0 0 L * *", "has the day 'L'"),
    ("0 0 0 * * Mon#1", "has the day of week 'Mon#1'"),
    ("0 0 0 31 2 *", "cannot be read"),
    ("R * * * * *", "has the second 'R'"),
    ("00:00:00", "an interval of no length"),
]


@pytest.mark.parametrize(("text", "why"), WRONG)
def test_what_is_no_schedule_is_refused_with_the_form_to_use(text: str, why: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(why)) as refused:
        parse_schedule(text)
    assert "{second} {minute} {hour}" in str(refused.value)


def test_only_cron_schedules_follow_the_clock_that_people_set() -> None:
    assert parse_schedule("0 0 0 * * *").adjusts_for_dst
    assert not parse_schedule("01:00:00").adjusts_for_dst


GAPS = [
    (Cron("*/10 * * * * *"), timedelta(seconds=10)),
    (Cron("0 */5 * * * *"), timedelta(minutes=5)),
    (Interval(timedelta(hours=1)), timedelta(hours=1)),
]


@pytest.mark.parametrize(("schedule", "gap"), GAPS)
def test_the_gap_between_two_runs_is_known(schedule: Cron | Interval, gap: timedelta) -> None:
    assert shortest_gap(schedule, NOW) == gap
