"""Loads a host through its management API and times every answer."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass

import aiohttp

from tests.bench.workloads import Shape, Workload

PATIENCE_S = 600
PREFIX = "/runtime/webhooks/durabletask"


@dataclass(frozen=True)
class Timed:
    """One round: seconds in all, and of every orchestration from its request to its outcome."""

    seconds: float
    each: tuple[float, ...]

    @property
    def rate(self) -> float:
        return len(self.each) / self.seconds

    def percentile(self, share: float) -> float:
        return sorted(self.each)[min(len(self.each) - 1, int(len(self.each) * share))]


async def warm_up(base: str, workload: Workload) -> None:
    """What is not timed: imports, caches, connections."""
    if workload.warm_up:
        async with _session(base) as session:
            await _round(session, workload, workload.warm_up)


async def run(base: str, workload: Workload) -> Timed:
    """One round."""
    async with _session(base) as session:
        return await _round(session, workload, workload.count)


async def run_with_payload(base: str, payload: str, count: int) -> None:
    """Start so many orchestrations at once, each with the same large input, and wait for all."""
    path = f"{PREFIX}/orchestrators/measure_text?timeout={PATIENCE_S}&pollingInterval=1"
    body = json.dumps({"text": payload}).encode()
    headers = {"Content-Type": "application/json"}

    async def one(session: aiohttp.ClientSession) -> None:
        async with session.post(path, data=body, headers=headers) as response:
            text = await response.text()
            assert (response.status, text) == (200, str(len(payload))), text[:200]

    async with _session(base) as session, asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one(session))


async def until_completed(base: str, instance: str) -> None:
    """Poll the status of one instance until it has completed."""
    async with _session(base) as session:
        await _completed(session, instance)


def _session(base: str) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    return aiohttp.ClientSession(base, connector=connector, timeout=timeout)


async def _round(session: aiohttp.ClientSession, workload: Workload, count: int) -> Timed:
    if workload.shape is Shape.SIGNALS:
        return await _signals(session, workload)
    one = _with_events if workload.shape is Shape.EVENTS else _to_its_end
    limit = asyncio.Semaphore(workload.in_flight)
    each: list[float] = []

    async def timed() -> None:
        async with limit:
            began = time.perf_counter()
            await one(session, workload)
            each.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(timed())
    return Timed(time.perf_counter() - began, tuple(each))


async def _to_its_end(session: aiohttp.ClientSession, workload: Workload) -> None:
    """Start one and wait for its output in the same request."""
    path = f"{PREFIX}/orchestrators/{workload.orchestrator}"
    query = f"?timeout={PATIENCE_S}&pollingInterval=1"
    async with session.post(f"{path}{query}", json={"n": workload.n}) as response:
        text = await response.text()
        assert response.status == 200, text


async def _with_events(session: aiohttp.ClientSession, workload: Workload) -> None:
    instance = uuid.uuid4().hex
    path = f"{PREFIX}/orchestrators/{workload.orchestrator}/{instance}"
    async with session.post(path, json={"n": workload.n}) as response:
        assert response.status == 202, await response.text()
    for _ in range(workload.n):
        async with session.post(f"{PREFIX}/instances/{instance}/raiseEvent/go", json=1) as response:
            assert response.status == 202, await response.text()
    await _completed(session, instance)


async def _completed(session: aiohttp.ClientSession, instance: str) -> None:
    while await _status(session, instance) != "Completed":  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


async def _status(session: aiohttp.ClientSession, instance: str) -> str:
    async with session.get(f"{PREFIX}/instances/{instance}") as response:
        return str((await response.json())["runtimeStatus"])


async def _signals(session: aiohttp.ClientSession, workload: Workload) -> Timed:
    """Signal one entity until its state has seen every signal."""
    key = uuid.uuid4().hex
    limit = asyncio.Semaphore(workload.in_flight)

    async def signal() -> None:
        async with (
            limit,
            session.post(f"{PREFIX}/entities/counter/{key}?op=add", json=1) as response,
        ):
            assert response.status == 202, await response.text()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(workload.n):
            group.create_task(signal())
    while await _state(session, key) != workload.n:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    return Timed(time.perf_counter() - began, (time.perf_counter() - began,))


async def _state(session: aiohttp.ClientSession, key: str) -> object:
    async with session.get(f"{PREFIX}/entities/counter/{key}") as response:
        return await response.json() if response.status == 200 else None
