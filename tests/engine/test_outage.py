"""What is said of a store that goes away and comes back: one line each."""

from __future__ import annotations

import pytest

from emulator.engine.outage import FORGOTTEN_S, Outage
from emulator.errors import TransientStorageError
from tests.support.clocks import ManualClock

LOST = "cannot reach the store"
AWAY = TransientStorageError("connection refused")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def outage(clock: ManualClock) -> Outage:
    return Outage("the account", clock)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text[: len(LOST)] if LOST in text else text for text in caplog.messages]


def back_after(seconds: float) -> str:
    return f"the store the account answers again after {seconds:.1f} s"


def test_it_is_over_when_everything_works_again(
    outage: Outage, clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    outage.failed("reading", AWAY)
    outage.failed("writing", AWAY)
    clock.move(7)
    outage.worked("reading")
    assert (outage.is_told, said(caplog)) == (True, [LOST])
    clock.move(2)
    outage.worked("writing")
    assert (outage.is_told, said(caplog)) == (False, [LOST, back_after(7)])


def test_what_is_not_tried_any_more_does_not_keep_it_open(
    outage: Outage, clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    outage.failed("reading", AWAY)
    outage.failed("reading of a partition that goes elsewhere", AWAY)
    clock.move(7)
    outage.worked("reading")
    outage.withdrawn("reading of a partition that goes elsewhere")
    assert (outage.is_told, said(caplog)) == (False, [LOST, back_after(7)])


def test_it_is_not_over_because_nothing_is_tried_any_more(
    outage: Outage, clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    outage.failed("reading", AWAY)
    outage.withdrawn("reading")
    assert (outage.is_told, said(caplog)) == (True, [LOST])
    clock.move(7)
    outage.worked("writing")
    assert (outage.is_told, said(caplog)) == (False, [LOST, back_after(7)])


def test_what_works_beside_something_that_fails_on_does_not_end_it(
    outage: Outage, clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    for _ in range(3):
        outage.failed("reading", AWAY)
        clock.move(FORGOTTEN_S / 2)
        outage.worked("writing")
    assert (outage.is_told, said(caplog)) == (True, [LOST])


def test_what_nobody_withdrew_is_forgotten_after_a_while(
    outage: Outage, clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    outage.failed("a call of a session that is gone", AWAY)
    outage.worked("reading")
    clock.move(FORGOTTEN_S + 1)
    outage.worked("reading")
    assert (outage.is_told, said(caplog)) == (False, [LOST, back_after(0)])
