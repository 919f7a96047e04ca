"""What the host's memory does under loads that could make it grow without bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.bench import host, load, seeding
from tests.bench.workloads import BY_NAME

SAMPLE_EVERY_S = 0.25
WARM_COUNT = 100
PAYLOAD_BYTES = 1024 * 1024
PENDING_SECONDS = 20.0
"""How long the host may work on the pending instances; it need not end them."""


@dataclass(frozen=True)
class Sizes:
    """How much of each load."""

    finished: int = 10_000
    pending: int = 100_000
    wide: str = "fan-10000"
    payloads: int = 1024


@dataclass
class Curve:
    """Memory over time: seconds since the load began, MiB."""

    name: str
    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def peak_mib(self) -> float:
        return max(mib for _, mib in self.points)


@dataclass(frozen=True)
class Growth:
    """Memory after a hundred orchestrations, and after many."""

    first_mib: float
    last_mib: float


async def growth(kind: str, sizes: Sizes) -> tuple[Growth, Curve]:
    """Memory after 100 orchestrations and after many more of the same kind."""
    workload = BY_NAME["chain-3"]
    async with host.running(kind) as running:
        await load.run(running.base, workload.times(WARM_COUNT))
        first = running.rss_mib()
        async with _sampled(running, f"{sizes.finished:,} orchestrations") as curve:
            await load.run(running.base, workload.times(sizes.finished - WARM_COUNT))
        return Growth(first, running.rss_mib()), curve


async def pending(kind: str, sizes: Sizes) -> Curve:
    """A host that comes up on many instances that nobody has begun."""
    async with host.store(kind) as fresh:
        await seeding.start_pending(fresh, "chain", 3, sizes.pending)
        async with (
            host.serving(fresh) as running,
            _sampled(running, f"{sizes.pending:,} pending instances") as curve,
        ):
            await asyncio.sleep(PENDING_SECONDS)
        return curve


async def wide(kind: str, sizes: Sizes) -> Curve:
    """A wide fan-out."""
    async with host.running(kind) as running, _sampled(running, sizes.wide) as curve:
        await load.run(running.base, BY_NAME[sizes.wide])
    return curve


async def payloads(kind: str, sizes: Sizes) -> Curve:
    """Many large inputs at once, each handed on to an activity."""
    total = sizes.payloads * PAYLOAD_BYTES // 2**20
    async with (
        host.running(kind) as running,
        _sampled(running, f"{total:,} MiB of payloads in flight") as curve,
    ):
        await load.run_with_payload(running.base, "x" * PAYLOAD_BYTES, sizes.payloads)
    return curve


@asynccontextmanager
async def _sampled(running: host.Running, name: str) -> AsyncIterator[Curve]:
    curve = Curve(name)
    began = time.perf_counter()

    async def sample() -> None:
        while True:
            curve.points.append((time.perf_counter() - began, running.rss_mib()))
            await asyncio.sleep(SAMPLE_EVERY_S)

    async with asyncio.TaskGroup() as group:
        sampler = group.create_task(sample())
        yield curve
        sampler.cancel()
