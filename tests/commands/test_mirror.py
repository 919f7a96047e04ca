from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.hosts import hosting
from tests.support.shell import Shell


async def test_a_new_instance_gets_an_id_and_waits_for_a_host(shell: Shell):
    said = await shell.says("start-new", "--function-name", "greeting")
    found = re.fullmatch(
        r"Started 'greeting' at \d\d/\d\d/\d{4} \d\d:\d\d:\d\d\. Instance ID: '([0-9a-f]{32})'\.\n",
        said.out,
    )
    assert found is not None, said
    state = await shell.json("get-runtime-status", "--id", found[1])
    assert (state["Name"], state["OrchestrationStatus"], state["CompletedTime"]) == (
        "greeting",
        6,
        "0001-01-01T00:00:00",
    )


async def test_inline_input_is_a_text_and_a_file_is_json(shell: Shell, tmp_path: Path):
    (tmp_path / "input.json").write_text('{"a": [1, 2]}')
    await shell.says("start-new", "--function-name", "greeting", "--id", "inline", "--input", "5")
    await shell.says(
        "start-new",
        "--function-name",
        "greeting",
        "--id",
        "file",
        "--input",
        f"@{tmp_path}/input.json",
    )
    inputs = {
        state["OrchestrationInstance"]["InstanceId"]: state["Input"]
        for state in (await shell.json("get-instances"))["instances"]
    }
    assert inputs == {"inline": '"5"', "file": '{"a":[1,2]}'}


async def test_a_missing_input_file_is_named(shell: Shell):
    said = await shell.says(
        "start-new", "--function-name", "greeting", "--input", "@nowhere.json", code=2
    )
    assert "Could not find input file at 'nowhere.json'" in said.err


async def test_a_live_instance_is_not_replaced(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    said = await shell.says("start-new", "--function-name", "greeting", "--id", "one", code=1)
    assert "Could not start new instance 'one'" in said.err


async def test_instances_come_in_pages(shell: Shell):
    for name in ("a", "b", "c"):
        await shell.says("start-new", "--function-name", "greeting", "--id", name)
    first = await shell.json("get-instances", "--top", "2")
    rest = await shell.json("get-instances", "--continuation-token", first["continuationToken"])
    ids = [
        s["OrchestrationInstance"]["InstanceId"] for s in (*first["instances"], *rest["instances"])
    ]
    assert (ids, rest["continuationToken"]) == (["a", "b", "c"], None)
    text = (await shell.says("get-instances", "--runtime-status", "completed failed")).out
    assert text == "[]\nContinuation token for next set of results: ''\n"


async def test_an_instance_that_is_not_there(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    said = await shell.says("get-runtime-status", "--id", "two")
    assert said.out == "Could not find an orchestration instance with id 'two'\n"
    said = await shell.says("terminate", "--id", "two")
    assert said.out == "Failed to find instance 'two'. No instance was terminated.\n"
    for command in (("get-history",), ("raise-event",), ("rewind",)):
        said = await shell.says(*command, "--id", "two", code=1)
        assert "there is no instance 'two'" in said.err, command


async def test_a_running_host_takes_what_commands_send(shell: Shell, tmp_path: Path):
    (tmp_path / "data.json").write_text("[1]")
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "approval", "--id", "asked")
        await host.until("asked", "Running")
        said = await shell.says(
            "raise-event", "--id", "asked", "--event-name", "first", "--event-data", "yes"
        )
        assert said.out == "Raised event 'first' to instance 'asked'.\n"
        await shell.says(
            "raise-event",
            "--id",
            "asked",
            "--event-name",
            "second",
            "--event-data",
            f"@{tmp_path}/data.json",
        )
        assert await host.result("asked") == ["yes", [1]]
        events = await shell.json("get-history", "--id", "asked")
        assert [event["EventType"] for event in events][:2] == [
            "ExecutionStarted",
            "OrchestratorStarted",
        ]

        await shell.says("start-new", "--function-name", "sleeper", "--id", "asleep")
        await host.until("asleep", "Running")
        said = await shell.says("terminate", "--id", "asleep", "--reason", "enough")
        assert said.out.endswith("Successfully terminated 'asleep'\n")
        assert (await host.status("asleep"))["output"] == "enough"


async def test_a_failed_instance_is_rewound(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "broken", "--id", "ill")
        await host.until("ill", "Failed")
    said = await shell.says("rewind", "--id", "ill", "--reason", "again")
    assert said.out == (
        "Rewind message sent to instance 'ill'. Retrieving new status now...\n"
        "Status before rewind: Failed\nStatus after rewind: Pending\n"
    )
    assert "only supported on failed" in (await shell.says("rewind", "--id", "ill", code=1)).err


async def test_termination_without_a_host_is_not_waited_for_for_ever(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    said = await shell.says("terminate", "--id", "one", "--wait", "0", code=1)
    assert "has not ended within 0 seconds" in said.err
    assert "durable why one" in said.err


async def test_purging_counts_instances_and_rows(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        for name in ("one", "two"):
            await shell.says("start-new", "--function-name", "greeting", "--id", name)
            await host.result(name)
        await shell.says("start-new", "--function-name", "broken", "--id", "ill")
        await host.until("ill", "Failed")
    said = await shell.says("purge-history", "--runtime-status", "completed")
    assert "matched one of the following: [Completed]" in said.out
    assert said.out.endswith("Instances deleted: 2\nRows deleted: 18\n")
    purged = await shell.json("purge-history")
    assert purged["instancesDeleted"] == 1
    assert (await shell.json("get-instances"))["instances"] == []


async def test_a_hub_is_deleted_and_then_not_found(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting")
    assert shell.place.hub in await shell.json("get-task-hub-names")
    said = await shell.says("delete-task-hub")
    assert said.out == f"Task hub '{shell.place.hub}' successfully deleted."
    assert shell.place.hub not in await shell.json("get-task-hub-names")
    said = await shell.says("get-instances", code=1)
    assert f"there is no task hub {shell.place.hub}" in said.err


async def test_messages_go_to_the_queues_that_are_there(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
):
    """A hub with another partition count than the settings say: every message finds the queue of its instance."""
    partitions = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__partitionCount"
    async with hosting(shell.folder, shell.place, settings={partitions: "7"}) as host:
        for number in range(8):
            await shell.says("start-new", "--function-name", "greeting", "--id", f"i{number}")
        for number in range(8):
            assert await host.result(f"i{number}") == "Hello nobody!"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["get-instances", "--created-after", "yesterday"],
            2,
            "--created-after: 'yesterday' is no time",
        ),
        (["get-instances", "--runtime-status", "done"], 2, "'done' is no runtime status"),
        (["get-runtime-status", "--id", "x", "--show-input", "maybe"], 2, "neither true nor false"),
        (["purge-history", "--runtime-status", "running"], 2, "Running cannot be purged"),
        (["get-instances", "--no-such-flag"], 2, "No such option"),
        (["get-history"], 2, "Missing option"),
    ],
)
async def test_wrong_flags_are_named(shell: Shell, arguments: list[str], code: int, message: str):
    await shell.says("start-new", "--function-name", "greeting", "--id", "x")
    assert message in (await shell.says(*arguments, code=code)).err


async def test_stores_that_cannot_be_reached(tmp_path: Path, shell: Shell):
    app = ("--app", str(shell.folder))
    for storage, message in (
        ("memory", "lives in its host's process"),
        (f"embedded:{tmp_path}/none.db", "there is no embedded store"),
        ("NoSuchSetting", "there is no such setting"),
        ("DefaultEndpointsProtocol=http;AccountName=a", "neither AccountKey nor"),
    ):
        said = await shell.says("get-instances", target=(*app, "--storage", storage), code=2)
        assert message in said.err, storage
    said = await shell.says("get-instances", target=("--app", str(tmp_path)), code=1)
    assert "Unable to find project root" in said.err
    assert not (tmp_path / "none.db").exists()


async def test_a_store_can_be_named_without_an_app(shell: Shell, tmp_path: Path):
    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    target = (
        "--app",
        str(tmp_path),
        "--storage",
        shell.place.storage,
        "--hub",
        shell.place.hub.lower(),
    )
    said = await shell.says("get-instances", "--json", target=target)
    assert [s["Name"] for s in said.json["instances"]] == ["greeting"]
