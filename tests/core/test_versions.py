from __future__ import annotations

import pytest

from emulator.core.versions import compare, is_accepted

ORDERS = [
    (None, None, 0),
    ("", None, 0),
    (None, "1.0", -1),
    ("1.0", "", 1),
    ("1.9", "1.10", -1),
    ("2.0", "2.0.0", -1),
    ("2.0", "2.0", 0),
    ("abc", "2.0", 1),
    ("ABC", "abc", 0),
    ("3", "2.0", 1),
]


@pytest.mark.parametrize(("version", "other", "order"), ORDERS)
def test_versions_are_ordered_as_the_real_host_orders_them(
    version: str | None, other: str | None, order: int
) -> None:
    assert compare(version, other) == order
    assert compare(other, version) == -order


STRATEGIES = [
    ("None", "9.0", True),
    ("Strict", "2.0", True),
    ("Strict", "1.0", False),
    ("Strict", None, False),
    ("CurrentOrOlder", "1.0", True),
    ("CurrentOrOlder", None, True),
    ("CurrentOrOlder", "3.0", False),
]


@pytest.mark.parametrize(("match", "version", "accepted"), STRATEGIES)
def test_the_match_strategy_decides(match: str, version: str | None, accepted: bool) -> None:
    assert is_accepted(version, "2.0", match=match) is accepted
