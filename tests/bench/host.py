"""A host process and its store, measured from outside."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from azurite import Azurite

APP = Path(__file__).parent / "app"
ROOT = Path(__file__).parents[2]
READY = re.compile(rb"Ready on (http://\S+?)\.? ")
READY_TIMEOUT_S = 60
HUB = "Bench"
"""As in the app's host.json."""
STORES = ("memory", "sqlite", "azurite")


def environment() -> dict[str, str]:
    """That of a user: nothing that makes Python start slower, such as not keeping compiled modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@dataclass(frozen=True)
class Store:
    """A fresh store: how `--storage` names it, and its server's process if it has one."""

    kind: str
    storage: str
    process: psutil.Process | None = None


@asynccontextmanager
async def store(kind: str) -> AsyncIterator[Store]:
    """A fresh store, one of STORES."""
    if kind == "azurite":
        server = Azurite(environment())
        await server.start()
        try:
            yield Store(kind, server.connection_string, psutil.Process(server.pid))
        finally:
            await server.stop()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Store(kind, f"embedded:{folder}/bench.db" if kind == "sqlite" else kind)


@dataclass(frozen=True)
class Running:
    """A host that is ready."""

    base: str
    process: psutil.Process
    store: psutil.Process | None
    subprocess: asyncio.subprocess.Process

    def cpu(self) -> tuple[float, float]:
        """Seconds of the host and of the store's server so far."""
        return _cpu(self.process), _cpu(self.store) if self.store is not None else 0.0

    def rss_mib(self) -> float:
        """Memory that the host has now."""
        return self.process.memory_info().rss / 2**20

    def peak_mib(self) -> float:
        """Most memory that the host ever had."""
        status = Path(f"/proc/{self.process.pid}/status")
        if status.exists():
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            return int(found[1]) / 1024 if found else 0.0
        return self.process.memory_info().rss / 2**20


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@asynccontextmanager
async def running(kind: str, *options: str) -> AsyncIterator[Running]:
    """A fresh host on a fresh store; with options of `durable start`."""
    async with store(kind) as fresh, serving(fresh, options=options) as host:
        yield host


@asynccontextmanager
async def serving(
    on: Store, program: Sequence[str] = ("-m", "emulator"), *, options: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """A host on a store.

    Args:
        program: what Python runs in place of the product; its output must begin as the product's.
        options: of `durable start`.
    """
    process = await asyncio.create_subprocess_exec(
        *command(on.storage, program),
        *options,
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            base = await _ready(process.stdout)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(_drain(process.stdout))
            yield Running(base, psutil.Process(process.pid), on.process, process)
            drain.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def command(storage: str, program: Sequence[str] = ("-m", "emulator")) -> list[str]:
    """How a host of the workloads' app is started."""
    return [sys.executable, *program, "start", str(APP), "--storage", storage, "--port", "0"]


async def _ready(stream: asyncio.StreamReader) -> str:
    said = b""
    while line := await stream.readline():
        said += line
        match = READY.search(line)
        if match:
            return match[1].decode()
    raise RuntimeError(f"the host ended before it was ready:\n{said.decode()}")


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


async def cold_start(on: Store) -> float:
    """Seconds from the start of the process to the first completed orchestration."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command(on.storage),
        "--run",
        "hello_sequence",
        cwd=ROOT,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while line := await process.stdout.readline():
                if b"Completed" in line:
                    return time.perf_counter() - began
        raise RuntimeError("the orchestration did not complete")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def importing(statement: str) -> float:
    """Seconds that a Python process takes that does nothing but import."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", statement, env=environment()
    )
    await process.wait()
    return time.perf_counter() - began
