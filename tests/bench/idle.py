"""What a host does that has nothing to do, and how soon it sees work."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from tests.bench import host, load, seeding
from tests.bench.counts import counting
from tests.bench.workloads import BY_NAME

QUIET_S = 30
"""After the last work, before anything is measured."""
WINDOW_S = 30
POLLING_SETTING_S = 30.0
"""maxQueuePollingInterval's default; the app does not set it."""
PICKED_UP_LIMIT_S = POLLING_SETTING_S + 10


@dataclass(frozen=True)
class Idle:
    """Storage calls and CPU of an idle host; seconds until the end of one chain-3 put by others and by itself."""

    store: str
    calls_per_s: float
    cpu_share: float
    foreign_s: float
    own_s: float


async def idle(kind: str) -> Idle:
    """About a minute, and up to half a minute more."""
    async with host.store(kind) as fresh, counting(fresh) as counted:
        running = counted.host
        await load.warm_up(running.base, BY_NAME["chain-3"])
        await asyncio.sleep(QUIET_S)
        before, cpu = (await counted.calls()).total(), running.cpu()[0]
        await asyncio.sleep(WINDOW_S)
        calls, used = (await counted.calls()).total() - before, running.cpu()[0] - cpu
        own_s = (await load.run(running.base, BY_NAME["chain-3 one at a time"].times(1))).seconds
        await asyncio.sleep(QUIET_S)
        return Idle(
            store=kind,
            calls_per_s=calls / WINDOW_S,
            cpu_share=used / WINDOW_S,
            foreign_s=await _foreign(fresh, running.base),
            own_s=own_s,
        )


async def _foreign(on: host.Store, base: str) -> float:
    async with seeding.beside(on) as other:
        began = time.perf_counter()
        instance = await other.client.start("chain", input=json.dumps(json.dumps({"n": 3})))
        async with asyncio.timeout(PICKED_UP_LIMIT_S):
            await load.until_completed(base, instance)
        return time.perf_counter() - began
