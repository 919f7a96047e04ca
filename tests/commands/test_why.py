from __future__ import annotations

from emulator.core.ids import InstanceId
from emulator.hub.task_hub import TaskHub
from tests.support.hosts import DURABLE, eventually, hosting
from tests.support.shell import Shell


async def test_the_awaited_event_is_named_with_the_command_that_sends_it(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "approval", "--id", "asked")
        await host.until("asked", "Running")
        await host.raise_event("asked", "first", 1)

        async def waits_for_the_second() -> bool:
            answer = await shell.json("why", "asked")
            return [finding["subject"] for finding in answer["findings"]] == ["second"]

        await eventually(waits_for_the_second, "it waits for the second event")
        said = await shell.says("why", "asked")
    assert "it waits for the external event 'second'" in said.out
    assert "durable raise-event --id asked --event-name second" in said.out


async def test_without_the_app_an_event_has_no_name(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "approval", "--id", "asked")
        await host.until("asked", "Running")
        answer = await shell.json("why", "asked", "--no-replay")
    assert [(f["cause"], f["subject"]) for f in answer["findings"]] == [("event", None)]
    assert "--event-name NAME" in answer["findings"][0]["cure"]


async def test_a_host_that_is_gone_is_the_first_finding(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "sleeper", "--id", "asleep")
        await host.until("asleep", "Running")
    answer = await shell.json("why", "asleep")
    assert [finding["cause"] for finding in answer["findings"]] == ["lease", "timer"]
    assert answer["findings"][1]["due"] > answer["findings"][1]["since"]


async def test_a_parent_points_to_its_child(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "parent", "--id", "mother")
        await host.until("the-child", "Running")
        answer = await shell.json("why", "mother")
    (finding,) = answer["findings"]
    assert (finding["cause"], finding["subject"]) == ("child", "the-child")
    assert finding["cure"].startswith("durable why the-child ")


async def test_a_start_that_nobody_takes(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    answer = await shell.json("why", "one")
    assert [finding["cause"] for finding in answer["findings"]] == ["lease", "message"]
    assert answer["findings"][1]["dequeueCount"] == 0


async def test_an_end_is_explained(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "broken", "--id", "ill")
        await host.until("ill", "Failed")
    said = await shell.says("why", "ill")
    assert "it has ended as Failed" in said.out
    assert "→ durable rewind --id ill" in said.out


async def test_an_orchestration_whose_id_begins_like_that_of_an_entity_is_none(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "approval", "--id", "@x")
        await host.until("@x", "Running")
        answer = await shell.json("why", "@x")
        shown = await shell.json("hub", "show")
        hub = TaskHub(host.host.storage, host.host.settings.hub, lambda: "0" * 32)
        await hub.instances.merge(InstanceId("@x"), {"CustomStatus": '{"entityExists":true}'})
        listed = await host.get(f"{DURABLE}/entities")
    assert [(f["cause"], f["subject"]) for f in answer["findings"]] == [("event", "first")]
    assert shown["instances"] == {"Running": 1}
    assert listed.json == []
