from __future__ import annotations

from tests.support.hosts import SAMPLES, Place, hosting


async def test_hello_sequence_greets_three_cities_in_order(place: Place):
    async with hosting(SAMPLES / "hello_sequence", place) as host:
        reply = await host.post("/api/orchestrators/hello_sequence")
        assert reply.status == 202
        assert await host.result(reply.json["id"]) == [
            "Hello Tokyo!",
            "Hello Seattle!",
            "Hello London!",
        ]
