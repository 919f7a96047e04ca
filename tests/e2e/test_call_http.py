"""call_http from an orchestrator of the SDK, against the app's own routes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.hosts import Place, hosting
from tests.support.watched import Watched

APP = Path(__file__).parent / "apps" / "requests"


@pytest.fixture(autouse=True)
def _states_are_compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """What orchestrators that live on tell the host is what a full replay tells."""
    watched = Watched.over(monkeypatch)
    yield
    assert watched.compared > 0


async def test_answers_of_any_status_come_back_and_nothing_is_polled(place: Place) -> None:
    async with hosting(APP, place) as here:
        instance = await here.start("calls", json.dumps(here.base))
        result = await here.result(instance)
        echoes = [[200, "yes", f"POST {n} text/plain b'{{\"n\": {n}}}'"] for n in range(2)]
        assert result == {
            "echoes": echoes,
            "missing": [404, ""],
            "accepted": [202, "not yet"],
        }
        shown = await here.status(instance, showHistory="true", showHistoryOutput="true")
        names = [row.get("FunctionName") for row in shown["historyEvents"]]
        assert names.count("BuiltIn::HttpActivity") == 4


async def test_a_refused_connection_can_be_caught(place: Place) -> None:
    async with hosting(APP, place) as here:
        instance = await here.start("refused", json.dumps("x"))
        assert await here.result(instance) == "Connection refused (127.0.0.1:9)"


async def test_without_a_credential_the_instance_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    place = Place("memory", "memory", f"Test{uuid4().hex[:24]}")
    async with hosting(APP, place) as here:
        instance = await here.start("with_token", json.dumps(here.base))
        status = await here.until(instance, "Failed")
        assert f"call_http to {here.base}/api/later asks for a token" in status["output"]
        assert "pip install durable-functions-emulator[identity]" in status["output"]
