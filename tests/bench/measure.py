"""Rounds of workloads, each on a fresh host and a fresh store, with the floor right before ours."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench import host, load, seeding
from tests.bench.peers import Yardstick
from tests.bench.workloads import BY_NAME, Workload


@dataclass(frozen=True)
class Round:
    """What one round gave. `floor` is the line of the floor that ran right before it."""

    number: int
    rate: float
    p50_ms: float
    p99_ms: float
    host_cpu_s: float
    store_cpu_s: float
    count: int
    peak_mib: float
    floor: dict[str, Any] | None = None


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
        """Median of the ratios of our rate and the floor's, taken in the same round."""
        ratios = [r.rate / float(r.floor["orch_s"]) for r in self.rounds if r.floor]
        return statistics.median(ratios) if ratios else None


FLOORS: dict[str, Sequence[str]] = {
    "chain-3": ("chain", "3", "600", "--inflight", "32"),
    "chain-5": ("chain", "5", "300", "--inflight", "32"),
    "fan-100": ("fan", "100", "20", "--inflight", "8"),
    "chain-3 one at a time": ("chain", "3", "100", "--lat"),
}
"""The floor of a workload on Azurite: arguments of floor_engine.py."""


async def measure(workload: Workload, kind: str, number: int, yardstick: Yardstick | None) -> Round:
    """One round of a workload on a fresh host."""
    arguments = FLOORS.get(workload.name) if kind == "azurite" else None
    floor = await yardstick.floor(*arguments) if yardstick is not None and arguments else None
    async with host.running(kind) as running:
        await load.warm_up(running.base, workload)
        return await _round(workload, running, number, floor)


async def _round(
    workload: Workload, running: host.Running, number: int, floor: dict[str, Any] | None = None
) -> Round:
    before = running.cpu()
    timed = await load.run(running.base, workload)
    after = running.cpu()
    return Round(
        number=number,
        rate=timed.rate,
        p50_ms=1000 * timed.percentile(0.5),
        p99_ms=1000 * timed.percentile(0.99),
        host_cpu_s=after[0] - before[0],
        store_cpu_s=after[1] - before[1],
        count=len(timed.each),
        peak_mib=running.peak_mib(),
        floor=floor,
    )


@dataclass(frozen=True)
class Stored:
    """Throughput of chain-3 with many finished instances stored, against `other`.

    `other` is an empty store on the embedded store, and the floor with as many stored on Azurite; `turns` are pairs.
    """

    store: str
    finished: int
    turns: tuple[tuple[float, float], ...]

    @property
    def ratio(self) -> float:
        return statistics.median(ours / other for ours, other in self.turns)


async def stored_embedded(finished: int, turns: int) -> Stored:
    """Two hosts, one on an empty store and one on a full one, in turn."""
    workload = BY_NAME["chain-3"]
    pairs: list[tuple[float, float]] = []
    async with (
        host.store("sqlite") as full,
        host.store("sqlite") as empty,
        host.serving(full) as on_full,
        host.serving(empty) as on_empty,
    ):
        for running in (on_full, on_empty):
            await load.warm_up(running.base, workload)
        await seeding.fill(full, finished)
        for _ in range(turns):
            ours = await load.run(on_full.base, workload)
            other = await load.run(on_empty.base, workload)
            pairs.append((ours.rate, other.rate))
    return Stored("sqlite", finished, tuple(pairs))


async def stored_azurite(finished: int, count: int, yardstick: Yardstick) -> Stored:
    """Ours and the floor, each on an Azurite that holds as many finished instances."""
    workload = BY_NAME["chain-3"].times(count)
    options = ("--inflight", "32", "--preload", str(finished))
    floor = await yardstick.floor("chain", "3", str(count), *options)
    async with host.store("azurite") as full, host.serving(full) as running:
        await load.warm_up(running.base, BY_NAME["chain-3"])
        await seeding.fill(full, finished)
        ours = await load.run(running.base, workload)
    return Stored("azurite", finished, ((ours.rate, float(floor["orch_s"])),))
