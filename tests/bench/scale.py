"""Two workers against one, in turn, on hubs that are shared out."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field

from tests.bench import host, load
from tests.bench.workloads import BY_NAME, Workload

SHARED_OUT_S = 20
"""From readiness; partitions have moved to the second worker by then."""
WORKLOADS = (
    Workload(name="work-8", orchestrator="works", n=8, count=12, in_flight=1, warm_up=2),
    Workload(name="work-64", orchestrator="works", n=64, count=6, in_flight=2, warm_up=1),
    BY_NAME["chain-3"],
)


@dataclass
class Scale:
    """Throughput of two workers against that of one, of one workload on one store, round by round."""

    store: str
    workload: str
    ratios: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)


async def scale(store: str, rounds: int) -> list[Scale]:
    """Every workload on one store."""
    found = [Scale(store, workload.name) for workload in WORKLOADS]
    for _ in range(rounds):
        one, two = await _rates(store), await _rates(store, "--workers", "2")
        for each in found:
            each.ratios.append(two[each.workload] / one[each.workload])
    return found


async def _rates(store: str, *options: str) -> dict[str, float]:
    """Orchestrations per second of each workload, on one host."""
    rates: dict[str, float] = {}
    async with host.running(store, *options) as running:
        await asyncio.sleep(SHARED_OUT_S if options else 0)
        for workload in WORKLOADS:
            await load.warm_up(running.base, workload)
            rates[workload.name] = (await load.run(running.base, workload)).rate
    return rates
