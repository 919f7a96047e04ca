"""Sends a file of recorded exchanges to a running host and says where the answers are others."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote_plus

from emulator.compose import Host, running_host
from emulator.core.instant import Instant
from emulator.engine.clock import SystemClock
from emulator.hub.task_hub import TaskHub
from emulator.settings import Settings
from emulator.storage.ports import Storage
from tests.http.dotnet_client import DotnetClient
from tests.http.normalise import Normaliser
from tests.http.recordings import HOST, WAITING, Recording
from tests.support.raw_http import RawResponse, send

PREFIX = "/runtime/webhooks/durabletask"
DEADLINE_S = 5.0
SETTLE_S = 1.0
TERMINAL = ("Completed", "Failed", "Terminated", "Canceled")
MOMENT = timedelta(seconds=2)


class ShiftedClock(SystemClock):
    """The machine's time, moved forward on request."""

    def __init__(self) -> None:
        self._shift = timedelta()

    def now(self) -> Instant:
        return super().now().plus(self._shift)

    def skip(self, span: timedelta) -> None:
        self._shift += span


@dataclass(frozen=True)
class Mismatch:
    """One answer that is not as recorded, or not the one that stands for it."""

    name: str
    request: str
    wanted: str
    own: str


class Replay:
    """One file against one host."""

    def __init__(
        self,
        host: Host,
        clock: ShiftedClock,
        recording: Recording,
        replaced: Mapping[str, tuple[tuple[str, str], ...]],
        otherwise: Mapping[str, str],
    ) -> None:
        self._replaced = replaced
        self._otherwise = otherwise
        self._host = host
        self._clock = clock
        self._recording = recording
        self._marks: dict[str, Instant] = {}
        self._dotnet = DotnetClient(host)
        self._texts = Normaliser(host.server.rpc_port, self._own_time)

    # --- recorded exchanges -----------------------------------------------------------------------------------

    async def run(self, exchanges: list[dict[str, Any]]) -> list[Mismatch]:
        """Every exchange in order."""
        found: list[Mismatch] = []
        seen: set[str] = set()
        if self._recording.seeded_by is not None:
            await self._seed(json.loads(exchanges[self._recording.seeded_by]["response"]["body"]))
        for index, exchange in enumerate(exchanges):
            steps = self._recording.before.get(index, ())
            if exchange["name"] not in seen:
                steps = self._recording.before.get(exchange["name"], steps)
            seen.add(exchange["name"])
            for step in steps:
                try:
                    await self._step(step)
                except (TimeoutError, AssertionError) as error:
                    found.append(Mismatch(f"set-up of {exchange['name']}", step, "", repr(error)))
            mismatch = await self._exchange(exchange)
            if mismatch is not None:
                found.append(mismatch)
        return found

    async def _exchange(self, exchange: dict[str, Any]) -> Mismatch | None:
        during = self._recording.during.get(exchange["name"], ())
        async with asyncio.TaskGroup() as group:
            if during:
                group.create_task(self._steps(during))
            return await self._compared(exchange)

    async def _compared(self, exchange: dict[str, Any]) -> Mismatch | None:
        """A query is repeated until it is answered as recorded: the recording waited a while before it asked."""
        request, response = exchange["request"], exchange["response"]
        deadline = self._clock.monotonic() + DEADLINE_S
        while True:
            own = await self._send(request)
            difference = self._difference(exchange["name"], response, own)
            is_late = self._clock.monotonic() > deadline
            if difference is None or request["method"] != "GET" or is_late:
                break
            await asyncio.sleep(0.02)
        if request["method"] != "GET":
            await self._settle(request, own)
        if difference is None:
            self._texts.learn(response["body"], own.body)
            return None
        asked = f"{request['method']} {request['path']} {request.get('body') or ''}"
        return Mismatch(exchange["name"], asked, *difference)

    async def _send(self, request: dict[str, Any]) -> RawResponse:
        is_rpc = request["origin"].endswith(":17071")
        port = self._host.server.rpc_port if is_rpc else self._host.server.port
        headers = {"Host": f"127.0.0.1:{port}" if is_rpc else HOST}
        for name, value in request["headers"].items():
            headers[name] = self._texts.request_text(value)
        if is_rpc:
            headers["Host"] = headers["Host"].replace(":17071", f":{port}")
        path = self._texts.request_text(request["path"])
        by_client = await self._dotnet.call(path, headers)
        if by_client is not None:
            return by_client
        return await send(port, request["method"], path, headers=headers, body=request.get("body"))

    def _difference(
        self, name: str, recorded: Mapping[str, Any], own: RawResponse
    ) -> tuple[str, str] | None:
        self._texts.learn(recorded["body"], own.body)
        token = "x-ms-continuation-token"
        if recorded["headers"].get(token) and own.headers.get(token):
            self._texts.learn_token(recorded["headers"][token], own.headers[token])
        theirs = self._shown(recorded["status"], recorded["headers"], recorded["body"], own=False)
        ours = self._shown(own.status, own.headers, own.body, own=True)
        if name in self._otherwise:
            ours, wanted = self._texts.steady(ours), self._otherwise[name]
            assert self._texts.steady(theirs) != wanted, f"{name}: no longer a difference"
            return None if ours == wanted else (wanted, ours)
        for part, instead in self._replaced.get(name, ()):
            assert part in theirs, f"{name}: the recording does not say {part!r}"
            theirs = theirs.replace(part, instead)
        return None if theirs == ours else (theirs, ours)

    def _shown(self, status: int, headers: Mapping[str, str], body: str, *, own: bool) -> str:
        texts = self._texts.own if own else self._texts.recorded
        shown = [str(status)]
        for name, value in sorted(headers.items()):
            if name == "Content-Length":
                # Stacks were shortened in the recordings after they were received.
                fits = not own or int(value) == len(body.encode())
                value = "as long as the body" if fits else value
            shown.append(f"{name}: {texts(value)}")
        return "\n".join((*shown, "", texts(body)))

    async def _settle(self, request: dict[str, Any], own: RawResponse) -> None:
        """After a request that changes something: wait a while for its instance to rest."""
        instance = _instance_of(request["path"], own.body)
        if (
            instance is None
            or own.status not in (200, 202)
            or "taskHub=OtherHub" in request["path"]
        ):
            return
        operation = request["path"].partition("?")[0].rpartition("/")[2].lower()
        deadline = self._clock.monotonic() + SETTLE_S
        while self._clock.monotonic() < deadline:
            record = await self._host.client.get(instance)
            if record is None or str(record.status) in _resting(operation, record.name):
                return
            await asyncio.sleep(0.01)

    # --- what was not recorded --------------------------------------------------------------------------------

    async def _steps(self, steps: tuple[str, ...]) -> None:
        for step in steps:
            await self._step(step)

    async def _step(self, step: str) -> None:
        verb, _, rest = step.partition(" ")
        match verb:
            case "until":
                await self._until(*rest.split(" "))
            case "mark":
                self._clock.skip(MOMENT)
                self._marks[rest] = self._clock.now()
                self._clock.skip(MOMENT)
            case "token":
                token, _, path = rest.partition(" ")
                own = await self._manage("GET", path)
                self._texts.learn_token(token, own.headers["x-ms-continuation-token"])
            case "row":
                await self._edit(rest)
            case _:
                path, _, body = rest.partition(" ")
                own = await self._manage(verb, path, body)
                assert own.status in (200, 202), (step, own)

    async def _manage(self, method: str, path: str, body: str | None = None) -> RawResponse:
        for name, moment in self._marks.items():
            path = path.replace(f"<{name}>", moment.text())
        headers = {"Host": HOST, "Content-Type": "application/json"}
        return await send(
            self._host.server.port, method, f"{PREFIX}/{path}", headers=headers, body=body
        )

    async def _until(self, path: str, word: str) -> None:
        async with asyncio.timeout(10):
            while True:
                own = await self._manage("GET", path)
                if str(own.status) == word or f'"runtimeStatus":"{word}"' in own.body:
                    return
                await asyncio.sleep(0.01)

    async def _seed(self, statuses: list[dict[str, Any]]) -> None:
        """Rows as they must have been for a list to show them so."""
        table = self.hub(self._host.settings.hub.hub_name).instances
        for status in statuses:
            columns = {
                "Name": status["name"],
                "RuntimeStatus": status["runtimeStatus"],
                "CreatedTime": Instant.parse(status["createdTime"]),
                "LastUpdatedTime": Instant.parse(status["lastUpdatedTime"]),
                "TaskHubName": self._host.settings.hub.hub_name,
            }
            for member, column in (
                ("input", "Input"),
                ("customStatus", "CustomStatus"),
                ("output", "Output"),
            ):
                if status[member] is not None:
                    columns[column] = json.dumps(status[member], ensure_ascii=False)
            instance = status["instanceId"]
            await table.project(instance, columns, etag=await table.tag(instance))

    async def _edit(self, rest: str) -> None:
        instance, _, columns = rest.partition(" ")
        hub = self.hub("OtherHub")
        changed: dict[str, str] = {}
        for column in ("RuntimeStatus", "Output"):
            _, found, value = columns.partition(f"{column}=")
            if found:
                changed[column] = value.split(" Output=")[0]
        await hub.instances.merge(cast(Any, instance), changed)

    def hub(self, name: str) -> TaskHub:
        settings = replace(self._host.settings.hub, hub_name=name)
        return TaskHub(self._host.storage, settings, lambda: "0" * 32)

    def _own_time(self, text: str) -> str:
        for recorded, mark in self._recording.times.items():
            if recorded in text:
                text = text.replace(recorded, self._in_shape_of(recorded, self._marks[mark]))
        return text

    def _in_shape_of(self, recorded: str, moment: Instant) -> str:
        if "GMT" in recorded:
            return quote(format_datetime(moment.to_datetime(), usegmt=True), safe="")
        shown = moment.text()
        if recorded.startswith("2026-11-23"):
            local = moment.to_datetime().astimezone(cast(Any, self._host.settings.http.time_zone))
            shown = local.replace(tzinfo=None).isoformat()
        if not recorded.endswith("Z"):
            shown = shown.removesuffix("Z")
        return quote(shown, safe="") if "%3A" in recorded else shown


def _instance_of(path: str, body: str) -> str | None:
    if body.startswith('{"id"'):
        return cast(str, json.loads(body)["id"])
    found = re.search(r"/instances/([^/?]+)", path)
    return unquote_plus(found[1]) if found else None


def _resting(operation: str, name: str) -> tuple[str, ...]:
    """States in which an instance stays after an operation."""
    if operation == "terminate":
        return TERMINAL
    if operation == "suspend":
        return ("Suspended", *TERMINAL)
    return ("Running", *TERMINAL) if name in WAITING else TERMINAL


@asynccontextmanager
async def replaying(
    settings: Settings,
    recording: Recording,
    storage: Storage,
    clock: ShiftedClock,
    replaced: Mapping[str, tuple[tuple[str, str], ...]],
    otherwise: Mapping[str, str],
) -> AsyncIterator[Replay]:
    """A host on a store, ready for one file."""
    async with running_host(
        settings, environment={}, say=lambda _: None, storage=storage, clock=clock
    ) as host:
        yield Replay(host, clock, recording, replaced, otherwise)


def golden_app() -> Path:
    """The folder of the app that the recordings need."""
    return Path(__file__).parent / "golden_app"
