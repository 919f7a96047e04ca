"""A host dies before and after its n-th storage call; another takes over, and all ends as if nothing had happened."""

from __future__ import annotations

import pytest

from emulator.testing.faults import Fault
from tests.sim.runs import fault_at, run_scenario
from tests.sim.scenarios import ENTRIES, QUICK, SCENARIOS, Scenario

STRIDE = 15
"""The normal run takes every fifteenth call of each scenario; the soak takes them all, under each of the settings."""
FAULTS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
BY_BLOBS: dict[str, object] = {"use_table_partition_management": False}
by_name = pytest.mark.parametrize(
    "scenario", [*SCENARIOS, ENTRIES], ids=lambda scenario: scenario.name
)


def violations_of(scenario: Scenario, numbers: range, fault: Fault, **hub: object) -> list[str]:
    found: list[str] = []
    for number in numbers:
        report = run_scenario(scenario, fault_at(number, fault), **hub)
        assert report.first_host_died, f"there is no call {number}"
        found.extend(f"{fault} {number}: {violation}" for violation in report.violations)
    return found


@by_name
def test_a_scenario_keeps_every_promise_without_faults(scenario: Scenario) -> None:
    assert run_scenario(scenario).violations == []


@by_name
@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_may_die_at_a_storage_call(scenario: Scenario, fault: Fault) -> None:
    calls = run_scenario(scenario, **QUICK).calls
    first = 1 + len(scenario.name) % STRIDE
    assert violations_of(scenario, range(first, calls + 1, STRIDE), fault, **QUICK) == []


@pytest.mark.soak
@by_name
@pytest.mark.parametrize("hub", [{}, QUICK, BY_BLOBS], ids=["usual", "quick", "by blobs"])
def test_a_host_may_die_at_any_storage_call(scenario: Scenario, hub: dict[str, object]) -> None:
    numbers = range(1, run_scenario(scenario, **hub).calls + 1)
    assert [v for f in FAULTS for v in violations_of(scenario, numbers, f, **hub)] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_whose_leases_are_on_blobs_may_die_at_any_storage_call(fault: Fault) -> None:
    """All of one scenario: the hub is made, leases are taken, renewed and taken over."""
    chain = next(scenario for scenario in SCENARIOS if scenario.name == "chain")
    numbers = range(1, run_scenario(chain, **QUICK, **BY_BLOBS).calls + 1)
    assert violations_of(chain, numbers, fault, **QUICK, **BY_BLOBS) == []


@by_name
def test_any_call_of_a_start_may_fail_once(scenario: Scenario) -> None:
    """The first calls make the hub, take partitions and start the instance."""
    kinds = (Fault.ANSWER_LOST, Fault.SENT_TWICE, Fault.REFUSED)
    for number in range(31, run_scenario(scenario, **QUICK).calls, STRIDE * 2):
        fault = kinds[number % 3]
        assert run_scenario(scenario, fault_at(number, fault), **QUICK).violations == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checkpoint_of_several_transactions_may_be_cut_short(
    monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("emulator.hub.history.BATCH_ROWS_MAX", 3)
    by = {scenario.name: scenario for scenario in SCENARIOS}
    found: list[str] = []
    for name in ("fan-out", "eternal-wide"):
        calls = run_scenario(by[name], **QUICK).calls
        found.extend(violations_of(by[name], range(30, calls + 1), fault, **QUICK))
    assert found == []
