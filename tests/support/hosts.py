"""Hosts for tests: in this process or in one of their own, on any store, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp

from azurite import Azurite
from emulator import config
from emulator.compose import Host, make_storage, running_host
from emulator.engine.clock import SystemClock, SystemIds
from emulator.hub.task_hub import TaskHub

T = TypeVar("T")
Json = Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
DURABLE = "/runtime/webhooks/durabletask"
WITHIN_S = 20.0
"""Deadline of a condition that nothing slow stands in the way of; far above what it takes."""
LOOK_AGAIN_S = 0.01
FINISHED = ("Completed", "Failed", "Terminated", "Canceled")
_HUB_NAME = "AzureFunctionsJobHost__extensions__durableTask__hubName"
_PROVIDER = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__"
QUICK = {f"{_PROVIDER}maxQueuePollingInterval": "00:00:00.1000000"}
"""Settings of every host here: a queue is looked into ten times a second, so that nothing waits for a poll."""
SOON_VISIBLE = {
    f"{_PROVIDER}controlQueueVisibilityTimeout": "00:00:02",
    f"{_PROVIDER}workItemQueueVisibilityTimeout": "00:00:02",
}
"""Settings under which what a killed host held is back in its queue after two seconds."""
BY_BLOBS = {f"{_PROVIDER}useTablePartitionManagement": "false"}
"""Settings under which control queues are dealt out by leases on blobs, as hosts with extension 2.x do."""


async def eventually(
    look: Callable[[], Awaitable[T | None]], what: str, *, within_s: float = WITHIN_S
) -> T:
    """Look until there is something true to see; fail, saying what was waited for, when the time is over."""
    clock = SystemClock()
    end = clock.monotonic() + within_s
    while clock.monotonic() < end:
        seen = await look()
        if seen:
            return seen
        await asyncio.sleep(LOOK_AGAIN_S)
    raise AssertionError(f"within {within_s:g} s: {what}")


# --- where state lies ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A store and a task hub in it that no other test uses. Hosts at one place share their state, but in memory."""

    kind: str
    storage: str
    """Value of --storage."""
    hub: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """App settings and overrides of host.json, of every host and command here."""

    @property
    def environment(self) -> dict[str, str]:
        """The process's own environment, with the hub's name and quick polling."""
        ours = ("azurewebjobs", "azurefunctionsjobhost")
        inherited = {k: v for k, v in os.environ.items() if not k.lower().startswith(ours)}
        return {**inherited, **QUICK, _HUB_NAME: self.hub, **self.settings}


def _no_server() -> Azurite:
    raise AssertionError("this place has no server")


def new_place(kind: str, folder: Path, azurite: Callable[[], Azurite] = _no_server) -> Place:
    """A place on a kind of store; `folder` keeps the embedded one's file, `azurite` gives the running server."""
    storage = {
        "memory": lambda: "memory",
        "sqlite": lambda: f"embedded:{folder / 'state.db'}",
        "azurite": lambda: azurite().connection_string,
    }[kind]()
    return Place(kind, storage, f"Test{uuid4().hex[:24]}")


@asynccontextmanager
async def hub_at(place: Place, app: Path) -> AsyncIterator[TaskHub]:
    """The hub of an app's hosts at a place, seen from outside."""
    settings = config.load(app, config.Flags(storage=place.storage), place.environment)
    storage = make_storage(settings.storage, SystemClock(), SystemIds())
    await storage.open()
    try:
        yield TaskHub(storage, settings.hub, SystemIds().hex32)
    finally:
        await storage.close()


# --- speaking to a host -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Json
    """None if the body is no JSON."""


class Caller:
    """An HTTP client of one host."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self.base = f"http://127.0.0.1:{port}"

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Json = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        in_chunks: bool = False,
    ) -> Reply:
        """Send a request; `path` may be a whole URL, such as a management link. `body` is sent as it is."""
        url = path if path.startswith("http") else f"{self.base}{path}"
        async with self._session.request(
            method, url, json=json, data=body, headers=headers, chunked=in_chunks or None
        ) as response:
            text = await response.text()
            body = await response.json(content_type=None) if _looks_like_json(text) else None
            return Reply(response.status, response.headers, text, body)

    async def get(self, path: str) -> Reply:
        return await self.call("GET", path)

    async def post(self, path: str, json: Json = None) -> Reply:
        return await self.call("POST", path, json=json)

    async def start(self, name: str, input: Json = None, *, instance_id: str | None = None) -> str:  # noqa: A002 - the protocol's word
        """Start an orchestration by the management API; its id. Python orchestrators can read only objects there."""
        tail = f"/{instance_id}" if instance_id else ""
        reply = await self.post(f"{DURABLE}/orchestrators/{name}{tail}", input)
        assert reply.status == 202, reply
        return reply.json["id"]

    async def status(self, instance_id: str, **query: str) -> Json:
        """The status object; None if there is no such instance."""
        tail = "&".join(f"{name}={value}" for name, value in query.items())
        return (await self.get(f"{DURABLE}/instances/{instance_id}?{tail}")).json

    async def until(
        self, instance_id: str, *statuses: str, within_s: float = WITHIN_S, **query: str
    ) -> Json:
        """The status object once the instance has one of these statuses; without any, once it has finished."""
        wanted = statuses or FINISHED
        last: Json = None

        async def look() -> Json:
            nonlocal last
            last = await self.status(instance_id, **query)
            return last if last and last["runtimeStatus"] in wanted else None

        try:
            return await eventually(look, "", within_s=within_s)
        except AssertionError:
            raise AssertionError(
                f"{instance_id} is not {' or '.join(wanted)} within {within_s:g} s; it is {last}"
            ) from None

    async def result(self, instance_id: str, *, within_s: float = WITHIN_S) -> Json:
        """The output of an instance that must complete."""
        status = await self.until(instance_id, within_s=within_s)
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    async def raise_event(self, instance_id: str, name: str, data: Json = None) -> None:
        reply = await self.post(f"{DURABLE}/instances/{instance_id}/raiseEvent/{name}", data)
        assert reply.status == 202, reply


def _looks_like_json(text: str) -> bool:
    return text[:1] in {*'{["-0123456789tfn'} and text not in {"", "-"}


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    """A client of the host on a port, on connections of its own."""
    async with aiohttp.ClientSession() as session:
        yield Caller(session, port)


# --- in this process ----------------------------------------------------------------------------------------------


class HostHere(Caller):
    """A host that runs in this process, and the client of it."""

    def __init__(self, session: aiohttp.ClientSession, host: Host) -> None:
        super().__init__(session, host.server.port)
        self.host = host


@asynccontextmanager
async def hosting(
    app: Path,
    place: Place,
    *,
    settings: Mapping[str, str] | None = None,
    http: Mapping[str, Any] | None = None,
    **flags: Any,
) -> AsyncIterator[HostHere]:
    """An app up and ready in this process; drained at the end.

    Args:
        settings: app settings or overrides of host.json, beside those of the place.
        http: of HttpSettings, what no flag sets.
        flags: of the command line, see config.Flags; free ports are taken unless they say otherwise.
    """
    environment = {**place.environment, **(settings or {})}
    chosen = config.Flags(**{"port": 0, "storage": place.storage, **flags})
    loaded = config.load(app, chosen, environment)
    loaded = replace(loaded, http=replace(loaded.http, rpc_port=0, **(http or {})))
    with isolated(app):
        config.apply_environment(loaded)
        async with (
            running_host(loaded, environment=environment, say=_quiet) as host,
            aiohttp.ClientSession() as session,
        ):
            config.tell_port(loaded, host.server.port)
            yield HostHere(session, host)


@contextmanager
def isolated(app: Path) -> Iterator[None]:
    """Forget afterwards what an app leaves in this process: its modules, import path, environment and folder."""
    path, variables = list(sys.path), dict(os.environ)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in sys.modules.copy().items():
            if _belongs_to(name, module, app.resolve()):
                del sys.modules[name]
        os.environ.clear()
        os.environ.update(variables)


def _belongs_to(name: str, module: object, app: Path) -> bool:
    file = getattr(module, "__file__", None)
    return name.partition(".")[0] == "__app__" or (
        isinstance(file, str) and Path(file).is_relative_to(app)
    )


def _quiet(text: str) -> None:
    """What a host says is not looked at here."""


# --- in a process of its own --------------------------------------------------------------------------------------


@dataclass(slots=True)
class HostProcess:
    """A `durable start` that runs; its output goes to a file, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int = field(default=0)

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    async def until_printed(self, text: str, *, within_s: float = WITHIN_S) -> str:
        """The first line with this text; fails if the process ends or takes too long."""

        async def look() -> str | None:
            has_ended = self.process.poll() is not None
            found = next((line for line in self.output.splitlines() if text in line), None)
            assert found is not None or not has_ended, f"ended without {text!r}:\n{self.output}"
            return found

        try:
            return await eventually(look, f"{text!r} is printed", within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this one process."""
        self.process.send_signal(number)

    async def ended(self, *, within_s: float = WITHIN_S) -> int:
        """Its exit code once it has ended; negative: by that signal."""

        async def look() -> tuple[int] | None:
            code = self.process.poll()
            return None if code is None else (code,)

        return (await eventually(look, "the host has ended", within_s=within_s))[0]

    async def kill(self) -> None:
        """End it as a crash does."""
        self.send(signal.SIGKILL)
        await self.ended()


def printed_json(output: str) -> dict[str, Any]:
    """The indented object that --run prints."""
    lines = output.splitlines()
    return json.loads("\n".join(lines[lines.index("{") : lines.index("}") + 1]))


@asynccontextmanager
async def started(
    app: Path,
    place: Place,
    log: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[HostProcess]:
    """`durable start APP` of this checkout in a process of its own; not waited for, and gone at the end."""
    command = [sys.executable, "-m", "emulator", "start", str(app), "--port", str(port)]
    command += ["--storage", place.storage, *arguments]
    host = HostProcess(_spawn(command, {**place.environment, **(settings or {})}, log), log)
    try:
        yield host
    finally:
        if host.process.poll() is None:
            host.process.kill()
        host.process.wait()


@asynccontextmanager
async def ready(
    app: Path,
    place: Place,
    log: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[tuple[HostProcess, Caller]]:
    """The same, once it has printed that it is ready, and a client of it."""
    async with started(app, place, log, *arguments, settings=settings, port=port) as host:
        line = await host.until_printed("Ready on http://")
        host.port = int(line.partition("Ready on http://")[2].split(":")[1].split(".")[0])
        async with calling(host.port) as caller:
            yield host, caller


def _spawn(
    command: list[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
