from __future__ import annotations

import pytest

from emulator.core.instant import Instant
from emulator.host.odata import FilterError, parse_filter
from emulator.storage.filters import odata_text
from emulator.storage.ports import AllOf, AnyOf, Comparison, Condition, Filter, Int64

EQ, GT = Comparison.EQ, Comparison.GT
A, B, C = (Condition(name, EQ, 1) for name in "abc")

READ: list[tuple[str, Filter]] = [
    ("PartitionKey eq 'a''b'", Condition("PartitionKey", EQ, "a'b")),
    ("Age gt -5", Condition("Age", GT, -5)),
    ("Weight GT 1.5", Condition("Weight", GT, 1.5)),
    ("Big eq 5000000000L", Condition("Big", EQ, Int64(5000000000))),
    ("Member eq true", Condition("Member", EQ, value=True)),
    (
        "Since gt datetime'2026-11-25T00:00:00Z'",
        Condition("Since", GT, Instant.parse("2026-11-25T00:00:00Z")),
    ),
    ("a eq 1 and b eq 1 or c eq 1", AnyOf((AllOf((A, B)), C))),
    ("a eq 1 and (b eq 1 or c eq 1)", AllOf((A, AnyOf((B, C))))),
    ("((a eq 1))", A),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_a_filter_is_read(text: str, expected: Filter) -> None:
    found = parse_filter(text)
    assert found == expected
    assert parse_filter(odata_text(found)) == found, "as adapters write it"


WRONG = [
    "",
    "a",
    "a eq",
    "a eq 1 and",
    "a like 'x'",
    "a eq 'x",
    "(a eq 1",
    "a eq 1 b",
    "1 eq a",
    "a eq x",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match=r"cannot be read at .* write COLUMN eq\|gt"):
        parse_filter(text)
