"""`durable start` as a user meets it: a process, its output, its signals and its exit codes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.samples.readme import all_samples, promise_of
from tests.support.apps import write_app
from tests.support.hosts import DURABLE, SAMPLES, Place, new_place, printed_json, ready, started

HELLO = SAMPLES / "hello_sequence"
SLOW_TEXTS = {"SECONDS_PER_TEXT": "30"}


@pytest.fixture
def memory(tmp_path: Path) -> Place:
    return new_place("memory", tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> Place:
    return new_place("sqlite", tmp_path)


async def test_run_prints_the_outcome_and_the_host_stays_up(place: Place, tmp_path: Path):
    run = ("--run", "hello_sequence")
    async with ready(HELLO, place, tmp_path / "log", *run) as (host, caller):
        await host.until_printed('"lastUpdatedTime"')
        status = printed_json(host.output)
        assert status["runtimeStatus"] == "Completed"
        assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
        listed = (await caller.get(f"{DURABLE}/instances")).json
        assert [s["instanceId"] for s in listed] == [status["instanceId"]]
        assert host.process.poll() is None


@pytest.mark.parametrize("sample", all_samples())
async def test_the_command_of_a_readme_prints_the_output_of_the_readme(
    sample: str, memory: Place, tmp_path: Path
):
    promise = promise_of(sample)
    arguments = promise.arguments[2:]
    async with ready(SAMPLES / sample, memory, tmp_path / "log", *arguments) as (host, caller):
        if sample == "external_events":
            line = await host.until_printed(f"Started {promise.orchestrator}, instance ")
            instance_id = line.rpartition(" ")[2].rstrip(".")
            for event, data in (("Paid", 17), ("Packed", "B2"), ("PickedUp", "Anna")):
                await caller.post(f"/api/parcels/{instance_id}/{event}", data)
        await host.until_printed('"lastUpdatedTime"')
        status = printed_json(host.output)
        assert (status["runtimeStatus"], status["output"]) == ("Completed", promise.output)


async def test_run_takes_an_input(memory: Place, tmp_path: Path):
    (tmp_path / "texts.json").write_text('["a b", "c"]')
    run = ("--run", "Count_Words", "--input", f"@{tmp_path / 'texts.json'}")
    async with ready(SAMPLES / "fan_out_fan_in", memory, tmp_path / "log", *run) as (host, _):
        await host.until_printed('"lastUpdatedTime"')
        assert printed_json(host.output)["output"] == {"counts": [2, 1], "total": 3}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--run", "helo"),
            f"--run: {HELLO} has no orchestrator 'helo'; it has hello_sequence",
        ),
        (("--input", "1"), "--input is for the orchestration that --run names; add --run NAME"),
        (
            ("--run", "hello_sequence", "--input", "Oslo"),
            "--input: 'Oslo' is no JSON (Expecting value: line 1 column 1 (char 0)); "
            "write a text in quotes of its own: '\"text\"'",
        ),
        (
            ("--run", "hello_sequence", "--input", "@nowhere.json"),
            "Could not find input file at 'nowhere.json' (--input)",
        ),
    ],
)
async def test_a_run_that_cannot_be_is_refused_in_one_line(
    arguments: tuple[str, ...], told: str, memory: Place, tmp_path: Path
):
    async with started(HELLO, memory, tmp_path / "log", *arguments) as host:
        assert await host.ended() == 2
        assert told in host.output
        assert "Traceback" not in host.output


async def test_the_start_tells_functions_addresses_store_and_readiness(
    embedded: Place, tmp_path: Path
):
    async with ready(HELLO, embedded, tmp_path / "log") as (host, caller):
        base = f"http://localhost:{host.port}"
        for line in (
            "Worker process started and initialized.",
            f"\thttp_start: [POST] {base}/api/orchestrators/{{functionName}}",
            "\thello_sequence: orchestrationTrigger",
            "\tsay_hello: activityTrigger",
            f"Task hub:   {embedded.hub} on embedded store {tmp_path / 'state.db'}",
            f"Management: {base}{DURABLE}/instances",
            "For detailed output, run durable with --verbose flag.",
        ):
            assert line in host.output.splitlines()
        assert (await caller.get("/admin/host/status")).json["state"] == "Running"


async def test_a_folder_without_functions_is_told(memory: Place, tmp_path: Path):
    app = write_app(tmp_path / "app", {})
    async with ready(app, memory, tmp_path / "log") as (host, _):
        assert f"No job functions found in {app}: write a function_app.py" in host.output
        assert "Functions:" not in host.output


async def test_verbose_shows_what_the_host_does(memory: Place, tmp_path: Path):
    async with ready(HELLO, memory, tmp_path / "log", "--verbose") as (host, _):
        assert "Opened local http RPC endpoint: http://127.0.0.1:" in host.output
        assert "For detailed output" not in host.output


async def test_what_only_other_stores_need_is_not_imported(embedded: Place, tmp_path: Path):
    """What a start costs is its imports; those of the Azure SDK alone are half a second."""
    shown = {"PYTHONPROFILEIMPORTTIME": "1"}
    async with ready(HELLO, embedded, tmp_path / "log", settings=shown) as (host, _):
        imported = {line.rpartition("|")[2].strip() for line in host.output.splitlines()}
        assert "emulator.storage.sqlite" in imported
        for package in ("azure.storage", "azure.data", "azure.identity", "azurite", "tkinter"):
            assert not any(name == package or name.startswith(f"{package}.") for name in imported)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_the_host_in_order(
    number: signal.Signals, place: Place, tmp_path: Path
):
    async with ready(HELLO, place, tmp_path / "log") as (host, caller):
        assert len(await caller.result(await caller.start("hello_sequence"))) == 3
        host.send(number)
        assert await host.ended() == 0, host.output
    assert host.output.splitlines()[-1] == "Stopped."


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_the_host_at_once(
    second: signal.Signals, embedded: Place, tmp_path: Path
):
    log, app = tmp_path / "log", SAMPLES / "fan_out_fan_in"
    run = ("--run", "count_words")
    async with ready(app, embedded, log, *run, settings=SLOW_TEXTS) as (host, _):
        await host.until_printed("Executing 'Functions.count'")
        host.send(signal.SIGINT)
        await host.until_printed("Stopping:")
        host.send(second)
        assert await host.ended(within_s=3) == -second
        assert "Stopped." not in host.output


async def test_a_port_in_use_is_told_in_one_line(memory: Place, tmp_path: Path):
    async with (
        ready(HELLO, memory, tmp_path / "first") as (first, _),
        started(HELLO, memory, tmp_path / "second", port=first.port) as second,
    ):
        assert await second.ended() == 1
        assert second.output == (
            f"Port {first.port} is unavailable. Close the process using that port, or specify another port "
            "using --port [-p].\n"
        )
