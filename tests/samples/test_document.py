"""The document of 2018 on managing instances, sentence by sentence, on every store.

Each check carries the sentence that it shows to be true. Where today's product says the same in another way, the
check says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from emulator.core.status import RuntimeStatus
from emulator.storage.ports import RowKey, Write, WriteKind
from tests.conftest import STORES, store_params
from tests.support.hosts import (
    DURABLE,
    SAMPLES,
    HostHere,
    Json,
    Place,
    Reply,
    eventually,
    hosting,
    new_place,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEME = "/admin/extensions/DurableTaskExtension"
PAYLOAD = {"id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "rewindPostUri"}
TERMINATION = "It was time to be done."


@dataclass(frozen=True, slots=True)
class Stage:
    """What a check works with."""

    host: HostHere
    log: pytest.LogCaptureFixture
    folder: Path = field(default=Path())
    """Where SaveApprovals writes; it does not exist."""

    async def manually(self, function: str, value: str) -> None:
        """Call a function with a manual trigger, which runs in the background."""
        reply = await self.host.post(f"/admin/functions/{function}", {"input": value})
        assert reply.status == 202

    async def start(self, orchestrator: str, data: Json = None) -> str:
        reply = await self.host.post(f"/orchestrators/{orchestrator}", data)
        assert reply.status == 202, reply
        return reply.json["id"]

    async def running(self, orchestrator: str) -> str:
        """A new instance that waits."""
        instance_id = await self.start(orchestrator)
        await self.host.until(instance_id, "Running")
        return instance_id

    async def logged(self, text: str) -> str:
        """The first line of the log with this text."""

        async def look() -> str | None:
            return next((line for line in self.log.messages if text in line), None)

        return await eventually(look, f"{text!r} is logged; {self.log.messages}")

    async def history(self, instance_id: str) -> list[str]:
        status = await self.host.status(instance_id, showHistory="true")
        return [event["EventType"] for event in status["historyEvents"]]


Check = Callable[[Stage], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def shows(sentence: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        assert sentence not in CHECKS
        CHECKS[sentence] = check
        return check

    return add


@pytest.fixture(scope="module", params=store_params(STORES))
def shared_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    folder = tmp_path_factory.mktemp("document")
    return new_place(request.param, folder, lambda: request.getfixturevalue("azurite"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(shared_place: Place) -> AsyncIterator[HostHere]:
    async with hosting(SAMPLES / "document_samples", shared_place) as running:
        yield running


# --- Starting instances -------------------------------------------------------------------------------------------


@shows("The StartNewAsync method starts a new instance of an orchestrator function.")
async def _(stage: Stage) -> None:
    await stage.manually("HelloWorldManualStart", "Tokyo")
    line = await stage.logged("Started orchestration with ID = '")
    instance_id = line.split("'")[1]
    assert await stage.host.result(instance_id) == "Hello Tokyo!"


@shows("Instances of this class can be acquired using the orchestrationClient binding.")
async def _(stage: Stage) -> None:
    function = stage.host.host.app.find("HelloWorldManualStart")
    assert function is not None
    assert [b.type for b in function.spec.inputs] == ["orchestrationClient"]


@shows("This method enqueues a message into the control queue.")
async def _(stage: Stage) -> None:
    hub = f"Idle{uuid4().hex[:16]}"
    await stage.host.post(f"{SCHEME}/orchestrators/HelloWorld?taskHub={hub}")
    queues = stage.host.host.storage.queues
    names = await queues.list_queues(f"{hub.lower()}-control-")
    assert len(names) == 4
    messages = [m for name in names for m in await queues.peek(name, count=32)]
    assert [json.loads(m.text)["TaskMessage"]["Event"]["Name"] for m in messages] == ["HelloWorld"]


@shows("Name: The name of the orchestrator function to schedule.")
async def _(stage: Stage) -> None:
    status = await stage.host.until(await stage.start("E1_HelloSequence"))
    assert status["name"] == "E1_HelloSequence"


@shows("Input: Any JSON-serializable data that should be passed as the input.")
async def _(stage: Stage) -> None:
    for data in ("text", 7, [1, {"a": None}], {"b": [True]}):
        status = await stage.host.until(await stage.start("HelloWorld", data))
        assert json.loads(status["input"]) == data
        assert status["output"] == f"Hello {data}!"


@shows("InstanceId: The unique ID of the instance.")
async def _(stage: Stage) -> None:
    wanted = f"mine-{uuid4().hex}"
    reply = await stage.host.post(f"{SCHEME}/orchestrators/E1_HelloSequence/{wanted}")
    assert (reply.status, reply.json["id"]) == (202, wanted)
    assert (await stage.host.until(wanted))["instanceId"] == wanted


@shows("If not specified, a random instance ID will be generated.")
async def _(stage: Stage) -> None:
    ids = {await stage.start("E1_HelloSequence") for _ in range(3)}
    assert len(ids) == 3
    assert all(len(i) == 32 and int(i, 16) for i in ids)


@shows("The function output binding can be used to start new instances as well.")
async def _(stage: Stage) -> None:
    name = uuid4().hex
    await stage.manually("HelloWorldBindingStart", name)

    async def look() -> Json:
        listed = (await stage.host.get(f"{SCHEME}/instances")).json
        return next((s for s in listed if s["output"] == f"Hello {name}!"), None)

    status = await eventually(look, f"an instance says Hello {name}!")
    assert (status["name"], json.loads(status["input"])) == ("HelloWorld", name)
    assert len(status["instanceId"]) == 36


# --- Querying instances -------------------------------------------------------------------------------------------


@shows("GetStatusAsync queries the status of an orchestration instance.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("HelloWorld", "Oslo")
    await stage.host.until(instance_id)
    await stage.manually("GetStatus", instance_id)
    line = await stage.logged(f"{instance_id} is Completed")
    for part in ("'name': 'HelloWorld'", "Hello Oslo!", "createdTime", "lastUpdatedTime"):
        assert part in line


@shows("The method returns an object with the following properties.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("HelloWorld", "Rome")
    status = await stage.host.until(instance_id)
    assert status.pop("createdTime") <= status.pop("lastUpdatedTime")
    assert status == {
        "name": "HelloWorld",
        "instanceId": instance_id,
        "runtimeStatus": "Completed",
        "input": '"Rome"',
        "customStatus": None,
        "output": "Hello Rome!",
    }


@shows("If showHistory is set to true, the response will contain the execution history.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("HelloWorld", "Bern")
    status = await stage.host.until(instance_id, showHistory="true")
    assert [event["EventType"] for event in status["historyEvents"]] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert "historyEvents" not in await stage.host.status(instance_id)


@shows("If showHistoryOutput is set to true as well, it will contain activity outputs.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("HelloWorld", "Wien")
    await stage.host.until(instance_id)
    for wanted, result in (("true", "Hello Wien!"), ("false", None)):
        status = await stage.host.status(
            instance_id, showHistory="true", showHistoryOutput=wanted
        )
        assert status["historyEvents"][1].get("Result") == result


@shows("Pending: The instance has been scheduled but has not yet started running.")
async def _(stage: Stage) -> None:
    hub = f"Idle{uuid4().hex[:16]}"
    reply = await stage.host.post(f"{SCHEME}/orchestrators/HelloWorld?taskHub={hub}")
    await _expect(stage, reply.json["statusQueryGetUri"], 202, "Pending")


@shows("Running: The instance has started running.")
async def _(stage: Stage) -> None:
    await _expect_of(stage, await stage.running("WaitForMyEvent"), 202, "Running")


@shows("Completed: The instance has completed normally.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("E1_HelloSequence")
    await stage.host.until(instance_id)
    await _expect_of(stage, instance_id, 200, "Completed")


@shows("ContinuedAsNew: The instance has restarted itself with a new history.")
async def _(stage: Stage) -> None:
    instance_id = await stage.running("Counter")
    for count in (1, 2):
        await stage.host.raise_event(instance_id, "operation", "increment")
        await _until_input(stage, instance_id, str(count))
        assert await stage.history(instance_id) == ["ExecutionStarted"]
    await stage.host.raise_event(instance_id, "operation", "end")
    assert await stage.host.result(instance_id) == 2


@shows("ContinuedAsNew is a transient state.")
async def _(stage: Stage) -> None:
    """No row ever keeps it; the status of one that does, by another program's hand, is that of a running instance."""
    instance_id = await stage.running("WaitForMyEvent")
    table = f"{stage.host.host.settings.hub.hub_name}Instances"
    await stage.host.host.storage.tables.write(
        table,
        Write(
            kind=WriteKind.MERGE,
            key=RowKey(partition=instance_id, row=""),
            columns={"RuntimeStatus": str(RuntimeStatus.CONTINUED_AS_NEW)},
        ),
    )
    await _expect_of(stage, instance_id, 202, "ContinuedAsNew")


@shows("Failed: The instance failed with an error. The output includes the failure details.")
async def _(stage: Stage) -> None:
    instance_id = await _failed_approvals(stage)
    await _expect_of(stage, instance_id, 500, "Failed")
    output = (await stage.host.status(instance_id))["output"]
    assert "Activity function 'SaveApprovals' failed:  FileNotFoundError" in output


@shows("Terminated: The instance was abruptly terminated. The output is the provided reason.")
async def _(stage: Stage) -> None:
    instance_id = await stage.running("WaitForMyEvent")
    await stage.host.post(f"{SCHEME}/instances/{instance_id}/terminate?reason=enough")
    await stage.host.until(instance_id)
    await _expect_of(stage, instance_id, 200, "Terminated")
    assert (await stage.host.status(instance_id))["output"] == "enough"


@shows("This method returns null if the instance doesn't exist.")
async def _(stage: Stage) -> None:
    await stage.manually("GetStatus", "nobody")
    await stage.logged("nobody is null")
    reply = await stage.host.get(f"{SCHEME}/instances/nobody")
    assert (reply.status, reply.text) == (404, "")


@shows("You can use GetStatusAsync to query the statuses of all orchestration instances.")
async def _(stage: Stage) -> None:
    ids = {await stage.start("E1_HelloSequence"), await stage.running("WaitForMyEvent")}
    for method in ("GET", "POST"):
        reply = await stage.host.call(method, "/GetAllStatus")
        assert reply.status == 200
        assert ids <= {status["instanceId"] for status in reply.json}


@shows("It returns objects with the same properties, except it doesn't return history.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("E1_HelloSequence")
    one = await stage.host.until(instance_id)
    listed = (await stage.host.get(f"{SCHEME}/instances?showHistory=true")).json
    assert next(s for s in listed if s["instanceId"] == instance_id) == one


# --- Terminating instances ----------------------------------------------------------------------------------------


@shows("A running orchestration instance can be terminated using TerminateAsync.")
async def _(stage: Stage) -> None:
    instance_id = await stage.running("WaitForMyEvent")
    await stage.manually("TerminateInstance", instance_id)
    status = await stage.host.until(instance_id)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", TERMINATION)


@shows("A reason string, which will be written to logs and to the instance status.")
async def _(stage: Stage) -> None:
    instance_id = await stage.running("WaitForMyEvent")
    reason = f"because {uuid4().hex}"
    await stage.host.post(f"{SCHEME}/instances/{instance_id}/terminate?reason={reason}")
    assert (await stage.host.until(instance_id))["output"] == reason
    await stage.logged(reason)


@shows("It will terminate immediately if it is already on an await.")
async def _(stage: Stage) -> None:
    instance_id = await stage.running("WaitForMyEvent")
    await stage.manually("TerminateInstance", instance_id)
    await stage.host.until(instance_id, "Terminated")
    assert await stage.history(instance_id) == [
        "ExecutionStarted",
        "ExecutionTerminated",
        "ExecutionCompleted",
    ]
    reply = await stage.host.post(f"{SCHEME}/instances/{instance_id}/raiseEvent/MyEvent", 1)
    assert reply.status == 410


@shows("Instance termination does not currently propagate.")
async def _(stage: Stage) -> None:
    parent = await stage.running("Parent")
    child = f"{parent}-child"
    await stage.host.until(child, "Running")
    await stage.manually("TerminateInstance", parent)
    await stage.host.until(parent, "Terminated")
    assert (await stage.host.status(child))["runtimeStatus"] == "Running"


@shows("Activity functions and sub-orchestrations will run to completion regardless.")
async def _(stage: Stage) -> None:
    parent = await stage.running("Parent")
    child = f"{parent}-child"
    await stage.manually("TerminateInstance", parent)
    await stage.host.until(child, "Running")
    await stage.manually("RaiseEvent", child)
    assert await stage.host.result(child) == [1, 2, 3]
    await stage.logged("Executed 'Functions.SayHello' (Succeeded")
    assert (await stage.host.status(parent))["output"] == TERMINATION


# --- Sending events -----------------------------------------------------------------------------------------------


@shows("Event notifications can be sent to running instances using RaiseEventAsync.")
async def _(stage: Stage) -> None:
    instance_id = await stage.running("WaitForMyEvent")
    await stage.manually("RaiseEvent", instance_id)
    assert await stage.host.result(instance_id) == [1, 2, 3]


@shows("If there is no instance with the specified ID, the event message is discarded.")
async def _(stage: Stage) -> None:
    """The client says so, as today's does."""
    unknown = f"later-{uuid4().hex}"
    await stage.manually("RaiseEvent", unknown)
    await stage.logged(f"No instance with ID {unknown} found.")
    assert await stage.host.status(unknown) is None
    await stage.host.post(f"{SCHEME}/orchestrators/WaitForMyEvent/{unknown}")
    await stage.host.until(unknown, "Running")
    assert await stage.history(unknown) == ["ExecutionStarted"]


@shows("If the instance is not waiting on the specified event name, the event is discarded.")
async def _(stage: Stage) -> None:
    """Today it is kept for a later wait; an orchestrator that never waits for it does not notice it."""
    instance_id = await stage.running("WaitForMyEvent")
    await stage.host.raise_event(instance_id, "AnotherEvent", 1)
    await _until_history(stage, instance_id, ["ExecutionStarted", "EventRaised"])
    assert (await stage.host.status(instance_id))["runtimeStatus"] == "Running"
    await stage.manually("RaiseEvent", instance_id)
    assert await stage.host.result(instance_id) == [1, 2, 3]


# --- Wait for orchestration completion ----------------------------------------------------------------------------


@shows("The instance completes within the timeout: the response is its output.")
async def _(stage: Stage) -> None:
    reply = await stage.host.post(
        "/orchestrators/E1_HelloSequence/wait?timeout=2&retryInterval=0.5"
    )
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


@shows("The instance cannot complete within the timeout: the response is the default one.")
async def _(stage: Stage) -> None:
    reply = await stage.host.post(
        "/orchestrators/WaitForMyEvent/wait?timeout=0.2&retryInterval=0.1"
    )
    assert reply.status == 202
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.headers["Retry-After"] == "10"
    assert reply.headers["Location"] == reply.json["statusQueryGetUri"]
    _check_links(stage, reply.json)


@shows("The default response is that of HTTP API URL discovery.")
async def _(stage: Stage) -> None:
    reply = await stage.host.post("/orchestrators/WaitForMyEvent")
    waited = await stage.host.post(
        "/orchestrators/WaitForMyEvent/wait?timeout=0.1&retryInterval=0.1"
    )
    first, second = reply.json["id"], waited.json["id"]
    assert {k: v.replace(first, second) for k, v in reply.json.items()} == waited.json


# --- Management webhook URLs --------------------------------------------------------------------------------------


@shows("The webhook URLs can be accessed in an activity via CreateHttpManagementPayload.")
async def _(stage: Stage) -> None:
    instance_id = await stage.start("InstanceInfo")
    output = await stage.host.result(instance_id)
    assert output["id"] == output["Payload"]["id"] == instance_id
    _check_links(stage, output["Payload"])


@shows("StatusQueryGetUri: The status URL of the orchestration instance.")
async def _(stage: Stage) -> None:
    links = await _links(stage, "WaitForMyEvent")
    await _expect(stage, links["statusQueryGetUri"], 202, "Running")


@shows('SendEventPostUri: The "raise event" URL of the orchestration instance.')
async def _(stage: Stage) -> None:
    links = await _links(stage, "WaitForMyEvent")
    url = links["sendEventPostUri"].replace("{eventName}", "MyEvent")
    assert (await stage.host.post(url, "[4, 5]")).status == 202
    assert await stage.host.result(links["id"]) == [4, 5]


@shows('TerminatePostUri: The "terminate" URL of the orchestration instance.')
async def _(stage: Stage) -> None:
    links = await _links(stage, "WaitForMyEvent")
    assert (await stage.host.post(links["terminatePostUri"].replace("{text}", "so"))).status == 202
    assert (await stage.host.until(links["id"]))["output"] == "so"


@shows('RewindPostUri: The "rewind" URL of the orchestration instance.')
async def _(stage: Stage) -> None:
    instance_id = await _failed_approvals(stage)
    stage.folder.mkdir()
    payload = await stage.host.post("/orchestrators/WaitForMyEvent")
    url = payload.json["rewindPostUri"].replace(payload.json["id"], instance_id)
    assert (await stage.host.post(url.replace("{text}", "mended"))).status == 202
    assert await stage.host.result(instance_id) == "2 approvals saved"


@shows("The format of the webhook URLs may differ depending on the version of the host.")
async def _(stage: Stage) -> None:
    """Both formats answer, and each hands out links of its own kind."""
    for prefix in (SCHEME, DURABLE):
        reply = await stage.host.post(f"{prefix}/orchestrators/HelloWorld")
        assert f"{prefix}/instances/" in reply.headers["Location"]
        assert (await stage.host.get(reply.headers["Location"])).status in (200, 202)


# --- Rewinding ----------------------------------------------------------------------------------------------------


@shows("A failed orchestration instance can be rewound into a previously healthy state.")
async def _(stage: Stage) -> None:
    """Nobody is asked again: both approvals are those of before the failure."""
    instance_id = await _failed_approvals(stage)
    stage.folder.mkdir()
    await stage.manually("RewindInstance", instance_id)
    await stage.host.until(instance_id, "Completed")
    assert (await stage.host.status(instance_id))["output"] == "2 approvals saved"
    assert (stage.folder / "approvals.txt").read_text() == "the manager\nthe director"


@shows("It works by re-running the activity failures that caused the orchestration failure.")
async def _(stage: Stage) -> None:
    """A rewind without the mending fails as before, and another one can follow."""
    instance_id = await _failed_approvals(stage)
    failed_at = (await stage.host.status(instance_id))["lastUpdatedTime"]
    stage.log.clear()
    await stage.manually("RewindInstance", instance_id)
    await stage.logged("Executed 'Functions.SaveApprovals' (Failed")
    assert (await stage.host.until(instance_id, "Failed"))["lastUpdatedTime"] >= failed_at
    stage.folder.mkdir()
    await stage.manually("RewindInstance", instance_id)
    await stage.host.until(instance_id, "Completed")


# --- what several checks need -------------------------------------------------------------------------------------


async def _expect(stage: Stage, url: str, code: int, status: str) -> None:
    async def look() -> Reply | None:
        reply = await stage.host.get(url)
        return reply if reply.json["runtimeStatus"] == status else None

    assert (await eventually(look, f"{url} is {status}")).status == code


async def _expect_of(stage: Stage, instance_id: str, code: int, status: str) -> None:
    await _expect(stage, f"{SCHEME}/instances/{instance_id}", code, status)


async def _until_input(stage: Stage, instance_id: str, text: str) -> None:
    async def look() -> bool:
        return (await stage.host.status(instance_id))["input"] == text

    await eventually(look, f"{instance_id} has the input {text}")


async def _until_history(stage: Stage, instance_id: str, events: list[str]) -> None:
    async def look() -> bool:
        return await stage.history(instance_id) == events

    await eventually(look, f"{instance_id} has the history {events}")


async def _links(stage: Stage, orchestrator: str) -> dict[str, str]:
    reply = await stage.host.post(f"/orchestrators/{orchestrator}")
    await stage.host.until(reply.json["id"], "Running")
    return reply.json


def _check_links(stage: Stage, links: dict[str, Any]) -> None:
    """All links carry the scheme of the document, on the host that was asked."""
    assert set(links) >= PAYLOAD
    port = stage.host.base.rpartition(":")[2]
    for name, url in links.items():
        if name != "id":
            assert url.partition(SCHEME)[0] in (f"http://127.0.0.1:{port}", f"http://localhost:{port}")
            assert f"{SCHEME}/instances/{links['id']}" in url
            assert "taskHub=" in url
            assert "connection=Storage" in url


async def _failed_approvals(stage: Stage) -> str:
    """An instance that two people have approved and that failed after that, because a folder is missing."""
    instance_id = await stage.running("Approvals")
    await stage.host.raise_event(instance_id, "ManagerApproval", "the manager")
    await stage.host.raise_event(instance_id, "DirectorApproval", "the director")
    await stage.host.until(instance_id, "Failed")
    return instance_id


@pytest.mark.parametrize("sentence", CHECKS)
async def test_the_document_is_true(
    sentence: str,
    host: HostHere,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "approvals"
    monkeypatch.setenv("APPROVALS_FOLDER", str(folder))
    await CHECKS[sentence](Stage(host, caplog, folder))
