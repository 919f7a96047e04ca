"""A host process and its store, measured from outside."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from azurite import Azurite

APP = Path(__file__).parent / "app"
ROOT = Path(__file__).parents[2]
READY = re.compile(rb"Ready on (http://\S+?)\.? ")
READY_TIMEOUT_S = 60


@dataclass(frozen=True)
class Running:
    """A host that is ready."""

    base: str
    process: psutil.Process
    store: psutil.Process | None

    def cpu(self) -> tuple[float, float]:
        """Seconds of the host and of the store's server so far."""
        return _cpu(self.process), _cpu(self.store) if self.store is not None else 0.0

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
async def running(store: str, *options: str) -> AsyncIterator[Running]:
    """A fresh host on a fresh store: memory, sqlite or azurite; with options of `durable start`."""
    with tempfile.TemporaryDirectory() as folder:
        if store == "azurite":
            server = Azurite(dict(os.environ))
            await server.start()
            try:
                async with _host(server.connection_string, server.pid, *options) as host:
                    yield host
            finally:
                await server.stop()
            return
        storage = f"embedded:{folder}/bench.db" if store == "sqlite" else store
        async with _host(storage, None, *options) as host:
            yield host


@asynccontextmanager
async def _host(storage: str, store_pid: int | None, *options: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *command(storage),
        *options,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            base = await _ready(process.stdout)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(_drain(process.stdout))
            store = psutil.Process(store_pid) if store_pid is not None else None
            yield Running(base, psutil.Process(process.pid), store)
            drain.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def command(storage: str) -> list[str]:
    """How a host of the workloads' app is started."""
    return [
        sys.executable,
        "-m",
        "emulator",
        "start",
        str(APP),
        "--storage",
        storage,
        "--port",
        "0",
    ]


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


async def cold_start(storage: str = "memory") -> float:
    """Seconds from the start of the process to the first completed orchestration."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command(storage),
        "--run",
        "hello_sequence",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        while line := await process.stdout.readline():
            if b"Completed" in line:
                return time.perf_counter() - began
        raise RuntimeError("the orchestration did not complete")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
