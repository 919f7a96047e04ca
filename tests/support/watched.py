"""Compares executors that live on between episodes with full replays, while something else is tested."""

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


@dataclass
class Watched:
    """Compares, after every episode, the living executor's state with that of one that replays everything."""

    compared: int = 0

    @classmethod
    def over(cls, monkeypatch: pytest.MonkeyPatch) -> Watched:
        """Over all executors that are opened in a test."""
        watched, opened = cls(), Orchestrators.open
        monkeypatch.setattr(
            Orchestrators, "open", lambda self, name: watched.around(opened(self, name))
        )
        return watched

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
