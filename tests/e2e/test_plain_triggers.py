"""Queues, blobs, tables, timers and calls by hand around an orchestration, on every store."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from emulator.errors import NotFoundError
from emulator.storage.ports import Storage
from tests.support.hosts import Caller, Json, Place, Reply, eventually, hosting

APPS = Path(__file__).parent / "apps"
APP = APPS / "plain_triggers"


def settings() -> Mapping[str, str]:
    """Names of queues that no other test uses."""
    mark = uuid4().hex[:12]
    return {
        "MARK": mark,
        "ORDERS": f"orders-{mark}",
        "SENT": f"sent-{mark}",
        "TICKS": f"ticks-{mark}",
        "BY_HAND": f"by-hand-{mark}",
        "PARCELS": f"parcels-{mark}",
        "JOURNAL": f"Journal{mark}",
    }


async def texts(storage: Storage, queue: str) -> list[str]:
    """What lies in a queue; nothing if there is none."""
    try:
        messages = await storage.queues.peek(queue, count=32)
    except NotFoundError:
        return []
    return sorted(base64.b64decode(message.text).decode() for message in messages)


async def by_hand(caller: Caller, name: str, input: object) -> Reply:  # noqa: A002 - the member's name
    return await caller.post(f"/admin/functions/{name}", {"input": input})


async def test_an_order_becomes_an_orchestration_and_leaves_as_blob_row_and_messages(
    place: Place,
) -> None:
    names = settings()
    async with hosting(APP, place, settings=names) as here:
        storage = here.host.storage
        taken = await here.post("/api/order/o1", {"item": "lamp"})
        assert (taken.status, taken.text) == (202, "got it")

        async def sent() -> list[str] | None:
            lines = await texts(storage, names["SENT"])
            return lines if len(lines) == 2 else None

        path = f"{names['PARCELS']}/o1.txt"
        assert await eventually(sent, "the parcel is sent") == ["done", f"{path}: a lamp"]
        assert await here.result("o1") == "packed lamp"
        shown = await here.get("/api/journal/o1")
        row = {"PartitionKey": "orders", "RowKey": "o1", "Item": "lamp", "Weight": 7}
        assert shown.json == {"entry": row, "parcel": "a lamp"}
        missing = await here.get("/api/journal/o2")
        assert missing.json == {"entry": None, "parcel": None}


async def test_a_message_that_always_fails_ends_in_the_poison_queue(place: Place) -> None:
    names = settings()
    async with hosting(APP, place, settings=names) as here:
        await here.post("/api/order/o1", {"item": "nothing"})

        async def poisoned() -> list[str] | None:
            return await texts(here.host.storage, f"{names['ORDERS']}-poison") or None

        [message] = await eventually(poisoned, "the message is poison")
        assert message == '{"id": "o1", "item": "nothing"}'


async def test_of_two_hosts_on_one_store_one_runs_the_timer(lasting_place: Place) -> None:
    names = settings()
    shared = {**names, "AzureFunctionsWebHost__hostid": names["MARK"]}
    async with hosting(APP, lasting_place, settings=shared) as first:

        async def ticked() -> list[str] | None:
            return await texts(first.host.storage, names["TICKS"]) or None

        assert await eventually(ticked, "the timer has run at the start") == ["tick"]
        async with hosting(APP, lasting_place, settings=shared) as second:
            await by_hand(second, "by_hand", "x")

            async def reached() -> list[str] | None:
                return await texts(second.host.storage, names["BY_HAND"]) or None

            assert await eventually(reached, "the second host works") == ["x"]
            assert await ticked() == ["tick"], "it does not run the timer at its own start"


BY_HAND = [
    ("by_hand", "text", "text"),
    ("by_hand", {"a": 1}, '{"a":1}'),
    ("new_year", "ignored", "tick"),
]


@pytest.mark.parametrize(("name", "input_", "expected"), BY_HAND)
async def test_functions_can_be_called_by_hand(
    tmp_path: Path, name: str, input_: Json, expected: str
) -> None:
    names = settings()
    queue = names["TICKS" if name == "new_year" else "BY_HAND"]
    place = Place("memory", "memory", f"Test{names['MARK']}")
    async with hosting(APP, place, settings=names) as here:
        reply = await by_hand(here, name, input_)
        assert (reply.status, reply.text) == (202, "")

        async def arrived() -> bool:
            return expected in await texts(here.host.storage, queue)

        await eventually(arrived, f"{expected!r} is in {queue}")


async def test_queue_blob_and_activity_functions_are_called_by_hand_with_their_own_text() -> None:
    names = settings()
    place = Place("memory", "memory", f"Test{names['MARK']}")
    async with hosting(APP, place, settings=names) as here:
        await by_hand(here, "order_came", '{"id": "o1", "item": "lamp"}')
        await here.until("o1", "Completed")
        await by_hand(here, "pack", '{"id": "o2", "item": "desk"}')
        blobs = here.host.storage.blobs

        async def packed() -> bytes | None:
            found = await blobs.download(names["PARCELS"], "o2.txt")
            return found.content if found else None

        assert await eventually(packed, "the activity has run") == b"a desk"
        await by_hand(here, "parcel_came", f"{names['PARCELS']}/o2.txt")

        async def sent_twice() -> bool:
            lines = await texts(here.host.storage, names["SENT"])
            return sum("o2.txt: a desk" in line for line in lines) == 2

        await eventually(sent_twice, "the blob was handled by itself and by hand")


NOT_BY_HAND = [
    ("work", "use POST /runtime/webhooks/durabletask/orchestrators/"),
    ("show", "needs a request"),
]


@pytest.mark.parametrize(("name", "why"), NOT_BY_HAND)
async def test_what_cannot_be_called_by_hand_is_accepted_and_told_in_the_log(
    caplog: pytest.LogCaptureFixture, name: str, why: str
) -> None:
    names = settings()
    place = Place("memory", "memory", f"Test{names['MARK']}")
    async with hosting(APP, place, settings=names) as here:
        reply = await by_hand(here, name, "x")
        assert reply.status == 202

        async def told() -> bool:
            return why in caplog.text

        await eventually(told, f"the log says {why!r}")


async def test_an_http_function_is_retried_as_its_policy_says() -> None:
    names = settings()
    place = Place("memory", "memory", f"Test{names['MARK']}")
    async with hosting(APP, place, settings=names) as here:
        reply = await here.get("/api/flaky")
        assert (reply.status, reply.json) == (200, [0, 1, 2])


# --- web frameworks ----------------------------------------------------------------------------------------------

SITES = ["asgi", "wsgi"]


@pytest.mark.parametrize("prefix", ["", "api"])
@pytest.mark.parametrize("site", SITES)
async def test_a_wrapped_web_app_is_given_every_path(site: str, prefix: str) -> None:
    place = Place("memory", "memory", f"Test{uuid4().hex[:24]}")
    named = {"AzureFunctionsJobHost__extensions__http__routePrefix": prefix}
    async with hosting(APPS / site, place, settings=named) as here:
        path = f"/{prefix}/a/b".replace("//", "/")
        reply = await here.call("PUT", f"{path}?x=1&y=%20", json={"n": 1})
        assert reply.status == 201
        assert reply.headers["X-Site"] == site
        assert reply.headers["Content-Type"].startswith("application/json")
        seen = {name: reply.json[name] for name in ("path", "query", "method", "body")}
        assert seen == {"path": path, "query": "x=1&y=%20", "method": "PUT", "body": '{"n": 1}'}
        root = await here.get(f"/{prefix}/" if prefix else "/")
        assert root.status == 201
        broken = await here.get(f"/{prefix}/broken".replace("//", "/"))
        assert (broken.status, broken.text) == (500, "")


async def test_an_asgi_app_begins_with_the_first_request_and_ends_with_the_host() -> None:
    place = Place("memory", "memory", f"Test{uuid4().hex[:24]}")
    async with hosting(APPS / "asgi", place) as here:
        await here.get("/one")
        reply = await here.get("/two")
        assert reply.json["seen"] == ["startup"]
        source = here.host.app.source
    assert source.__class__.__name__ == "AsgiFunctionApp"
    assert not source.startup_task_done  # type: ignore[attr-defined]


# --- the v1 model ------------------------------------------------------------------------------------------------


async def test_a_timer_of_the_v1_model_starts_an_orchestration_through_a_queue() -> None:
    mark = uuid4().hex[:12]
    names = {name: f"{name.lower()}-{mark}" for name in ("IN", "OUT", "COPIES")}
    place = Place("memory", "memory", f"Test{mark}")
    async with hosting(
        APPS / "v1_triggers", place, settings={**names, "EVERY": "01:00:00"}
    ) as here:

        async def came_out() -> list[str] | None:
            return await texts(here.host.storage, names["OUT"]) or None

        [message] = await eventually(came_out, "the starter has run")
        told = json.loads(message)
        assert (told["retries"], told["why"]) == (2, "RuntimeError: not yet")
        assert await here.result(told["id"]) == "worked on tick"
        copies = await here.host.storage.blobs.list_blobs(names["COPIES"])
        assert [name.partition("/")[0] for name in copies.names] == ["tick"]


async def test_a_schedule_that_cannot_be_read_puts_its_function_aside() -> None:
    mark = uuid4().hex[:12]
    names = {name: f"{name.lower()}-{mark}" for name in ("IN", "OUT", "COPIES")}
    place = Place("memory", "memory", f"Test{mark}")
    async with hosting(APPS / "v1_triggers", place, settings={**names, "EVERY": "often"}) as here:
        assert [function.name for function in here.host.app.functions] == ["starter", "work"]
        [failure] = here.host.app.failures
        assert "the binding 'timer': the schedule 'often' has 1 fields" in failure.message
        reply = await here.get("/admin/functions/ticker/status")
        assert reply.json == {"errors": [failure.message]}
