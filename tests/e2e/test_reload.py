"""An app whose files change while it runs begins anew, and loses nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from socket import socket

import aiohttp
import pytest

from emulator import config
from emulator.commands.reload import Beginning, Watch
from tests.support.apps import v2_app, write_app
from tests.support.hosts import (
    DURABLE,
    Caller,
    HostProcess,
    Place,
    eventually,
    new_place,
    ready,
)

APP = """
WORD = "{word}"

@app.route("word", methods=["GET"])
def word(req: func.HttpRequest) -> str:
    return WORD

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
    return WORD
"""


def write(folder: Path, word: str) -> Path:
    return v2_app(folder, APP.format(word=word))


async def until_it_says(word: str, host: HostProcess, caller: Caller) -> None:
    """No connection is refused meanwhile; one that the host before had accepted may end without an answer."""

    async def look() -> bool | None:
        assert host.process.poll() is None, host.output
        try:
            reply = await caller.call("GET", "/api/word", headers={"Connection": "close"})
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientError:
            return None
        return reply.text == word or None

    await eventually(look, f"the app says {word!r}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place("sqlite", tmp_path)


async def test_changed_code_runs_without_a_request_being_refused(
    place: Place, tmp_path: Path
) -> None:
    app = write(tmp_path / "app", "Alpha")
    async with ready(app, place, tmp_path / "log") as (host, caller):
        await caller.post(f"{DURABLE}/orchestrators/waits/w1")
        await until_it_says("Alpha", host, caller)
        write(app, "Omega")
        await until_it_says("Omega", host, caller)
        assert f"File change of type 'Changed' detected for '{app}{os.sep}" in host.output
        assert "Host configuration has changed. Signaling restart" in host.output
        await caller.post(f"{DURABLE}/instances/w1/raiseEvent/go", 1)

        async def ended() -> object:
            status = (await caller.get(f"{DURABLE}/instances/w1")).json
            return status["output"] if status["runtimeStatus"] == "Completed" else None

        assert await eventually(ended, "the instance ends") == "Omega"
        host.send(signal.SIGINT)
        assert await host.ended() == 0


async def test_code_that_cannot_be_loaded_waits_for_the_next_change(
    place: Place, tmp_path: Path
) -> None:
    app = write(tmp_path / "app", "Alpha")
    async with ready(app, place, tmp_path / "log") as (host, caller):
        v2_app(app, "this is no Python")
        await host.until_printed("Waiting for a change of the app's files.")
        assert "function_app.py" in host.output
        write(app, "Omega")
        await until_it_says("Omega", host, caller)


async def test_a_host_that_waits_for_a_change_can_be_stopped(place: Place, tmp_path: Path) -> None:
    app = write(tmp_path / "app", "Alpha")
    async with ready(app, place, tmp_path / "log") as (host, _):
        v2_app(app, "this is no Python")
        await host.until_printed("Waiting for a change of the app's files.")
        host.send(signal.SIGTERM)
        assert await host.ended() == 0


@pytest.mark.parametrize(
    ("path", "is_so"),
    [
        ("function_app.py", True),
        ("shared/text.py", True),
        ("Hello/function.json", True),
        ("host.json", True),
        ("local.settings.json", False),
        ("data/names.json", False),
        ("README.md", False),
        (".venv/lib/azure/functions.py", False),
        ("shared/__pycache__/text.py", False),
        (".durable/x.py", False),
    ],
)
def test_code_and_configuration_are_watched(path: str, is_so: bool, tmp_path: Path) -> None:
    assert Watch(tmp_path).has(tmp_path / path) is is_so


def test_what_host_json_names_is_watched(tmp_path: Path) -> None:
    host_json = {"version": "2.0", "watchFiles": ["names.json"], "watchDirectories": ["texts"]}
    settings = config.load(write_app(tmp_path, {"host.json": host_json}), config.Flags(), {})
    watch = Watch(tmp_path, settings.app.watched_files, settings.app.watched_folders)
    watched = ("data/names.json", "texts/a/b.txt")
    assert [watch.has(tmp_path / path) for path in (*watched, "data/texts/a.txt")] == [
        True,
        True,
        False,
    ]


def change_at(app: Path, path: Path) -> None:
    """Write a file, or make a folder anew; and write what nobody watches."""
    (app / ".durable" / "old.py").write_text(str(time.time_ns()))
    if path.suffix:
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(time.time_ns()))
    else:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()


async def test_a_new_folder_and_what_lies_in_folders_is_seen(tmp_path: Path) -> None:
    app = write_app(tmp_path, {"shared/text.py": "", ".durable/old.py": ""})
    for name in ("shared/text.py", "Hello", "shared/deeper/new.py", "new.py"):
        stop, path = asyncio.Event(), app / name
        watch = Watch(app, since_ns=time.time_ns())
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(watch.change_or(stop))

            async def look(seen: asyncio.Task[Path | None], path: Path) -> bool | None:
                if not seen.done():
                    change_at(app, path)
                return seen.done() or None

            await eventually(partial(look, seen, path), f"{name} is seen", within_s=20)
        assert seen.result() == path


async def test_an_end_is_heard_while_files_are_watched(tmp_path: Path) -> None:
    stop = asyncio.Event()
    watch = Watch(write_app(tmp_path, {}), since_ns=time.time_ns())
    asyncio.get_running_loop().call_later(0.05, stop.set)
    assert await watch.change_or(stop) is None


def test_what_was_written_before_the_watch_began_is_seen(tmp_path: Path) -> None:
    app = write_app(tmp_path, {"a.py": "", "b.txt": "", ".venv/c.py": ""})
    os.utime(app / "host.json", ns=(1, 1))
    os.utime(app / "a.py", ns=(5, 5))
    assert Watch(app, since_ns=6).changed_already() is None
    assert Watch(app, since_ns=5).changed_already() == app / "a.py"


def test_sockets_are_taken_over_and_not_left_open_beside(tmp_path: Path) -> None:
    with socket() as given:
        number = given.detach()
        [taken] = Beginning(tmp_path, (), {}, (number,), 0).taken_over()
        assert taken.fileno() == number
        taken.close()
