"""Which requests are told of because the real product would answer them otherwise, and which are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.core.parity import Rule
from emulator.http.deviations import SUBJECTS_MAX
from tests.support.hosts import DURABLE, HostHere, hosting, new_place

APP = Path(__file__).parents[1] / "e2e" / "entity_app"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[HostHere]:
    async with hosting(APP, new_place("memory", tmp_path)) as running:
        yield running


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.__dict__["rule"] for r in caplog.records if getattr(r, "event", "") == "parity_warning"
    ]


PURGE = "DELETE instances?createdTimeFrom=2020-01-01"


@pytest.mark.parametrize(
    ("request_line", "rule"),
    [
        (f"{PURGE}&runtimeStatus=Pending,Running", Rule.PURGE_OF_LIVE),
        (f"{PURGE}&runtimeStatus=Running,Completed", None),
        (f"{PURGE}&runtimeStatus=Nonsense", None),
        (PURGE, None),
        ("DELETE instances?createdTimeFrom=1-01-01", Rule.SHORT_YEAR),
        ("DELETE instances?createdTimeFrom=12-03-04T00:00:00Z", Rule.SHORT_YEAR),
        (f"{PURGE}&createdTimeTo=1-01-01", Rule.SHORT_YEAR),
        ("DELETE instances?createdTimeFrom=0001-01-01T00:00:00Z", None),
        ("DELETE instances?createdTimeFrom=999-01-01", None),
        ("DELETE instances?createdTimeFrom=1/1/2020", None),
        ("DELETE instances?createdTimeFrom=nonsense", None),
        ("GET instances?createdTimeFrom=1-01-01T00:00:00Z&createdTimeTo=1-01-01", None),
        ("GET instances?createdTimeFrom=12-03-04", Rule.SHORT_YEAR),
        ("GET entities?lastOperationTimeTo=1-01-02", Rule.SHORT_YEAR),
        ("GET instances/a%2bb", Rule.PLUS_IN_PATH),
        ("GET entities/Counter/a%2Bb", Rule.PLUS_IN_PATH),
        ("POST instances/a%2Bb/terminate", Rule.PLUS_IN_PATH),
        ("GET instances/a+b", None),
        ("GET instances/a%20b?taskHub=a%2Bb", None),
        ("GET nowhere/a%2Bb", None),
    ],
)
async def test_what_is_told_of(
    request_line: str, rule: Rule | None, host: HostHere, caplog: pytest.LogCaptureFixture
) -> None:
    method, _, path = request_line.partition(" ")
    await host.call(method, f"{DURABLE}/{path}")
    assert told(caplog) == ([] if rule is None else [rule])


@pytest.mark.parametrize("path", ["instances", "instances/i", "instances?top=5"])
@pytest.mark.parametrize(
    ("text", "is_told"),
    [("undefined", True), ("/*c*/ 1", True), ("[undefined]", True), ("'x'", False), ("no", False)],
)
async def test_stored_text_that_the_real_api_cannot_show_is_told_of(
    text: str, is_told: bool, path: str, host: HostHere, caplog: pytest.LogCaptureFixture
) -> None:
    await host.host.client.start("call", instance_id="i", input=text)
    for _ in range(2):
        assert (await host.get(f"{DURABLE}/{path}")).status in (200, 202)
    assert told(caplog) == ([Rule.UNWRITABLE_TEXT] if is_told else [])


async def test_each_subject_is_told_of_once_and_so_many_are_remembered(
    host: HostHere, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        for number in range(3):
            await host.get(f"{DURABLE}/instances/a%2B{number}")
    assert len(told(caplog)) == 3
    for number in range(3, SUBJECTS_MAX + 1):
        await host.get(f"{DURABLE}/instances/a%2B{number}")
    await host.get(f"{DURABLE}/instances/a%2B0")
    assert len(told(caplog)) == SUBJECTS_MAX + 2
