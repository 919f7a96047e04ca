"""What a user gets who makes a mistake: one clear message on stderr, an exit code, and no stack trace."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.apps import HTTP, function_json, v2_app, write_app
from tests.support.hosts import ROOT, new_place, ready

WITHIN_S = 60.0
PING = """
@app.route(route="ping")
def ping(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("pong")
"""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


async def run(*arguments: str, **settings: str) -> Ended:
    """`python -m emulator` of this checkout, waited for; it is given no settings but these."""
    ours = ("azurewebjobs", "azurefunctionsjobhost")
    inherited = {k: v for k, v in os.environ.items() if not k.lower().startswith(ours)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "emulator",
        *arguments,
        cwd=ROOT,
        env={**inherited, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def refused(app: Path, *flags: str, **settings: str) -> Ended:
    ended = await run("start", str(app), "--port", "0", *flags, **settings)
    assert "Traceback" not in ended.out + ended.err, ended.err
    assert "Ready on" not in ended.out
    assert not ended.out.strip(), ended.out
    return ended


def app_with(folder: Path, **files: Any) -> Path:
    return v2_app(folder, PING, **files)


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def host_json(**durable: Any) -> dict[str, Any]:
    return {"host.json": {"version": "2.0", "extensions": {"durableTask": durable}}}


SAME_NAME_TWICE = f"import azure.functions as func\napp = func.FunctionApp()\n{PING}{PING}"
OVERRIDE = "AzureFunctionsJobHost__extensions__durableTask__"

MISTAKES: list[tuple[str, dict[str, Any], tuple[str, ...], dict[str, str], int, str]] = [
    ("host.json is no JSON", {"host.json": '{"version" "2.0"}'}, (), {}, 2,
     r"^/.*host\.json, line 1, column 12: Expecting ':' delimiter\. The line is: \{\"version\" \"2\.0\"\}$"),
    ("two host.json in one", {"host.json": '{\n  "version": "2.0"\n}{\n  "version": "2.0"\n}'}, (), {}, 2,
     r"^/.*host\.json, line 3, column 2: the JSON ends before this; delete what follows\. The line is: \}\{$"),
    ("host.json is no JSON to the SDK", {"host.json": '{"version": "2.0", /* of the host */}'}, (), {}, 2,
     r"^/.*host\.json: azure-functions-durable reads it, too, and takes no comments, .* \(Expecting .*\)\. "
     r"Remove them; on Azure, too, no function would run$"),
    ("the wrong version", {"host.json": {"version": "1.0"}}, (), {}, 2,
     r'^/.*host\.json: "version" must be "2\.0", not "1\.0"; add "version": "2\.0"$'),
    ("a senseless hub name", host_json(hubName="-"), (), {}, 2, r"^/.*hubName"),
    ("a setting that is missing", host_json(hubName="%HUB%"), (), {}, 2,
     r"^/.*hubName: '%HUB%' does not resolve to a value\. Add HUB to the Values of local\.settings\.json"),
    ("a senseless setting", {}, (), {f"{OVERRIDE}maxConcurrentActivityFunctions": "0"}, 2,
     rf'^{OVERRIDE}maxConcurrentActivityFunctions is "0", but it must be a whole number of at least 1'),
    ("another store's provider", host_json(storageProvider={"type": "netherite"}), (), {}, 2,
     r"type is 'netherite', and only AzureStorage is supported here"),
    ("a store that is not known", {}, ("--storage", "redis"), {}, 2,
     r"^--storage names the connection 'redis', and there is no such setting: add redis to the Values"),
    ("a connection string that is none", {}, (), {"AzureWebJobsStorage": "nonsense"}, 2,
     r"^the storage connection 'Storage' is no connection string: .*Expected UseDevelopmentStorage=true"),
    ("a key that is none", {}, (), {"AzureWebJobsStorage": "AccountName=a;AccountKey=not base64"}, 2,
     r"^the storage connection 'Storage' has an AccountKey that is not base64"),
    ("a language that is not Python", {}, (), {"FUNCTIONS_WORKER_RUNTIME": "dotnet"}, 2,
     r"^FUNCTIONS_WORKER_RUNTIME is 'dotnet', and only Python apps run here"),
    ("encrypted settings", {"local.settings.json": {"IsEncrypted": True}}, (), {}, 2,
     r"^/.*local\.settings\.json: IsEncrypted is true, .*Run `func settings decrypt`"),
    ("an address of another machine", {}, ("--address", "192.0.2.1"), {}, 2,
     r"^cannot listen on 192\.0\.2\.1, port 0: .*Use an address of this machine, such as 127\.0\.0\.1$"),
    ("an address that is none", {}, ("--address", "no.such.host.invalid"), {}, 2,
     r"^cannot listen on no\.such\.host\.invalid, port 0: "),
    ("a function file that fails to import", {"function_app.py": "import no_such_module_xyz"}, (), {}, 2,
     r"^Worker failed to index functions: function_app\.py cannot be imported: ModuleNotFoundError: .*line 1: import "
     r"no_such_module_xyz\)\. Install it into this environment \(pip install \.\.\.\)"),
    ("two functions of one name", {"function_app.py": SAME_NAME_TWICE}, (), {}, 2,
     r"^Worker failed to index functions: /.*function_app\.py: .*Function ping does not have a unique function name"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "flags", "settings", "code", "message"),
    [row[1:] for row in MISTAKES],
    ids=[row[0] for row in MISTAKES],
)
async def test_a_users_mistake_gets_one_message_and_an_exit_code(
    tmp_path: Path,
    files: Mapping[str, Any],
    flags: tuple[str, ...],
    settings: Mapping[str, str],
    code: int,
    message: str,
) -> None:
    ended = await refused(app_with(tmp_path, **files), *flags, **settings)
    assert (ended.code, len(ended.err.splitlines())) == (code, 1), ended
    assert re.search(message, ended.err), ended.err


async def test_a_port_in_use(tmp_path: Path) -> None:
    with taken_port() as port:
        ended = await refused(app_with(tmp_path), "--port", str(port), "--storage", "memory")
    assert ended.code == 1
    assert ended.err == (
        f"Port {port} is unavailable. Close the process using that port, or specify another port using --port [-p].\n"
    )


async def test_a_folder_without_an_app(tmp_path: Path) -> None:
    ended = await refused(tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("Unable to find project root.")


async def test_a_store_that_is_a_folder_or_another_programs_file(tmp_path: Path) -> None:
    app = app_with(tmp_path / "app")
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (x)")
    connection.execute("INSERT INTO theirs VALUES (1)")
    connection.commit()
    for path, message in (
        (tmp_path, "cannot be used: unable to open database file. Check that the folder"),
        (other, "is a database of another program; name another file with --storage embedded:PATH"),
    ):
        ended = await refused(app, "--storage", f"embedded:{path}")
        assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended
        assert message in ended.err
    assert connection.execute("SELECT x FROM theirs").fetchall() == [(1,)]
    connection.close()


@pytest.mark.slow
async def test_a_store_that_cannot_be_reached(tmp_path: Path) -> None:
    with taken_port() as port:
        pass
    base = f"http://127.0.0.1:{port}/devstoreaccount1"
    connection = (
        f"AccountName=devstoreaccount1;AccountKey=eA==;BlobEndpoint={base};QueueEndpoint={base};"
        f"TableEndpoint={base}"
    )
    ended = await refused(app_with(tmp_path), AzureWebJobsStorage=connection)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended
    assert f"(127.0.0.1:{port}) of the connection 'Storage' cannot be used: " in ended.err
    assert "or use --storage embedded" in ended.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("start", "--prot", "1"), "--prot"), (("strat",), "strat"), (("start", "-p", "x"), "--port")],
)
async def test_a_wrong_flag_or_command_is_named(arguments: tuple[str, ...], named: str) -> None:
    ended = await run(*arguments)
    assert ended.code == 2
    assert named in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
async def test_broken_functions_are_told_and_the_others_run(tmp_path: Path) -> None:
    files = {
        "Bad/function.json": "{",
        "Fails/function.json": function_json(*HTTP),
        "Fails/__init__.py": "import no_such_module_xyz",
        "Fine/function.json": function_json(*HTTP),
        "Fine/__init__.py": "def main(req): return 'ok'",
        "local.settings.json": {"Values": {"AzureWebJobs.Off.Disabled": "true"}},
        "Off/function.json": function_json(*HTTP),
        "Off/__init__.py": "def main(req): return 'off'",
    }
    place = new_place("memory", tmp_path)
    app = write_app(tmp_path / "app", files)
    async with ready(app, place, tmp_path / "log") as (host, caller):
        assert (await caller.get("/api/fine")).text == "ok"
        assert (await caller.get("/api/bad")).status == 404
        assert (await caller.get("/api/off")).status == 404
        fails = await caller.get("/api/fails")
        assert (fails.status, fails.text) == (500, "")
        listed = (await caller.get("/admin/functions")).json
        assert {f["name"]: f["isDisabled"] for f in listed} == {
            "Fails": False,
            "Fine": False,
            "Off": True,
        }
        errors = (await caller.get("/admin/functions/fails/status")).json["errors"]
        assert "ModuleNotFoundError" in errors[0]
    assert "The 'Bad' function is in error: " in host.output
    assert "Worker failed to load function: 'Fails': __init__.py cannot be imported" in host.output
    assert "Function Off is disabled." in host.output
    assert "Traceback" not in host.output


@pytest.mark.slow
async def test_the_app_sees_its_folder_and_its_port(tmp_path: Path) -> None:
    function = """
    import os

    @app.route()
    def where(req: func.HttpRequest) -> str:
        return f"{os.getcwd()} {os.environ['WEBSITE_HOSTNAME']}"
    """
    place = new_place("memory", tmp_path)
    app = v2_app(tmp_path / "app", function)
    async with ready(app, place, tmp_path / "log") as (host, caller):
        assert (await caller.get("/api/where")).text == f"{app} localhost:{host.port}"
