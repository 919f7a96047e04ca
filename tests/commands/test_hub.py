from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from emulator.commands.store import Target, open_hub
from tests import vectors
from tests.commands.conftest import WAITING_APP
from tests.support.hosts import Place, hosting, new_place
from tests.support.shell import Shell


async def test_showing_a_hub(shell: Shell):
    async with hosting(shell.folder, shell.place) as host:
        await shell.says("start-new", "--function-name", "greeting", "--id", "one")
        await host.result("one")
        running = await shell.json("hub", "show")
        assert running["workers"]
    await shell.says("start-new", "--function-name", "greeting", "--id", "two")
    shown = await shell.json("hub", "show")
    assert shown["instances"] == {"Completed": 1, "Pending": 1}
    assert sum(queue["visible"] for queue in shown["queues"]) == 1
    assert shown["workers"] == []
    said = await shell.says("hub", "show")
    assert "No host works on it." in said.out


async def test_a_recording_becomes_a_hub_and_a_file_again(shell: Shell, tmp_path: Path):
    content = vectors.stages("left-behind")["01-left-behind"]
    (tmp_path / "stages").mkdir()
    file = tmp_path / "stages" / "01-left-behind.json"
    file.write_text(json.dumps(content))
    name = shell.place.hub
    answer = await shell.json("hub", "import", str(file), "--as", name)
    assert answer["rows"] == sum(len(rows) for rows in content["tables"].values())
    assert answer["messages"] == sum(len(q["visible"]) for q in content["queues"].values())
    said = await shell.says("hub", "import", str(file), "--as", name, code=2)
    assert "--replace" in said.err
    await shell.says("hub", "import", str(file), "--as", name, "--replace")
    await shell.says("hub", "export", str(tmp_path / "stages"), "--stage", "again")
    written = json.loads((tmp_path / "stages" / "02-again.json").read_text())
    assert sorted(map(len, written["tables"].values())) == sorted(
        map(len, content["tables"].values())
    )
    ids = {
        s["OrchestrationInstance"]["InstanceId"]
        for s in (await shell.json("get-instances"))["instances"]
    }
    assert "not-started" in ids


@pytest.fixture
def other(tmp_path: Path) -> Place:
    folder = tmp_path / "other"
    folder.mkdir()
    return new_place("sqlite", folder)


async def test_a_copy_goes_on_where_the_hub_stood(shell: Shell, other: Place):
    """In another store, under another name; the timer's message cannot be read and is made anew."""
    async with hosting(shell.folder, shell.place) as host:
        for function, name in (("approval", "asked"), ("napper", "asleep")):
            await shell.says("start-new", "--function-name", function, "--id", name)
            await host.until(name, "Running")
    copied = await shell.json("hub", "copy", "--to-storage", other.storage, "--to-hub", other.hub)
    assert copied["timersMadeAnew"] == 1
    async with hosting(shell.folder, other) as host:
        assert await host.result("asleep") == "awake"
        await host.raise_event("asked", "first", 1)
        await host.raise_event("asked", "second", 2)
        assert await host.result("asked") == [1, 2]


async def test_a_copy_on_itself_is_refused(shell: Shell):
    await shell.says("start-new", "--function-name", "greeting")
    assert "the hub itself" in (await shell.says("hub", "copy", code=2)).err
    said = await shell.says("hub", "copy", "--to-storage", shell.place.storage, code=2)
    assert "is the store that the hub lies in" in said.err


async def test_more_messages_than_a_peek_shows_are_copied(other: Place, tmp_path: Path):
    target = Target(app=WAITING_APP, storage=other.storage, task_hub=other.hub)
    shell = Shell(WAITING_APP, other)
    await shell.says("start-new", "--function-name", "greeting", "--id", "i0")
    async with open_hub(target) as hub:
        for number in range(1, 200):
            await hub.client.start("greeting", instance_id=f"i{number}")
    answer = await shell.json("hub", "copy", "--to-hub", "Copied")
    assert (answer["messages"], answer["messagesNotVisible"]) == (200, 0)
    assert (
        sum(q["visible"] + q["hidden"] for q in (await shell.json("hub", "show"))["queues"]) == 200
    )
    file = tmp_path / "file.json"
    assert (await shell.json("hub", "export", str(file)))["messagesNotVisible"] == 0


async def test_files_that_cannot_be_used(shell: Shell, tmp_path: Path):
    await shell.says("start-new", "--function-name", "greeting")
    bad = tmp_path / "bad.json"
    bad.write_text("[]")
    for arguments, message in (
        (("import", str(tmp_path / "none.json")), "cannot be read"),
        (("import", str(bad)), "is no JSON object"),
        (("import", str(bad), "--as", "no-name"), "is no JSON object"),
        (("export", str(tmp_path / "none" / "x.json")), "cannot be written"),
    ):
        assert message in (await shell.says("hub", *arguments, code=2)).err, arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["purge-history"],
        ["delete-task-hub"],
        ["keys", "renew", "master"],
        ["hub", "import", "FILE"],
        ["hub", "copy", "--to-hub", "NAME"],
    ],
)
async def test_nothing_is_destroyed_away_from_this_machine(
    arguments: list[str], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every store is taken for a remote one; only the flag opens it."""
    from emulator.storage.azure import AzureStorage
    from emulator.storage.sqlite import SqliteStorage

    await shell.says("start-new", "--function-name", "greeting", "--id", "one")
    file = tmp_path / "file.json"
    await shell.says("hub", "export", str(file))
    keys = await shell.json("keys", "list")
    name = f"Other{uuid4().hex[:12]}"
    given = [{"FILE": str(file), "NAME": name}.get(argument, argument) for argument in arguments]
    for kind in (AzureStorage, SqliteStorage):
        monkeypatch.setattr(kind, "is_local", property(lambda _: False))
    said = await shell.says(*given, code=2)
    assert "--yes-this-is-not-local" in said.err
    assert (await shell.json("instances", "list"))[0]["instanceId"] == "one"
    assert await shell.json("keys", "list") == keys
    if "import" in given:
        given += ["--as", name]
    await shell.says(*given, "--yes-this-is-not-local")
