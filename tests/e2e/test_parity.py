"""Every rule by which the real product would do something else: run into, told, and refused under strict parity."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.commands.serve import introduce
from emulator.compose import Parts
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.parity import Deviation, Rule
from emulator.core.status import RuntimeStatus
from emulator.core.versions import MISMATCH_TEXT
from emulator.errors import ConfigError
from emulator.settings import OverridableStates, Parity
from tests.e2e.scenarios import SCENARIOS
from tests.e2e.test_behaviours import perform
from tests.support.apps import bound, function_json, v2_app, write_app
from tests.support.engines import play
from tests.support.hosts import DURABLE, HostHere, Reply, eventually, hosting, new_place

HERE = Path(__file__).parent
BEHAVIOURS = HERE / "behaviours"
ENTITIES = HERE / "entity_app"
WAITING = HERE.parent / "commands" / "waiting_app"
EVERYTHING = InstanceQuery()
PATIENCE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
WAITS_FOR_NOTHING = """
def main(context):
    return '{"isDone": false, "actions": [[]], "output": null, "customStatus": null}'
"""
"""An orchestrator that keeps to the protocol itself: the SDK's lets nobody wait for nothing."""


def told(caplog: pytest.LogCaptureFixture, rule: Rule) -> list[str]:
    """What was said of a rule, without whom it was said of."""
    lines = [
        record.getMessage()
        for record in caplog.records
        if getattr(record, "event", None) == "parity_warning" and record.__dict__["rule"] == rule
    ]
    return [line.partition(": ")[2] for line in lines]


# --- instances ----------------------------------------------------------------------------------------------------

Scene = Callable[[Parts], Awaitable[InstanceRecord]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """How an instance runs into a rule.

    Attributes:
        scene: gives the instance that fails, under strict parity or at once.
        fails_at_once: without being asked to.
        output: what it then says, if not the rule's text.
        status: under strict parity.
    """

    scene: Scene
    app: Callable[[Path], Path] = lambda folder: BEHAVIOURS
    hub: Mapping[str, object] = field(default_factory=dict[str, object])
    always_replay: bool = False
    fails_at_once: bool = False
    output: str | None = None
    status: RuntimeStatus = RuntimeStatus.FAILED


def acting(name: str) -> Scene:
    """A scenario of the behaviour suite."""
    scenario = next(s for s in SCENARIOS if s.name == name)

    async def scene(parts: Parts) -> InstanceRecord:
        return (await perform(parts.engine.client, scenario, PATIENCE)).record

    return scene


def running(orchestrator: str, data: Any = None) -> Scene:
    """One orchestration, until it has ended or for a second, in which nothing more happens."""

    async def scene(parts: Parts) -> InstanceRecord:
        client, text = parts.engine.client, json.dumps(json.dumps(data))
        await client.start(orchestrator, instance_id="i", input=text)
        record = await client.wait("i", limit=SECOND, interval=SECOND)
        assert record is not None
        return record

    return scene


async def terminated_before_its_start(parts: Parts) -> InstanceRecord:
    client, due = parts.engine.client, parts.clock.now().plus(PATIENCE)
    await client.start("returns", instance_id="i", input='"1"', scheduled_start=due)
    await client.terminate("i", "not needed")
    await client.terminate("i", "not needed, I said")
    await asyncio.sleep(2 * PATIENCE.total_seconds())
    assert await client.history("i") == ()
    record = await client.get("i")
    assert record is not None
    return record


def written_by_hand(folder: Path) -> Path:
    files = {
        "f/function.json": function_json(
            bound("orchestrationTrigger", "context"), scriptFile="main.py"
        ),
        "f/main.py": WAITS_FOR_NOTHING,
    }
    return write_app(folder / "app", files)


INSTANCES: Mapping[Rule, Case] = {
    Rule.UNKNOWN_FUNCTION: Case(scene=acting("call-of-an-unknown-activity"), fails_at_once=True),
    Rule.NO_ATTEMPTS: Case(scene=acting("retry-options-without-an-attempt"), fails_at_once=True),
    Rule.CHILD_WITH_OWN_ID: Case(
        scene=acting("child-with-the-id-of-its-parent"), fails_at_once=True
    ),
    Rule.CHILD_WITH_BAD_ID: Case(scene=acting("child-with-a-bad-id-1"), fails_at_once=True),
    Rule.NOTHING_OPEN: Case(scene=running("f"), app=written_by_hand, fails_at_once=True),
    Rule.TOO_MANY_ACTIONS: Case(
        scene=acting("fan-3"), hub={"max_orchestration_actions": 2}, fails_at_once=True
    ),
    Rule.CHILD_VERSION: Case(
        scene=running("starts_a_version"), fails_at_once=True, output=MISMATCH_TEXT
    ),
    Rule.NON_DETERMINISTIC: Case(
        scene=running("depends_on_chance"),
        always_replay=True,
        fails_at_once=True,
        output="Non-Deterministic workflow detected: ",
    ),
    Rule.WAITS_FOR_EVER: Case(scene=acting("old-timer-awaited-again")),
    Rule.STARTS_LATER: Case(scene=acting("all-fails-fast-and-the-sibling-goes-on")),
    Rule.OTHER_IDS: Case(scene=acting("timer-cancelled-beside-a-retry")),
    Rule.EVENT_TWICE: Case(scene=acting("timer-cancelled-before-continue-as-new")),
    Rule.EARLY_EVENTS: Case(scene=acting("two-early-events-for-two-waits")),
    Rule.EVENT_NAME_CASE: Case(scene=acting("event-in-other-case")),
    Rule.TIMERS_EARLY: Case(scene=acting("timers-in-turn")),
    Rule.TERMINATED_START: Case(scene=terminated_before_its_start),
    Rule.ENTITY_BATCH_FAILED: Case(
        scene=running("call_fragile", "break"),
        app=lambda folder: ENTITIES,
        status=RuntimeStatus.COMPLETED,
    ),
}


def output_of(record: InstanceRecord) -> str:
    """What it says at its end; what it returned, if it caught the failure."""
    text = record.output or ""
    return json.loads(text) if record.status is RuntimeStatus.COMPLETED else text


@pytest.mark.parametrize("parity", Parity)
@pytest.mark.parametrize("rule", INSTANCES)
def test_an_instance_is_told_of_once_and_fails_under_strict_parity(
    rule: Rule, parity: Parity, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = INSTANCES[rule]
    record = play(
        case.app(tmp_path),
        case.scene,
        parity=parity,
        always_replay=case.always_replay,
        **case.hub,
    )
    [text] = told(caplog, rule)
    assert "Azure" in text
    if case.fails_at_once or parity is Parity.STRICT:
        assert record.status is case.status
        assert (case.output or text) in output_of(record)
    else:
        assert record.status is not RuntimeStatus.FAILED


def test_a_start_that_another_takes_the_place_of_is_not_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The real product drops it, too, when it is due: the row is that of the other one."""

    async def scene(parts: Parts) -> RuntimeStatus:
        client, due = parts.engine.client, parts.clock.now().plus(PATIENCE)
        await client.start("waits", instance_id="i", input='"1"', scheduled_start=due)
        await client.start("returns", instance_id="i", input='"1"')
        await asyncio.sleep(2 * PATIENCE.total_seconds())
        record = await client.get("i")
        assert record is not None
        assert record.name == "returns"
        return record.status

    strict = Parity.STRICT
    assert (
        play(BEHAVIOURS, scene, parity=strict, overridable_states=OverridableStates.ANY)
        == "Completed"
    )
    assert told(caplog, Rule.TERMINATED_START) == []


# --- requests -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A request that runs into a rule.

    Attributes:
        before: requests that must be carried out first.
        request: method, path, and a JSON text as the body.
        status: of the answer, if it is not refused.
        each_time: told for each request, not once for what it is about.
    """

    request: tuple[str, str, str | None]
    status: int
    before: tuple[tuple[str, str, str | None], ...] = ()
    app: Callable[[Path], Path] = lambda folder: WAITING
    each_time: bool = False
    in_chunks: bool = False


ECHO = "@app.route(route='x')\ndef f(req): return req.get_body().decode()"
REQUESTS: Mapping[Rule, Asking] = {
    Rule.PURGE_OF_LIVE: Asking(
        before=(("POST", f"{DURABLE}/orchestrators/approval/i", "{}"),),
        request=(
            "DELETE",
            f"{DURABLE}/instances?createdTimeFrom=2020-01-01&runtimeStatus=Running",
            None,
        ),
        status=404,
        each_time=True,
    ),
    Rule.PLUS_IN_PATH: Asking(request=("GET", f"{DURABLE}/instances/a%2Bb", None), status=404),
    Rule.SHORT_YEAR: Asking(
        request=("DELETE", f"{DURABLE}/instances?createdTimeFrom=1-01-01T00:00:00Z", None),
        status=404,
    ),
    Rule.UNWRITABLE_TEXT: Asking(
        before=(("POST", f"{DURABLE}/orchestrators/approval/i", "/*c*/"),),
        request=("GET", f"{DURABLE}/instances", None),
        status=200,
    ),
    Rule.ENTITY_MESSAGE_UNREADABLE: Asking(
        before=(("POST", f"{DURABLE}/entities/Counter/k?op=add", '"1"'),),
        request=("POST", f"{DURABLE}/instances/@counter@k/raiseEvent/operate", "5"),
        status=202,
        app=lambda folder: ENTITIES,
        each_time=True,
    ),
    Rule.BODY_WITHOUT_LENGTH: Asking(
        request=("POST", "/api/x", "1"),
        status=200,
        app=lambda folder: v2_app(folder, ECHO),
        in_chunks=True,
    ),
}


async def asked(
    host: HostHere, request: tuple[str, str, str | None], *, in_chunks: bool = False
) -> Reply:
    method, path, text = request
    headers = {"Content-Type": "application/json"}
    body = text.encode() if text is not None else None
    return await host.call(method, path, body=body, headers=headers, in_chunks=in_chunks)


async def prepared(host: HostHere, asking: Asking) -> None:
    for request in asking.before:
        assert (await asked(host, request)).status == 202

        async def is_there() -> bool:
            return bool((await host.host.client.query(EVERYTHING)).records)

        await eventually(is_there, "what the request is about is there")


@pytest.mark.parametrize("rule", REQUESTS)
async def test_a_request_is_told_of(
    rule: Rule, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asking = REQUESTS[rule]
    async with hosting(asking.app(tmp_path), new_place("memory", tmp_path)) as host:
        await prepared(host, asking)
        for _ in range(2):
            reply = await asked(host, asking.request, in_chunks=asking.in_chunks)
            assert reply.status == asking.status

        async def enough() -> bool:
            return len(told(caplog, rule)) >= 1 + asking.each_time

        await eventually(enough, f"{rule} is told")
    texts = told(caplog, rule)
    assert len(texts) == 1 + asking.each_time
    assert "Azure" in texts[0]


@pytest.mark.parametrize("rule", REQUESTS)
async def test_a_request_is_refused_under_strict_parity(
    rule: Rule, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asking = REQUESTS[rule]
    async with hosting(
        asking.app(tmp_path), new_place("memory", tmp_path), parity="strict"
    ) as host:
        await prepared(host, asking)
        reply = await asked(host, asking.request, in_chunks=asking.in_chunks)
    [text] = told(caplog, rule)
    assert reply.status == 400
    assert text.startswith(reply.json["ExceptionMessage"] if reply.json else reply.text)


# --- an app's files -----------------------------------------------------------------------------------------------

FILES: Mapping[Rule, str] = {
    Rule.BINDING_UNDERSCORE: "@app.route(route='x', trigger_arg_name='my_request')\ndef f(my_request): return 'here'",
    Rule.LEADING_SLASH: "@app.route(route='/x')\ndef f(req): return 'here'",
}
"""Functions that Azure refuses."""


@pytest.mark.parametrize("rule", FILES)
async def test_what_azure_refuses_of_an_app_is_told_at_its_start(
    rule: Rule, tmp_path: Path
) -> None:
    lines: list[str] = []
    app = v2_app(tmp_path, FILES[rule])
    async with hosting(app, new_place("memory", tmp_path)) as host:
        introduce(host.host, lines.append)
        assert (await host.get("/api/x")).text == "here"
    [told_at_start] = [line for line in lines if line.startswith("Warning: ")]
    assert "Azure" in told_at_start


@pytest.mark.parametrize("rule", FILES)
async def test_what_azure_refuses_of_an_app_ends_its_start_under_strict_parity(
    rule: Rule, tmp_path: Path
) -> None:
    app = v2_app(tmp_path, FILES[rule])
    with pytest.raises(ConfigError, match=r"function 'f'(?s:.)*Azure(?s:.)*--parity strict"):
        async with hosting(app, new_place("memory", tmp_path), parity="strict"):
            pytest.fail("it has started")


# --- all of them --------------------------------------------------------------------------------------------------


def test_every_rule_has_a_case_and_a_text() -> None:
    assert {*INSTANCES, *REQUESTS, *FILES} == set(Rule)
    texts = {rule: getattr(Deviation, rule.replace("-", "_")) for rule in Rule}
    assert all(callable(text) for text in texts.values())
