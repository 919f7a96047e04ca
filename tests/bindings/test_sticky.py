"""An orchestrator that lives on between episodes ends in the very state that a full replay gives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator.core.events import HistoryEvent
from emulator.core.turn import Turn
from tests.e2e.scenarios import SCENARIOS, Scenario
from tests.e2e.test_behaviours import APP, PATIENCE, perform
from tests.support.engines import play
from tests.support.watched import Watched

NEVER_LIVE = {
    "unknown-orchestrator",
    "yield-of-what-is-no-task",
    "raises-in-a-plain-function",
    "custom-status-beyond-16-KiB",
    "returns-plainly",
}
"""Scenarios without an executor that outlives its first episode, because it fails outside of the user's generator."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_living_and_replayed_states_are_equal(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched.over(monkeypatch)
    play(APP, lambda parts: perform(parts.engine.client, scenario, PATIENCE))
    assert watched.compared > 0 or scenario.name in NEVER_LIVE


def test_of_many_orchestrators_only_so_many_live_on() -> None:
    """The cache is bounded: those that wait longest are closed, and replayed when something comes for them."""
    from emulator.core.ids import InstanceId
    from emulator.engine.session import Loaded, SessionCache

    cache = SessionCache(2, bytes_max=2**20)
    closed: list[str] = []

    class Runner:
        def __init__(self, name: str) -> None:
            self.name = name

        def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
            raise NotImplementedError

        def close(self) -> None:
            closed.append(self.name)

    for name in ("a", "b", "c", "d"):
        session = cache.get(InstanceId(name))
        session.loaded = Loaded.__new__(Loaded)
        session.loaded.runner = Runner(name)
        cache.release(session)
    assert closed == ["a", "b"]
    assert [session.instance for session in cache] == ["c", "d"]
