"""The targets: what was aimed at, what was measured, and whether that is met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.sitting import Sitting

OVERHEAD_PER_ACTIVITY = 4.25
OVERHEAD_PER_INSTANCE = 25


@dataclass(frozen=True)
class Line:
    """One target. `figure` is None if this run did not measure it."""

    target: str
    what: str
    limit: float
    figure: float | None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.figure is None:
            return "not measured"
        met = self.figure <= self.limit if self.at_most else self.figure >= self.limit
        return "met" if met else "missed"

    @property
    def aim(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}"


def lines(sitting: Sitting) -> Iterator[Line]:
    """Every target, in order."""
    yield from _transactions(sitting)
    for name in ("chain-3", "chain-5", "fan-100"):
        result = sitting.result(name, "azurite")
        ratio = result.against_floor if result else None
        yield Line("T2", f"Azurite, {name}: throughput against the floor", 0.8, ratio)
    for count in (400, 1000):  # as many against as many: Azurite is slower, the more rows it has
        name, in_turn = f"chain-3, {count} at once", f"chain-3, {count} in all"
        figure = _in_turn(sitting, (name, "azurite"), (in_turn, "azurite"), lambda r: r.rate)
        yield Line("T3", f"Azurite, {name}: throughput against 32 in flight", 0.9, figure)
    yield Line("T4", "Azurite, chain-3: latency against the floor", 1.5, _latency(sitting), True)
    yield from _peer(sitting)
    for long, short in (("chain-1000", "chain-100"), ("fan-10000", "fan-1000")):
        figure = _in_turn(sitting, (long, "sqlite"), (short, "sqlite"), lambda r: r.p50_ms)
        yield Line("T6", f"embedded store, time of {long} against {short}", 12, figure, True)
    yield from _stored(sitting)
    cold = (
        statistics.median(sitting.cold_s) / statistics.median(sitting.import_s)
        if sitting.cold_s and sitting.import_s
        else None
    )
    yield Line("T8", "cold start against importing azure.functions", 4, cold, True)
    growth = sitting.growth
    figure = growth.last_mib / growth.first_mib if growth else None
    yield Line("T9", "memory after 10,000 orchestrations against after 100", 1.1, figure, True)
    yield from _idle(sitting)
    yield from _scale(sitting)


def _transactions(sitting: Sitting) -> Iterator[Line]:
    limits = {"chain-3": 24.0, "chain-5": 35.0}
    limits |= {f"fan-{n}": OVERHEAD_PER_ACTIVITY * n + OVERHEAD_PER_INSTANCE for n in (100, 1000)}
    for name, limit in limits.items():
        found = next((c for c in sitting.counts if c.workload.name == name), None)
        figure = found.total if found else None
        yield Line("T1", f"storage transactions of one {name}", limit, figure, True)


def _in_turn(
    sitting: Sitting,
    ours: tuple[str, str],
    other: tuple[str, str],
    figure: Callable[..., float],
) -> float | None:
    """Median of the ratios of two workloads in the same rounds."""
    first, second = sitting.result(*ours), sitting.result(*other)
    if first is None or second is None:
        return None
    by_round = {each.number: figure(each) for each in second.rounds}
    ratios = [
        figure(each) / by_round[each.number] for each in first.rounds if each.number in by_round
    ]
    return statistics.median(ratios) if ratios else None


def _latency(sitting: Sitting) -> float | None:
    result = sitting.result("chain-3 one at a time", "azurite")
    ratios = [r.p50_ms / r.floor["lat_p50_ms"] for r in result.rounds if r.floor] if result else []
    return statistics.median(ratios) if ratios else None


def _peer(sitting: Sitting) -> Iterator[Line]:
    for name, load, limit in (
        ("chain-3", ("chain3", 1000), 6),
        ("fan-100", ("fan100", 10), 10),
        ("fan-1000", ("fan1000", 1), 12),
    ):
        figure = _against_peer(sitting, name, load, "orch_s", lambda r: r.rate)
        yield Line("T5", f"embedded store, {name}: throughput against the peer", limit, figure)
    figure = _against_peer(
        sitting, "chain-3 one at a time", ("lat chain3", None), "p50", lambda r: r.p50_ms
    )
    yield Line("T5", "embedded store, chain-3: latency against the peer", 0.3, figure, True)


def _against_peer(
    sitting: Sitting,
    name: str,
    load: tuple[str, int | None],
    key: str,
    figure: Callable[..., float],
) -> float | None:
    result = sitting.result(name, "sqlite")
    ratios = [
        figure(each) / row[key]
        for each in (result.rounds if result else ())
        for row in sitting.peers.get(each.number, ())
        if (row["load"], row.get("n")) == load
    ]
    return statistics.median(ratios) if ratios else None


def _stored(sitting: Sitting) -> Iterator[Line]:
    for kind, against, limit in (("sqlite", "an empty store", 0.9), ("azurite", "the floor", 0.8)):
        found = next((each for each in sitting.stored if each.store == kind), None)
        many = f"{found.finished:,} finished instances stored" if found else "many stored"
        figure = found.ratio if found else None
        yield Line("T7", f"{kind}, {many}: throughput against {against}", limit, figure)


def _idle(sitting: Sitting) -> Iterator[Line]:
    for kind in ("sqlite", "azurite"):
        found = next((each for each in sitting.idle if each.store == kind), None)
        for what, limit, figure in (
            ("storage calls a second", 1.0, found and found.calls_per_s),
            ("share of a core", 0.01, found and found.cpu_share),
            ("seconds until a foreign message has its effect", 31.0, found and found.foreign_s),
            ("seconds until our own has", 0.5, found and found.own_s),
        ):
            yield Line("T10", f"{kind}, idle host: {what}", limit, figure, True)


def _scale(sitting: Sitting) -> Iterator[Line]:
    for kind in ("sqlite", "azurite"):
        for name, limit in (("chain-3", 1.0), ("work-64", 1.5)):
            found = [s for s in sitting.scales if (s.store, s.workload) == (kind, name)]
            figure = found[0].ratio if found else None
            yield Line("T11", f"{kind}, {name}: two workers against one", limit, figure)
