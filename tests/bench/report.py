"""Tables of what was measured."""

from __future__ import annotations

import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tests.bench.measure import Result

COLUMNS = (
    ("store", 8),
    ("workload", 22),
    ("orch/s", 9),
    ("act/s", 9),
    ("p50 ms", 9),
    ("p99 ms", 9),
    ("host ms", 8),
    ("store ms", 8),
    ("MiB", 6),
    ("of floor", 8),
)
PACKAGES = ("durable-functions-emulator", "azure-functions", "azure-functions-durable", "aiohttp")


@dataclass(frozen=True)
class Report:
    """Everything of one run."""

    results: Sequence[Result]
    peer: Sequence[dict[str, Any]]
    cold_s: Sequence[float]
    import_s: Sequence[float]


def cells(result: Result) -> tuple[str, ...]:
    rate = result.median(lambda r: r.rate)
    floor = result.against_floor
    return (
        result.store,
        result.workload.name,
        f"{rate:.1f}",
        f"{rate * result.workload.activities:.0f}",
        f"{result.median(lambda r: r.p50_ms):.1f}",
        f"{result.median(lambda r: r.p99_ms):.1f}",
        f"{result.median(lambda r: r.host_cpu_ms):.1f}",
        f"{result.median(lambda r: r.store_cpu_ms):.1f}",
        f"{result.median(lambda r: r.peak_mib):.0f}",
        f"{floor:.2f}" if floor is not None else "",
    )


def as_table(results: Sequence[Result], *, header: bool = True) -> str:
    """For a terminal."""
    lines = ["  ".join(name.ljust(width) for name, width in COLUMNS)] if header else []
    lines += [
        "  ".join(cell.ljust(width) for cell, (_, width) in zip(cells(r), COLUMNS, strict=True))
        for r in results
    ]
    return "\n".join(lines)


def as_markdown(report: Report) -> str:
    """The report that stands in the documents."""
    names = [name for name, _ in COLUMNS]
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench` (`python -m tests.bench`): a real host process serves an unmodified app folder, a",
        "load generator uses the management API, every round has a fresh host and a fresh store. Medians; noisy",
        "machines make absolute figures worth little, so compare ratios.",
        "",
        f"Python {platform.python_version()}, {sys.platform}; "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + ".",
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        *(f"| {' | '.join(cells(result))} |" for result in report.results),
        "",
        "`host ms` and `store ms` are CPU time for one orchestration; `of floor` is the throughput against the fewest",
        "legal storage operations on Azurite with nothing around them, measured in the same round.",
        "",
        f"Cold start to the first completed orchestration: {statistics.median(report.cold_s):.2f} s, "
        f"{statistics.median(report.cold_s) / statistics.median(report.import_s):.1f} times "
        '`python -c "import azure.functions"`.',
    ]
    if report.peer:
        lines += ["", "The in-memory backend of the durabletask package, in the same sitting:", ""]
        lines += ["| load | n | orch/s | p50 ms |", "|---|---|---|---|"]
        lines += [
            f"| {row['load']} | {row.get('n', '')} | {row.get('orch_s', '')} | {row.get('p50', '')} |"
            for row in report.peer
        ]
    return "\n".join(lines) + "\n"
