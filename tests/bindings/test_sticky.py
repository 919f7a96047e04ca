"""An orchestrator that lives on between episodes ends in the very state that a full replay gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bindings.orchestration_trigger import Orchestrators, SdkExecution
from bindings.sdk_run import SdkRun
from emulator.core.events import HistoryEvent
from emulator.core.turn import Turn
from tests.e2e.scenarios import SCENARIOS, Scenario
from tests.e2e.test_behaviours import APP, PATIENCE, perform
from tests.support.engines import play

NEVER_LIVE = {
    "unknown-orchestrator",
    "yield-of-what-is-no-task",
    "raises-in-a-plain-function",
    "custom-status-beyond-16-KiB",
    "returns-plainly",
}
"""Scenarios without an executor that outlives its first episode, because it fails outside of the user's generator."""


@dataclass
class Watched:
    """Compares, after every episode, the living executor's state with that of one that replays everything."""

    compared: int = 0

    def around(self, inner: Any) -> Any:
        watched = self

        class Execution:
            def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
                turn = inner.advance(feed)
                watched.compare(inner, feed)
                return turn

            def close(self) -> None:
                inner.close()

        return Execution() if isinstance(inner, SdkExecution) else inner

    def compare(self, living: SdkExecution, feed: Sequence[HistoryEvent]) -> None:
        run = living._run
        if run is None:  # it failed outside of the user's code
            return
        fresh = SdkRun(run_handle(living), living._generator_function, feed, living._settings)
        try:
            list(fresh.feed(feed))
            assert state_of(run) == state_of(fresh)
            self.compared += 1
        finally:
            fresh.close()


def run_handle(execution: SdkExecution) -> Any:
    return execution._function.handle


def state_of(run: SdkRun) -> object:
    """What the SDK would send to the host; a failure's text carries the state behind a marker."""
    try:
        return json.loads(run._executor.get_orchestrator_state_str())
    except Exception as error:  # noqa: BLE001 - the SDK raises what user code raised
        return str(error)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_living_and_replayed_states_are_equal(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched()
    opened = Orchestrators.open
    monkeypatch.setattr(
        Orchestrators, "open", lambda self, name: watched.around(opened(self, name))
    )
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
