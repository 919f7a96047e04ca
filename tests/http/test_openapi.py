"""The OpenAPI document against a running host: no answer that it does not describe, and none that is our failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from emulator.http.openapi import document
from emulator.http.urls import ADMIN, WEBHOOKS
from tests.support.hosts import DURABLE, HostHere, Place, hosting, new_place

APP = Path(__file__).parents[1] / "commands" / "waiting_app"
EXAMPLES = 8
"""Requests of each operation that are made up."""
BROKEN_EXAMPLES = 20
"""The same, of those that break the document's rules."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

OPERATIONS = [
    (path, method)
    for path, operations in document("0", WEBHOOKS)["paths"].items()
    for method in operations
]


@pytest.fixture
def memory(tmp_path: Path) -> Place:
    return new_place("memory", tmp_path)


@pytest.fixture
async def host(memory: Place) -> AsyncIterator[HostHere]:
    async with hosting(APP, memory, enable_auth=False) as running:
        yield running


async def schema_of(host: HostHere) -> Any:
    """The document as it is served, but for what a made-up request would wait for, or meet as the real product does.

    An instance may run for ever; a purge in a hub that does not exist is a 500.
    """
    reply = await host.get(f"{DURABLE}/openapi.json")
    assert reply.status == 200
    content = reply.json
    for operations in content["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in ("timeout", "pollingInterval"):
                    parameter["schema"]["maximum"] = 0.1
                if parameter["name"] == "taskHub":
                    parameter["schema"]["enum"] = [host.host.settings.hub.hub_name]
    return schemathesis.openapi.from_dict(content)


async def test_the_document_is_served_on_both_schemes(host: HostHere):
    for prefix in (WEBHOOKS, ADMIN):
        content = (await host.get(f"{prefix}/openapi.json")).json
        assert content["servers"] == [{"url": prefix}]
        assert content["openapi"] == "3.0.3"


async def test_what_is_made_up_meets_only_what_is_described(host: HostHere):
    schema = await schema_of(host)
    base = f"{host.base}{WEBHOOKS}"
    tested = 0

    def check(case: Any) -> None:
        case.call_and_validate(base_url=base, timeout=20, checks=CHECKS)

    for result in schema.get_all_operations():
        strategy = result.ok().as_strategy(generation_mode=GenerationMode.POSITIVE)
        await asyncio.to_thread(made_up(strategy, EXAMPLES, check))
        tested += 1
    assert tested == len(OPERATIONS) == 20


STATES = ("absent", "running", "suspended", "completed", "failed", "terminated")


async def make_states(host: HostHere) -> None:
    """An instance in every state but Pending, named for it."""
    for name, function in (
        ("running", "approval"),
        ("suspended", "approval"),
        ("completed", "greeting"),
        ("failed", "broken"),
        ("terminated", "approval"),
    ):
        await host.start(function, instance_id=name)
    await host.post(f"{DURABLE}/instances/suspended/suspend?reason=r")
    await host.post(f"{DURABLE}/instances/terminated/terminate?reason=r")
    for name in STATES[1:]:
        await host.until(name, name.capitalize())
    await host.post(f"{DURABLE}/entities/counter/k?op=add")


# --- what breaks the rules of the document ------------------------------------------------------------------------

MAY_LEAD_ELSEWHERE = ("timeout", "pollingInterval", "taskHub", "connection")
"""Parameters that are left out: an instance may run for ever, and what other hubs and connections meet is recorded."""
KNOWN = {
    "instanceId": [*STATES],
    "functionName": ["greeting"],
    "entityName": ["counter"],
    "entityKey": ["k"],
}
RECORDED_FAILURES = {
    "top": "An error occurred while communicating with Azure Storage",
    "returnInternalServerErrorOnFailure": '"runtimeStatus":"Failed"',
    "/suspend": "because instance is in the Suspended state",
    "/resume": "because instance is in the",
}
"""Parameters and operations that the real product, too, answers with 500, and what it says then."""


def fails_only_as_recorded(ctx: Any, response: Any, case: Any) -> None:
    del ctx
    if response.status_code >= 500:
        asked = (*(case.query or {}), f"/{case.path.rpartition('/')[2]}")
        known = [text for name, text in RECORDED_FAILURES.items() if name in asked]
        assert any(text in response.text for text in known), (asked, response.text)


def is_of_its_operation(case: Any) -> bool:
    """Whether the path still has the segments of its template; with a slash or without a value it is another's."""
    values = [str(value) for value in (case.path_parameters or {}).values()]
    return all(value.strip("/.") and "/" not in value for value in values)


@pytest.mark.slow
async def test_what_breaks_the_rules_meets_only_what_is_described(host: HostHere):
    """Known instances and entities, with parameters of other types, out of their bounds, or not named at all."""
    await make_states(host)
    content = (await host.get(f"{DURABLE}/openapi.json")).json
    for operations in content["paths"].values():
        for operation in operations.values():
            kept = [p for p in operation["parameters"] if p["name"] not in MAY_LEAD_ELSEWHERE]
            operation["parameters"] = kept
            for parameter in kept:
                if parameter["name"] in KNOWN:
                    parameter["schema"]["enum"] = KNOWN[parameter["name"]]
    schema = schemathesis.openapi.from_dict(content)
    checks = [fails_only_as_recorded, *CHECKS[1:]]
    answers: set[int] = set()

    def check(case: Any) -> None:
        assume(is_of_its_operation(case))
        response = case.call_and_validate(
            base_url=f"{host.base}{WEBHOOKS}", timeout=20, checks=checks
        )
        answers.add(response.status_code)

    tested = 0
    for path, method in sorted(OPERATIONS, key=lambda item: (item[1] == "delete", item[0])):
        if not content["paths"][path][method]["parameters"]:
            continue
        strategy = schema[path][method.upper()].as_strategy(generation_mode=GenerationMode.NEGATIVE)
        await asyncio.to_thread(made_up(strategy, BROKEN_EXAMPLES, check))
        tested += 1
    assert tested == len(OPERATIONS) - 1
    assert answers >= {200, 202, 400, 404, 500}


def made_up(strategy: Any, examples: int, check: Callable[[Any], None]) -> Callable[[], None]:
    """Runs a check over cases of a strategy, the same ones each time."""

    def one(case: Any) -> None:
        check(case)

    limits = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    return given(case=strategy)(limits(one))


# --- every state --------------------------------------------------------------------------------------------------


async def test_every_state_meets_only_what_is_described(host: HostHere):
    """All operations on instances in all states, but for the two that the real product answers with 500."""
    await make_states(host)
    schema = await schema_of(host)
    base = f"{host.base}{WEBHOOKS}"
    seen: dict[str, set[int]] = {}
    order = sorted(OPERATIONS, key=lambda item: (item[1] == "delete", item[0]))
    for path, method in order:
        if "{instanceId}" not in path:
            continue
        operation = schema[path][method.upper()]
        for state in STATES:
            if (path.rpartition("/")[2], state) in {
                ("suspend", "suspended"),
                ("resume", "running"),
            }:
                continue
            values = {"instanceId": state, "eventName": "first", "functionName": "greeting"}
            body = {"body": 1, "media_type": "application/json"}
            case = operation.Case(
                path_parameters={k: v for k, v in values.items() if f"{{{k}}}" in path},
                **(body if "requestBody" in operation.definition.raw else {}),
            )
            response = await asyncio.to_thread(
                case.call_and_validate, base_url=base, timeout=20, checks=CHECKS
            )
            seen.setdefault(f"{method} {path}", set()).add(response.status_code)
    assert seen["get /instances/{instanceId}"] >= {200, 202, 404}
    assert seen["post /instances/{instanceId}/terminate"] >= {202, 404, 410}
    assert seen["post /instances/{instanceId}/rewind"] >= {404, 412}
    assert seen["delete /instances/{instanceId}"] >= {200}


async def test_keys_are_described(memory: Place):
    async with hosting(APP, memory, enable_auth=True) as host:
        assert (await host.get(f"{DURABLE}/openapi.json")).status == 401
        keys = (await host.get("/admin/host/systemkeys")).status
        assert keys == 401
    responses = document("0", WEBHOOKS)["paths"]["/instances"]["get"]["responses"]
    assert {"401", "403"} <= set(responses)
