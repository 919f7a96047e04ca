"""What was measured, as tables: for a terminal, and as the document with its plots."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench import plots
from tests.bench.measure import Result
from tests.bench.sitting import Sitting
from tests.bench.targets import Line, lines

COLUMNS = (
    ("store", 8),
    ("workload", 22),
    ("orch/s", 9),
    ("act/s", 9),
    ("p50 ms", 9),
    ("p99 ms", 9),
    ("host s", 8),
    ("host ms", 8),
    ("store s", 8),
    ("store ms", 8),
    ("MiB", 6),
    ("of floor", 8),
)
TARGET_COLUMNS = ("target", "figure", "aim", "measured", "")
PACKAGES = (
    "durable-functions-emulator",
    "azure-functions",
    "azure-functions-durable",
    "aiohttp",
    "durabletask",
)


def cells(result: Result) -> tuple[str, ...]:
    rate = result.median(lambda r: r.rate)
    floor = result.against_floor
    return (
        result.store,
        result.workload.name,
        f"{rate:.1f}",
        f"{rate * result.workload.activities:.0f}" if result.workload.activities else "",
        f"{result.median(lambda r: r.p50_ms):.1f}",
        f"{result.median(lambda r: r.p99_ms):.1f}",
        f"{result.median(lambda r: r.host_cpu_s):.2f}",
        f"{result.median(lambda r: 1000 * r.host_cpu_s / r.count):.1f}",
        f"{result.median(lambda r: r.store_cpu_s):.2f}",
        f"{result.median(lambda r: 1000 * r.store_cpu_s / r.count):.1f}",
        f"{result.median(lambda r: r.peak_mib):.0f}",
        f"{floor:.2f}" if floor is not None else "",
    )


def target_cells(line: Line) -> tuple[str, ...]:
    measured = "" if line.figure is None else f"{line.figure:.3g}"
    return (line.target, line.what, line.aim, measured, line.verdict)


def as_table(results: Sequence[Result]) -> str:
    """For a terminal."""
    rows = [tuple(name for name, _ in COLUMNS), *(cells(r) for r in results if r.rounds)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, (_, width) in zip(row, COLUMNS, strict=True)).rstrip()
        for row in rows
    )


def targets_as_table(sitting: Sitting) -> str:
    """For a terminal."""
    return "\n".join(
        f"{target:4} {what:68} {aim:>8} {measured:>9}  {verdict}"
        for target, what, aim, measured, verdict in map(target_cells, lines(sitting))
    )


def write(sitting: Sitting, file: Path, command: str) -> None:
    """The document and, beside it, its plots."""
    stem = file.parent / file.stem
    drawn = []
    if sitting.results:
        drawn.append(("Throughput", stem.with_name(f"{file.stem}-throughput.svg")))
        plots.throughput(sitting, drawn[-1][1])
    if sitting.curves:
        drawn.append(("Memory", stem.with_name(f"{file.stem}-memory.svg")))
        plots.memory(sitting, drawn[-1][1])
    text = "\n".join(_document(sitting, command, [(name, svg.name) for name, svg in drawn]))
    file.write_text(f"{text}\n", encoding="utf-8")


def _document(sitting: Sitting, command: str, drawn: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from (
        "# Benchmarks",
        "",
        f"Made by `{command}` on {os.cpu_count()} cores: a real host process serves an unmodified app folder, a load",
        "generator uses the management API, every round has a fresh host and a fresh store, and what is compared runs",
        "in turn. Figures are medians. Absolute ones are worth little elsewhere; the ratios are the point.",
        "",
        f"Python {platform.python_version()}, {sys.platform}; "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + ".",
        "",
        "## Targets",
        "",
    )
    yield from _table(TARGET_COLUMNS, map(target_cells, lines(sitting)))
    yield from ("", "## Workloads", "")
    names = [name for name, _ in COLUMNS]
    yield from _table(names, (cells(r) for r in sitting.results if r.rounds))
    yield from (
        "",
        "`p50` and `p99` are from the request to the outcome of one orchestration. `host s` and `store s` are CPU",
        "seconds of a round, `host ms` and `store ms` those of one orchestration; the embedded stores run inside the",
        "host. `of floor`: throughput against the fewest legal storage operations on Azurite with nothing around them.",
    )
    for name, svg in drawn:
        yield from ("", f"![{name}]({svg})")
    yield from _transactions(sitting)
    yield from _curves(sitting)
    yield from _scales(sitting)
    yield from _start(sitting)
    yield from _peer(sitting)
    if sitting.failures:
        yield from ("", "## What failed in this run", "")
        yield from (f"- {failure.partition(':')[0]}" for failure in sitting.failures)


def _transactions(sitting: Sitting) -> Iterator[str]:
    if not sitting.counts:
        return
    yield from (
        "",
        "## Storage transactions of one orchestration",
        "",
        "Counted at the port, empty polls and leases apart, reads for the waiting client included; `wire` is the same",
        "on Azurite, counted by a proxy before it.",
        "",
    )
    kinds = sorted({kind for each in sitting.counts for kind in each.by_kind})
    rows = [
        (
            each.store,
            each.workload.name,
            *(f"{each.by_kind[kind]:.1f}" if kind in each.by_kind else "" for kind in kinds),
            f"{each.total:.1f}",
            f"{each.wire:.1f}" if each.wire is not None else "",
        )
        for each in sitting.counts
    ]
    yield from _table(("store", "workload", *kinds, "all", "wire"), rows)


def _curves(sitting: Sitting) -> Iterator[str]:
    if sitting.curves:
        yield from ("", "## Memory of the host under heavy loads", "")
        rows = ((each.name, f"{each.peak_mib:.0f}") for each in sitting.curves)
        yield from _table(("load", "peak MiB"), rows)


def _scales(sitting: Sitting) -> Iterator[str]:
    if sitting.scales:
        yield from ("", "## Two workers against one (`durable start --workers 2`)", "")
        rows = (
            (each.store, each.workload, f"{each.ratio:.2f}", f"{min(each.ratios):.2f}")
            for each in sitting.scales
        )
        yield from _table(("store", "workload", "throughput", "least"), rows)
        yield from (
            "",
            "`work-8` and `work-64` have so many activities that take CPU; load generator and store share the cores.",
        )


def _start(sitting: Sitting) -> Iterator[str]:
    if not (sitting.cold_s and sitting.import_s and sitting.durable_import_s):
        return
    cold, floor, durable = (
        statistics.median(each)
        for each in (sitting.cold_s, sitting.import_s, sitting.durable_import_s)
    )
    yield from (
        "",
        "## Cold start",
        "",
        f"From the start of the process to the first completed orchestration on the embedded store: {cold:.2f} s,",
        f'{cold / floor:.1f} times `python -c "import azure.functions"` ({floor:.2f} s). Every app of this kind also',
        f"imports `azure.durable_functions`: both together take {durable:.2f} s, {durable / floor:.1f} times as long.",
    )


def _peer(sitting: Sitting) -> Iterator[str]:
    rows = [row for number in sorted(sitting.peers) for row in sitting.peers[number]]
    if not rows:
        return
    yield from ("", "## The in-memory backend of the durabletask package, in the same run", "")
    loads = dict.fromkeys((row["load"], row.get("n")) for row in rows)
    yield from _table(
        ("load", "at once", "orch/s", "p50 ms"),
        (
            (name, str(n or ""), _median(rows, name, n, "orch_s"), _median(rows, name, n, "p50"))
            for name, n in loads
        ),
    )


def _median(rows: Sequence[dict[str, object]], name: str, n: int | None, key: str) -> str:
    values = [r[key] for r in rows if (r["load"], r.get("n")) == (name, n) and key in r]
    return f"{statistics.median(float(str(value)) for value in values):.1f}" if values else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
