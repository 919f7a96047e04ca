from __future__ import annotations

import json

import pytest

from tests.support.hosts import hosting
from tests.support.shell import Shell


async def test_listing_shows_what_matches(shell: Shell):
    for name in ("a-1", "a-2", "b-1"):
        await shell.says("start-new", "--function-name", "greeting", "--id", name)
    said = await shell.says("instances", "list", "--prefix", "a-")
    assert [line.split()[0] for line in said.out.splitlines()] == ["INSTANCE", "a-1", "a-2"]
    listed = await shell.json("instances", "list", "--status", "pending,running", "--top", "2")
    assert [item["instanceId"] for item in listed] == ["a-1", "a-2"]
    assert "there are more than 2" in (await shell.says("instances", "list", "--top", "2")).err
    assert (await shell.says("instances", "list", "--status", "failed")).out == "No instance.\n"


async def test_showing_an_instance_with_its_history(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says(
            "start-new", "--function-name", "greeting", "--id", "one", "--input", '"you"'
        )
        await host.result("one")
    said = await shell.says("instances", "show", "one")
    assert "Hello you!" in said.out
    assert "TaskScheduled" in said.out
    shown = await shell.json("instances", "show", "one")
    assert shown["output"] == "Hello you!"
    assert [event["EventType"] for event in shown["historyEvents"]] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert (
        "there is no instance 'two'" in (await shell.says("instances", "show", "two", code=1)).err
    )
    assert "as soon as one operation" in (await shell.says("why", "@counter@two", code=1)).err


async def test_watching_follows_an_instance_to_its_end(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "broken", "--id", "ill")
        await host.until("ill", "Failed")
        await shell.says("start-new", "--function-name", "greeting", "--id", "fine")
        said = await shell.says("instances", "watch", "fine", "--json", "--interval", "0.05")
    seen = [json.loads(line)["runtimeStatus"] for line in said.out.splitlines()]
    assert seen[-1] == "Completed"
    said = await shell.says("instances", "watch", "ill", code=1)
    assert "it is broken" in said.out


@pytest.mark.parametrize("command", ["show", "watch", "suspend", "resume", "restart"])
async def test_an_instance_that_is_not_there_is_told_with_where_it_was_looked_for(
    shell: Shell, command: str
):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    said = await shell.says("instances", command, "two", code=1)
    assert f"there is no instance 'two' in task hub {shell.place.hub} on " in said.err
    assert "`durable instances list " in said.err


async def test_pausing_resuming_and_restarting(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "approval", "--id", "asked")
        await host.until("asked", "Running")
        await shell.says("instances", "suspend", "asked", "--reason", "later")
        await host.until("asked", "Suspended")
        await shell.says("instances", "resume", "asked")
        await host.until("asked", "Running")
        assert (
            "in the Running state" in (await shell.says("instances", "resume", "asked", code=1)).err
        )
        again = await shell.json("instances", "restart", "asked")
        await host.until(again["id"], "Running")
