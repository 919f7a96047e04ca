from __future__ import annotations

import pytest

from bindings.expressions import ExpressionError, expand
from emulator.storage.memory import MemoryStorage
from tests.support.clocks import BEGINNING, CountedIds, ManualClock
from tests.support.functions import invocation, services

GIVEN = services(MemoryStorage(ManualClock(), CountedIds()))
CALL = invocation(name="a.txt", Id=5, data={"order": {"Item": "lamp"}}, flag=True, empty=None)
EXPANDED = [
    ("plain", "plain"),
    ("in/{name}", "in/a.txt"),
    ("{NAME}-{id}", "a.txt-5"),
    ("{data.order.item}", "lamp"),
    ("{data.order}", '{"Item":"lamp"}'),
    ("{flag}{empty}", "True"),
    ("{sys.methodname}", "work"),
    ("{DateTime}", "2026-11-24T12-00-00Z"),
    ("{datetime:yyyy/MM/dd HH:mm:ss.fff}", "2026/11/24 12:00:00.000"),
    ("{sys.utcnow:yyyy}", "2026"),
]


@pytest.mark.parametrize(("template", "expected"), EXPANDED)
def test_an_expression_stands_for_a_value_of_the_call(template: str, expected: str) -> None:
    assert BEGINNING.text().startswith("2026-11-24T12")
    assert expand(template, CALL, GIVEN) == expected


def test_guids_are_new_each_time_and_in_the_form_asked_for() -> None:
    first, second = expand("{rand-guid} {sys.randguid}", CALL, GIVEN).split()
    assert first != second
    assert len(expand("{rand-guid:N}", CALL, GIVEN)) == 32
    assert expand("{rand-guid:B}", CALL, GIVEN)[0] == "{"


@pytest.mark.parametrize("template", ["{other}", "{data.other}", "{name.x}"])
def test_an_unknown_name_is_told_with_the_known_ones(template: str) -> None:
    with pytest.raises(ExpressionError, match="makes known Id, data, empty, flag, name"):
        expand(template, CALL, GIVEN)
