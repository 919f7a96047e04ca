from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from emulator.engine.clock import SystemIds, SystemZone

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


def test_ids_are_random_guids_and_all_different() -> None:
    ids = SystemIds()
    found = [UUID(ids.guid()) for _ in range(1000)] + [UUID(ids.hex32()) for _ in range(1000)]
    assert {(each.version, each.variant) for each in found} == {(4, RFC_4122)}
    assert len(set(found)) == 2000
    assert ids.guid().count("-") == 4
    assert len(ids.hex32()) == 32
    digits = [{each.hex[place] for each in found} for place in range(32)]
    assert [len(each) for each in digits] == [16] * 12 + [1] + [16] * 3 + [4] + [16] * 15


FORKING = """
import os
from emulator.engine.clock import SystemIds
ids = SystemIds()
ids.guid()
child = os.fork()
os.write(1, f"{ids.guid()}\\n".encode())
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_draws_ids_of_its_own() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, check=True, text=True
    )
    assert len(set(said.stdout.split())) == 2
