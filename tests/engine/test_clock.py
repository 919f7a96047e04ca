from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from emulator.engine.clock import SystemZone

MOMENTS = [
    datetime(2026, 1, 15, 12, 30, tzinfo=UTC),
    datetime(2026, 7, 15, 12, 30, 0, 5, tzinfo=UTC),
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_machines_zone_is_the_one_that_the_standard_library_uses(moment: datetime) -> None:
    local = moment.astimezone(SystemZone())
    assert local.utcoffset() == moment.astimezone().utcoffset()
    assert local.tzname() == moment.astimezone().tzname()
    assert local - moment == timedelta()
