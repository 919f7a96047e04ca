"""Every sample gives the output that its README promises, on every store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.samples.readme import all_samples, promise_of
from tests.support.hosts import SAMPLES, Caller, Place, hosting


async def _report_a_parcel(host: Caller, instance_id: str) -> None:
    """What the README of external_events tells to do; the third event comes first and is kept."""
    for event, data in (("PickedUp", "Anna"), ("Packed", "B2"), ("Paid", 17)):
        reply = await host.post(f"/api/parcels/{instance_id}/{event}", data)
        assert reply.status == 202


ACTS: dict[str, Callable[[Caller, str], Awaitable[None]]] = {"external_events": _report_a_parcel}
"""What a person does while a sample runs."""


@pytest.mark.parametrize("sample", all_samples())
async def test_a_sample_gives_the_output_that_its_readme_promises(
    sample: str, place: Place, caplog: pytest.LogCaptureFixture
):
    """And does nothing that Azure would do otherwise."""
    promise = promise_of(sample)
    assert promise.arguments[:2] == ("start", f"samples/{sample}")
    async with hosting(SAMPLES / sample, place) as host:
        assert host.host.app.failures == ()
        assert host.host.app.warnings == ()
        assert host.host.app.deviations == host.host.routes.deviations == ()
        instance_id = await host.start(promise.orchestrator)
        if sample in ACTS:
            await ACTS[sample](host, instance_id)
        assert await host.result(instance_id) == promise.output
    assert not [r for r in caplog.records if getattr(r, "event", "") == "parity_warning"]


@pytest.mark.parametrize("sample", all_samples())
async def test_a_sample_is_started_by_its_own_function(sample: str, place: Place):
    promise = promise_of(sample)
    async with hosting(SAMPLES / sample, place) as host:
        prefix = host.host.settings.http.route_prefix
        path = "/".join(filter(None, [prefix, "orchestrators", promise.orchestrator]))
        reply = await host.post(f"/{path}")
        assert reply.status == 202
        assert reply.headers["Location"] == reply.json["statusQueryGetUri"]
        status = await host.get(reply.json["statusQueryGetUri"])
        assert status.json["name"] == promise.orchestrator


async def test_the_texts_to_count_can_be_given(place: Place):
    async with hosting(SAMPLES / "fan_out_fan_in", place) as host:
        reply = await host.post("/api/orchestrators/count_words", ["a", "b c", ""])
        instance_id = reply.json["id"]
        assert await host.result(instance_id) == {"counts": [1, 2, 0], "total": 3}


async def test_the_monitor_gives_up_when_its_time_is_over(place: Place):
    job = {"id": "weekly", "pollingSeconds": 0.3, "expirySeconds": 0.5}
    async with hosting(SAMPLES / "monitor", place) as host:
        instance_id = await host.start("monitor", job)
        status = await host.until(instance_id)
        assert status["output"] == "Gave up on weekly"
        assert status["customStatus"] == {"job": "weekly", "status": "Running", "checks": 2}


@pytest.mark.parametrize(
    ("answer", "outcome"), [(True, "Bought a chair"), (False, "Did not buy a chair")]
)
async def test_an_answer_in_time_decides_on_the_purchase(answer: bool, outcome: str, place: Place):
    async with hosting(SAMPLES / "human_interaction", place) as host:
        instance_id = await host.start("purchase", {"what": "a chair", "timeoutSeconds": 3600})
        await host.until(instance_id, "Running")
        await host.raise_event(instance_id, "Approval", answer)
        assert await host.result(instance_id) == outcome
