"""How many storage calls a workload takes, by kind: counted at the port, and on the wire if there is a tap."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.testing.counting import EMPTY
from tests.bench import host, load
from tests.bench.peers import Yardstick
from tests.bench.workloads import Workload

SETTLE_S = 2.0
"""Until what follows an answer - deletions, times of instances - has been done."""
LOOK_EVERY_S = 0.02
LOOK_LIMIT_S = 10


@dataclass(frozen=True)
class Counts:
    """Calls for one orchestration; `wire` is the total that a proxy before the store saw, if there was one."""

    workload: Workload
    store: str
    by_kind: dict[str, float]
    wire: float | None

    @property
    def total(self) -> float:
        return sum(self.by_kind.values())


@dataclass(frozen=True)
class Counting:
    """A host that counts."""

    host: host.Running
    file: Path

    async def calls(self) -> Counter[str]:
        """All calls so far."""
        self.file.unlink(missing_ok=True)
        self.host.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(LOOK_LIMIT_S):
            while not self.file.exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_EVERY_S)
        return Counter(json.loads(self.file.read_text()))


@asynccontextmanager
async def counting(on: host.Store) -> AsyncIterator[Counting]:
    """A host on a store that counts its storage calls."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calls.json"
        async with host.serving(on, ("-m", "tests.bench.counted", str(file))) as running:
            yield Counting(running, file)


def work(calls: Counter[str]) -> Counter[str]:
    """Without what depends on time and not on work: polls that found nothing, and leases."""
    return Counter(
        {
            kind: count
            for kind, count in calls.items()
            if kind != EMPTY and not kind.endswith("Partitions") and "lease" not in kind
        }
    )


async def count(workload: Workload, kind: str, yardstick: Yardstick | None) -> Counts:
    """One round of a workload on a fresh host that counts; through the tap if the store is Azurite."""
    async with host.store(kind) as fresh:
        if kind != "azurite" or yardstick is None:
            by_kind, _ = await _count(workload, fresh, None)
            return Counts(workload, kind, by_kind, None)
        async with yardstick.tap(fresh.storage) as (tapped, record):
            by_kind, wire = await _count(workload, replace(fresh, storage=tapped), record)
        return Counts(workload, kind, by_kind, wire)


async def _count(
    workload: Workload, on: host.Store, record: Path | None
) -> tuple[dict[str, float], float]:
    async with counting(on) as counted:
        await load.warm_up(counted.host.base, workload)
        await asyncio.sleep(SETTLE_S)
        before, wire_before = await counted.calls(), _on_wire(record)
        timed = await load.run(counted.host.base, workload)
        await asyncio.sleep(SETTLE_S)
        calls, wire = work(await counted.calls()) - work(before), _on_wire(record) - wire_before
        each = len(timed.each)
        by_kind = {kind: number / each for kind, number in sorted(calls.items())}
        return by_kind, wire / each


def _on_wire(record: Path | None) -> int:
    """Calls in a tap's record, but for those that work() leaves out."""
    if record is None:
        return 0
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    return sum(not _is_idle(line) for line in lines)


def _is_idle(line: dict[str, object]) -> bool:
    url = str(line["url"])
    if "Partitions" in url or "comp=lease" in url:
        return True
    is_receive = line["method"] == "GET" and "/messages" in url
    return is_receive and "<QueueMessage>" not in str(line["reply"])
