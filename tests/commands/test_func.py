from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from azurite import Ports, is_listening
from emulator.errors import ConfigError
from emulator.func import main, read_start, use_environment
from tests.commands.conftest import WAITING_APP
from tests.support.hosts import SAMPLES, HostProcess, Place, calling, eventually, new_place


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("--port 7072", "--port 7072"),
        ("-p 1 --address 127.0.0.1", "--port 1 --address 127.0.0.1"),
        ("--port=7072 --cors=http://a,http://b", "--port 7072 --cors http://a,http://b"),
        ("--verbose --enableAuth", "--verbose --enable-auth"),
        ("--verbose true --enableAuth false", "--verbose"),
        ("--functions A B C --port 1", "--port 1 --functions A,B,C"),
        ("--no-build --timeout 5 -t 5 --runtime x --python --offline true", ""),
        ("--user-log-level Debug --script-root there", ""),
        ("--cors-credentials", "--cors-credentials"),
    ],
)
def test_options_of_start_are_translated(words: str, arguments: str):
    assert " ".join(read_start(words.split()).arguments) == arguments


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--useHttps"], "HTTPS is not offered here"),
        (["--port"], "--port needs a value"),
        (["--nonsense"], "unknown argument --nonsense"),
        (["stray"], "unknown argument stray"),
    ],
)
def test_other_options_are_refused(words: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        read_start(words)


def test_words_that_need_no_app(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "4.14.0\n"
    assert main([]) == 0
    assert "func durable COMMAND" in capsys.readouterr().out
    assert main(["init"]) == 1
    assert "unknown argument init" in capsys.readouterr().err


def test_packages_of_the_apps_environment_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / ".venv" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    use_environment(tmp_path, None)
    assert sys.path[-1] == str(packages)


@pytest.fixture
def func(tmp_path: Path) -> Path:
    shim = tmp_path / "bin"
    said = subprocess.run(
        [sys.executable, "-m", "emulator", "func-shim", str(shim)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(shim / "func") in said.stdout
    return shim / "func"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy, since its state goes into its folder."""
    ignored = shutil.ignore_patterns("__pycache__", ".durable")
    return Path(shutil.copytree(WAITING_APP, tmp_path / "app", ignore=ignored))


@pytest.fixture
def place(lasting_place: Place) -> Place:
    return lasting_place


def environment(place: Place) -> dict[str, str]:
    """As a harness gives it: no store is named, or the server's connection string."""
    found = {k: v for k, v in place.environment.items() if k != "VIRTUAL_ENV"}
    return {**found, "AzureWebJobsStorage": place.storage} if place.kind == "azurite" else found


def begun(command: list[str], folder: Path, place: Place, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment(place),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def ended(command: list[str], folder: Path, place: Place) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(place), capture_output=True, text=True, check=False
    )


def test_a_shim_is_not_written_over_a_file(tmp_path: Path):
    (tmp_path / "bin").write_text("")
    command = [sys.executable, "-m", "emulator", "func-shim", str(tmp_path / "bin")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith(f"{tmp_path}/bin/func cannot be written: ")
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.slow
async def test_a_harness_can_drive_it(func: Path, app: Path, place: Place, tmp_path: Path):
    """The process contract of suites that start `func start --port N` in the app's folder and signal its group."""
    port = Ports.free().blob
    log = tmp_path / "log"
    process = begun([str(func), "start", "--port", str(port)], app, place, log)
    host = HostProcess(process, log, port)
    try:
        async with calling(port) as caller:
            await host.until_printed("Host lock lease acquired by instance ID '")

            async def is_running() -> bool:
                return (await caller.get("/admin/host/status")).json["state"] == "Running"

            await eventually(is_running, "the host is running")
            instance = await caller.start("greeting")
            assert await caller.result(instance) == "Hello nobody!"
        listed = await asyncio.to_thread(ended, [str(func), "durable", "get-instances"], app, place)
        assert instance in listed.stdout, listed
        os.killpg(process.pid, signal.SIGTERM)
        assert await host.ended() == 0, host.output
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert "Core Tools Version:       4.14.0" in host.output
    assert "\tgreeting: orchestrationTrigger" in host.output
    assert "Host startup operation has been canceled" not in host.output


@pytest.mark.slow
def test_a_port_in_use_ends_with_one(func: Path, app: Path, place: Place, tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ["start", "--port", str(port), "--script-root", str(app)]
        said = ended([str(func), *words], tmp_path, place)
    assert said.returncode == 1
    assert f"Port {port} is unavailable." in said.stderr


@pytest.mark.soak
@pytest.mark.azurite
async def test_development_storage_is_started_used_and_ended(func: Path, tmp_path: Path):
    """On its usual ports, which other runs on this machine may want, too: an Azurite that is there is used and left."""
    ports = Ports()
    was_there = is_listening(ports.blob)
    app = Path(shutil.copytree(SAMPLES / "hello_sequence", tmp_path / "app"))
    values = {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    }
    settings = {"IsEncrypted": False, "Values": values}
    (app / "local.settings.json").write_text(json.dumps(settings))
    place = new_place("memory", tmp_path)
    port, log = Ports.free().blob, app / "_func_host.log"
    process = begun([str(func), "start", "--port", str(port)], app, place, log)
    host = HostProcess(process, log, port)
    try:
        async with calling(port) as caller:
            await host.until_printed("Host lock lease acquired by instance ID '", within_s=180)
            assert all(map(is_listening, ports))
            started = await caller.post("/api/orchestrators/hello_sequence")
            assert await caller.result(started.json["id"]) == [
                f"Hello {city}!" for city in ("Tokyo", "Seattle", "London")
            ]
        os.killpg(process.pid, signal.SIGTERM)
        assert await host.ended() == 0, host.output
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert ("starting Azurite" in host.output) is not was_there
    assert is_listening(ports.blob) is was_there
