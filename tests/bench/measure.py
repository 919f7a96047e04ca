"""Rounds of workloads, each on a fresh host and a fresh store, with the floor in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench import host, load
from tests.bench.peers import Yardstick
from tests.bench.workloads import Workload


@dataclass(frozen=True)
class Round:
    """What one round gave."""

    rate: float
    p50_ms: float
    p99_ms: float
    host_cpu_ms: float
    store_cpu_ms: float
    peak_mib: float
    floor_rate: float | None = None


@dataclass
class Result:
    """All rounds of a workload on a store."""

    workload: Workload
    store: str
    rounds: list[Round] = field(default_factory=list)

    def median(self, figure: Callable[[Round], float]) -> float:
        return statistics.median(figure(each) for each in self.rounds)

    @property
    def against_floor(self) -> float | None:
        """Median of the ratios of rate and floor, taken in the same round."""
        ratios = [r.rate / r.floor_rate for r in self.rounds if r.floor_rate]
        return statistics.median(ratios) if ratios else None


FLOORS: dict[str, Sequence[str]] = {
    "chain-3": ("chain", "3", "600", "--inflight", "32"),
    "chain-5": ("chain", "5", "300", "--inflight", "32"),
    "fan-100": ("fan", "100", "20", "--inflight", "8"),
    "chain-3 one at a time": ("chain", "3", "100", "--lat"),
}
"""The floor of a workload on Azurite: shape, n, count and options of floor_engine.py."""


async def measure(
    workload: Workload, store: str, rounds: int, yardstick: Yardstick | None
) -> Result:
    result = Result(workload, store)
    for _ in range(rounds):
        floor = await _floor(workload, store, yardstick)
        result.rounds.append(await _round(workload, store, floor))
    return result


async def _floor(workload: Workload, store: str, yardstick: Yardstick | None) -> float | None:
    arguments = FLOORS.get(workload.name) if store == "azurite" else None
    if yardstick is None or arguments is None:
        return None
    shape, n, count, *options = arguments
    found = await yardstick.floor(shape, int(n), int(count), *options)
    return float(found["orch_s"])


async def _round(workload: Workload, store: str, floor: float | None) -> Round:
    async with host.running(store) as running:
        await load.warm_up(running.base, workload)
        before = running.cpu()
        timed = await load.run(running.base, workload)
        after = running.cpu()
        count = len(timed.each)
        return Round(
            rate=timed.rate,
            p50_ms=1000 * timed.percentile(0.5),
            p99_ms=1000 * timed.percentile(0.99),
            host_cpu_ms=1000 * (after[0] - before[0]) / count,
            store_cpu_ms=1000 * (after[1] - before[1]) / count,
            peak_mib=running.peak_mib(),
            floor_rate=floor,
        )
