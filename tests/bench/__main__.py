"""`python -m tests.bench`: measures, prints a table, and writes docs/benchmarks.md if asked to."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from pathlib import Path

from tests.bench import host
from tests.bench.measure import Result, measure
from tests.bench.peers import Yardstick, import_seconds
from tests.bench.report import Report, as_markdown, as_table
from tests.bench.workloads import BY_NAME, WORKLOADS

STORES = ("memory", "sqlite", "azurite")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--stores", default=",".join(STORES), help="which of memory, sqlite, azurite"
    )
    parser.add_argument(
        "--workloads", default="", help="names, separated by commas; all if left out"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--yardstick", type=Path, help="folder of the floors and the peer")
    parser.add_argument("--write", type=Path, help="where to write the report, as Markdown")
    return parser.parse_args()


async def main() -> int:
    arguments = parse()
    names = [name for name in arguments.workloads.split(",") if name]
    workloads = [BY_NAME[name] for name in names] if names else list(WORKLOADS)
    yardstick = Yardstick(arguments.yardstick.absolute()) if arguments.yardstick else None
    results: list[Result] = []
    for store in arguments.stores.split(","):
        for workload in workloads:
            if store in workload.stores:
                results.append(await measure(workload, store, arguments.rounds, yardstick))
                sys.stdout.write(f"{as_table(results[-1:], header=len(results) == 1)}\n")
                sys.stdout.flush()
    report = Report(
        results=results,
        peer=await yardstick.peer() if yardstick is not None else [],
        cold_s=[await host.cold_start() for _ in range(arguments.rounds)],
        import_s=[await import_seconds() for _ in range(arguments.rounds)],
    )
    cold = statistics.median(report.cold_s) / statistics.median(report.import_s)
    sys.stdout.write(f"cold start to the first completed orchestration: {cold:.1f} x import\n")
    if arguments.write:
        arguments.write.write_text(as_markdown(report), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
