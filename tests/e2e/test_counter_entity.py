"""The counter of the samples, through the SDK's client and over HTTP, on every store."""

from __future__ import annotations

from tests.support.hosts import DURABLE, SAMPLES, Caller, Json, Place, eventually, hosting

APP = SAMPLES / "counter_entity"


async def until_it_is(host: Caller, key: str, expected: Json) -> None:
    async def look() -> bool:
        return (await host.get(f"/api/counters/{key}")).json == expected

    await eventually(look, f"counter {key} is {expected}")


async def test_what_clients_signal_is_added_up_and_read(place: Place):
    async with hosting(APP, place) as host:
        assert (await host.get("/api/counters/visits")).json == 0
        for amount in (1, 2, 3):
            assert (await host.post(f"/api/counters/visits/add/{amount}")).status == 202
        await until_it_is(host, "visits", 6)
        assert (await host.get(f"{DURABLE}/entities/Counter/visits")).json == 6
        listed = (await host.get(f"{DURABLE}/entities/counter?fetchState=true")).json
        assert [(item["entityId"], item["state"]) for item in listed] == [
            ({"name": "counter", "key": "visits"}, 6)
        ]


async def test_a_number_survives_the_host(lasting_place: Place):
    async with hosting(APP, lasting_place) as host:
        assert (await host.post("/api/counters/k/add/40")).status == 202
        await until_it_is(host, "k", 40)
    async with hosting(APP, lasting_place) as host:
        await until_it_is(host, "k", 40)
        assert (await host.post("/api/counters/k/add/2")).status == 202
        await until_it_is(host, "k", 42)


async def test_a_signal_to_an_entity_that_the_app_does_not_have_is_refused(place: Place):
    async with hosting(APP, place) as host:
        reply = await host.post(f"{DURABLE}/entities/Contour/k?op=add", 1)
        assert reply.status == 400
        assert reply.json == {
            "Message": "The function 'contour' doesn't exist, is disabled, or is not an entity function. Additional "
            "info: The following are the known entity functions: 'Counter'."
        }
