"""Host processes that are killed, told to end, held up and cut off, and started again."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from azurite import Azurite
from tests.support.hosts import HostProcess, Place, started
from tests.support.severed import Severable, severable

APP = Path(__file__).parent / "app"
READY_WITHIN_S = 240.0
"""For a start, again and again as long as the store is away: longer than any trouble here, on a busy machine."""
END_WITHIN_S = 150.0
"""After SIGTERM. Running sessions may take 60 s, and a call to a store that swallows everything 20 s."""
RESTART_S = 1.0
LOOK_EVERY_S = 0.1
NO_STORE = 2
"""Exit code of a host that finds no store, or another mistake of its user."""
LAST_LINES = 20
_PROVIDER = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__"
PARTITIONS = 4
SETTINGS = {
    f"{_PROVIDER}maxQueuePollingInterval": "00:00:01",
    f"{_PROVIDER}controlQueueVisibilityTimeout": "00:00:20",
    f"{_PROVIDER}workItemQueueVisibilityTimeout": "00:00:20",
    f"{_PROVIDER}partitionCount": str(PARTITIONS),
}


class HostFailedError(Exception):
    """A host ended, or did not get ready or end, without anything that was done to it: there is no use in going on."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Log:
    """What one process has printed, and how often it has lost its store in its time."""

    path: Path
    losses: int = 0

    @property
    def text(self) -> str:
        return self.path.read_text(errors="replace")


@dataclass
class Slot:
    """A host under one name and port, over all its incarnations; each has a log of its own."""

    number: int
    hub: str
    folder: Path
    connection: Severable
    app: Path = APP
    port: int = field(default_factory=_free_port)
    is_troubled: bool = False
    """Whether something is being done to it."""
    host: HostProcess | None = None
    logs: list[Log] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Start a process, again and again while it finds no store, until one is ready.

        Raises:
            HostFailedError: it ended in another way, or none is ready in time.
        """
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await self._starts():
                    await self.close()
                    await asyncio.sleep(RESTART_S)
        except TimeoutError as error:
            raise self._failure(f"is not ready within {READY_WITHIN_S:g} s") from error

    async def _starts(self) -> bool:
        """False if it ended, because it found no store."""
        log = self.folder / f"host-{self.number}.{len(self.logs) + 1}.log"
        self.logs.append(Log(log))
        place = Place("azurite", self.connection.connection_string, self.hub)
        settings = {**SETTINGS, "CHAOS_EFFECTS": str(self.folder / "effects")}
        self.host = await self._stack.enter_async_context(
            started(self.app, place, log, settings=settings, port=self.port)
        )
        while "Ready on http://" not in self.host.output:
            code = self.host.process.poll()
            if code == NO_STORE and "cannot be used" in self.host.output:
                return False
            if code is not None:
                raise self._failure(f"ended with code {code} as it started")
            await asyncio.sleep(LOOK_EVERY_S)
        return True

    async def supervise(self) -> None:
        """Look after it until cancelled.

        Raises:
            HostFailedError: it ended, and nothing was done to it.
        """
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            code = self.host.process.poll() if self.host is not None else None
            if code is not None and not self.is_troubled:
                raise self._failure(f"ended with code {code} by itself")

    def _failure(self, what: str) -> HostFailedError:
        log = self.logs[-1]
        last = "\n  ".join(log.text.splitlines()[-LAST_LINES:])
        return HostFailedError(f"host {self.number} {what}. {log.path.name} ends with\n  {last}")

    async def close(self) -> None:
        """End the process at once, if there is one."""
        self.host = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    # --- trouble ----------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """As Ctrl-C.

        Raises:
            HostFailedError: it does not end, or not well.
        """
        assert self.host is not None
        self.host.send(signal.SIGTERM)
        try:
            code = await self.host.ended(within_s=END_WITHIN_S)
        except AssertionError as error:
            raise self._failure(f"does not end within {END_WITHIN_S:g} s of SIGTERM") from error
        if code:
            raise self._failure(f"ended with code {code} after SIGTERM")
        await self.close()

    async def hold_up(self, seconds: float) -> None:
        """As a machine that sleeps: it knows nothing of the time that passes."""
        assert self.host is not None
        self.host.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.host.send(signal.SIGCONT)

    def loses_its_store(self) -> None:
        """Whatever runs here now may say so once."""
        if self.host is not None:
            self.logs[-1].losses += 1


@asynccontextmanager
async def slots(
    count: int, hub: str, folder: Path, server: Azurite, app: Path = APP
) -> AsyncIterator[list[Slot]]:
    """Slots for hosts, each with a connection of its own to the server; none is started.

    Blobs have one address for all, because rows name them by it; queues and tables are what can be cut off.
    """
    async with AsyncExitStack() as stack:
        found: list[Slot] = []
        for number in range(1, count + 1):
            doors = severable(server, (server.ports.queue, server.ports.table))
            connection = await stack.enter_async_context(doors)
            found.append(Slot(number, hub, folder, connection, app))
            stack.push_async_callback(found[-1].close)
        yield found
