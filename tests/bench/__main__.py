"""`python -m tests.bench`: measures, prints tables, and writes the report."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import tempfile
from pathlib import Path

from tests.bench import host, memory
from tests.bench.counts import count
from tests.bench.idle import idle
from tests.bench.measure import Result, measure, stored_azurite, stored_embedded
from tests.bench.peers import Yardstick
from tests.bench.report import as_table, targets_as_table, write
from tests.bench.scale import scale
from tests.bench.sitting import Sitting
from tests.bench.workloads import BY_NAME, WORKLOADS, Workload

PARTS = ("rounds", "counts", "stored", "memory", "idle", "workers", "cold")
COUNTED = {"chain-3": 20, "chain-5": 20, "fan-100": 4, "fan-1000": 1, "children-100": 1}
"""Workloads whose storage calls are counted, and how many orchestrations of each."""
FLOOR_COUNT = 40
"""Orchestrations on an Azurite with much stored, where each takes long."""


def parser_of_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which of {', '.join(PARTS)}")
    parser.add_argument(
        "--stores", default=",".join(host.STORES), help=f"which of {', '.join(host.STORES)}"
    )
    parser.add_argument(
        "--workloads", default="", help="names, separated by semicolons; all if left out"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of workloads, and of cold starts")
    parser.add_argument("--stored", type=int, default=30_000, help="finished instances, embedded")
    parser.add_argument(
        "--stored-azurite", type=int, default=30_000, help="the same on Azurite; 0 for none"
    )
    parser.add_argument("--yardstick", type=Path, help="folder of the floors, peer and tap")
    parser.add_argument("--write", type=Path, help="where to write the report, as Markdown")
    return parser


def command(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """What to type for the same run."""
    options = {
        name: value
        for name, value in vars(arguments).items()
        if value != parser.get_default(name) and name not in ("yardstick", "write")
    }
    words = [f"--{name.replace('_', '-')} {shlex.quote(str(v))}" for name, v in options.items()]
    yardstick = " YARDSTICK=..." if arguments.yardstick else ""
    return f"make bench{yardstick}" + (f' BENCH="{" ".join(words)}"' if words else "")


class Run:
    """One run, part by part."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.stores = arguments.stores.split(",")
        folder = arguments.yardstick
        self.yardstick = Yardstick(folder.absolute()) if folder else None
        self.sitting = Sitting()

    async def all(self) -> Sitting:
        parts = {
            "rounds": self.rounds,
            "counts": self.counts,
            "stored": self.stored,
            "memory": self.memory,
            "idle": self.idle,
            "workers": self.workers,
            "cold": self.cold,
        }
        for name in self.arguments.parts.split(","):
            _say(f"--- {name}")
            await parts[name]()
        return self.sitting

    async def rounds(self) -> None:
        """Every workload on every store once a round; the memory store, which no target is about, in the first."""
        sitting = self.sitting
        results = {
            (w.name, store): Result(w, store)
            for store in self.stores
            for w in self._workloads()
            if store in w.stores
        }
        sitting.results = list(results.values())
        for number in range(self.arguments.rounds):
            if self.yardstick is not None and "sqlite" in self.stores:
                rows = await sitting.attempt("durabletask peer", self.yardstick.peer())
                sitting.peers[number] = rows or []
            for (name, store), result in results.items():
                if store == "memory" and number:
                    continue
                work = measure(result.workload, store, number, self.yardstick)
                found = await sitting.attempt(f"{name} on {store}", work)
                if found is not None:
                    result.rounds.append(found)
                    _say(f"{store} {name}: {found.rate:.1f}/s")
        _say(as_table(sitting.results))

    def _workloads(self) -> list[Workload]:
        names = [name.strip() for name in self.arguments.workloads.split(";") if name.strip()]
        return [BY_NAME[name] for name in names] if names else list(WORKLOADS)

    async def counts(self) -> None:
        for store in self.stores:
            for name, number in COUNTED.items():
                work = count(BY_NAME[name].times(number), store, self.yardstick)
                found = await self.sitting.attempt(f"counting {name} on {store}", work)
                if found is not None:
                    self.sitting.counts.append(found)
                    wire = "" if found.wire is None else f", on the wire {found.wire:.1f}"
                    _say(f"{store} {name}: {found.total:.1f} transactions{wire}")

    async def stored(self) -> None:
        arguments, works = self.arguments, []
        if "sqlite" in self.stores:
            works.append(stored_embedded(arguments.stored, arguments.rounds))
        if "azurite" in self.stores and self.yardstick is not None and arguments.stored_azurite:
            works.append(stored_azurite(arguments.stored_azurite, FLOOR_COUNT, self.yardstick))
        for work in works:
            found = await self.sitting.attempt("many finished instances stored", work)
            if found is not None:
                self.sitting.stored.append(found)
                _say(f"{found.store}, {found.finished} stored: {found.ratio:.2f}")

    async def memory(self) -> None:
        sizes = memory.Sizes()
        found = await self.sitting.attempt("memory growth", memory.growth("sqlite", sizes))
        if found is not None:
            self.sitting.growth = found[0]
            self.sitting.curves.append(found[1])
            _say(f"memory: {found[0].first_mib:.1f} MiB, later {found[0].last_mib:.1f} MiB")
        for measured in (memory.pending, memory.wide, memory.payloads):
            name = f"memory with {measured.__name__}"
            curve = await self.sitting.attempt(name, measured("sqlite", sizes))
            if curve is not None:
                self.sitting.curves.append(curve)
                _say(f"{curve.name}: peak {curve.peak_mib:.0f} MiB")

    async def idle(self) -> None:
        """Both at once: idle hosts are not in each other's way."""
        async with asyncio.TaskGroup() as group:
            for store in self.stores:
                if store != "memory":
                    group.create_task(self._idle(store))

    async def _idle(self, store: str) -> None:
        found = await self.sitting.attempt(f"idle host on {store}", idle(store))
        if found is not None:
            self.sitting.idle.append(found)
            _say(str(found))

    async def workers(self) -> None:
        for store in self.stores:
            if store == "memory":  # which cannot be shared
                continue
            work = scale(store, self.arguments.rounds)
            found = await self.sitting.attempt(f"two workers on {store}", work)
            for each in found or ():
                self.sitting.scales.append(each)
                _say(f"{each.store} {each.workload}: {each.ratio:.2f} with two workers")

    async def cold(self) -> None:
        sitting = self.sitting
        for number in range(2 * self.arguments.rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                fresh = host.Store("sqlite", f"embedded:{folder}/cold.db")
                cold_s = await sitting.attempt("cold start", host.cold_start(fresh))
            import_s = await host.importing("import azure.functions")
            both_s = await host.importing("import azure.functions, azure.durable_functions")
            if cold_s is not None and number:  # the first one fills caches
                sitting.cold_s.append(cold_s)
                sitting.import_s.append(import_s)
                sitting.durable_import_s.append(both_s)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = parser_of_arguments()
    arguments = parser.parse_args()
    sitting = asyncio.run(Run(arguments).all())
    _say(targets_as_table(sitting))
    for failure in sitting.failures:
        _say(f"failed: {failure}")
    if arguments.write:
        arguments.write.parent.mkdir(exist_ok=True)
        write(sitting, arguments.write, command(parser, arguments))
    return 1 if sitting.failures else 0


if __name__ == "__main__":
    sys.exit(main())
