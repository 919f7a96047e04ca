"""`python -m tests.bench.scale`: two workers against one, in turn, on hubs that are shared out."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys

from tests.bench import host, load
from tests.bench.workloads import BY_NAME, Workload

SHARED_OUT_S = 20
"""From readiness; partitions have moved to the second worker by then."""
WORKLOADS = (
    Workload(name="work-8", orchestrator="works", n=8, count=12, in_flight=1, warm_up=2),
    Workload(name="work-64", orchestrator="works", n=64, count=6, in_flight=2, warm_up=1),
    BY_NAME["chain-3"],
)


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--stores", default="sqlite,azurite")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for store in arguments.stores.split(","):
        ratios: dict[str, list[float]] = {workload.name: [] for workload in WORKLOADS}
        for _ in range(arguments.rounds):
            one, two = await _rates(store), await _rates(store, "--workers", "2")
            for name, found in ratios.items():
                found.append(two[name] / one[name])
                line = f"{store:8} {name:8} {one[name]:7.1f} {two[name]:7.1f} {found[-1]:5.2f}"
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        for name, found in ratios.items():
            sys.stdout.write(f"{store:8} {name:8} median {statistics.median(found):.2f}\n")
    return 0


async def _rates(store: str, *options: str) -> dict[str, float]:
    """Orchestrations per second of each workload, on one host."""
    rates: dict[str, float] = {}
    async with host.running(store, *options) as running:
        await asyncio.sleep(SHARED_OUT_S if options else 0)
        for workload in WORKLOADS:
            await load.warm_up(running.base, workload)
            rates[workload.name] = (await load.run(running.base, workload)).rate
    return rates


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
