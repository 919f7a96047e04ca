"""What goes wrong, at random: with one host, with its connection, or with the store."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from azurite import Azurite
from emulator.engine.clock import Clock
from tests.chaos.hosts import RESTART_S, Slot
from tests.support.severed import Way

LEASE_S = 30.0
PAST_THE_LEASE_S = (LEASE_S + 5, LEASE_S + 20)
SHORTLY_S = (0.0, 15.0)
EVERY_S = (2.0, 8.0)
WRITES_WITHIN_S = 60.0
"""How long Azurite may take to write its data when it is told to end."""
KILL, STOP, HOLD_UP, CUT, OUTAGE, FREEZE = "kill", "stop", "hold up", "cut", "outage", "freeze"
WEIGHTS = {KILL: 6, STOP: 1, HOLD_UP: 2, CUT: 3, OUTAGE: 2, FREEZE: 1}
"""What happens, and how often beside the others."""
FIRST = (HOLD_UP, OUTAGE, KILL, CUT)
"""So that the shortest run has some of each."""


class Trouble:
    """Falls upon hosts and their server, until it is cancelled or its time is over."""

    def __init__(
        self, slots: Sequence[Slot], server: Azurite, clock: Clock, chance: random.Random
    ) -> None:
        self._slots = slots
        self._server = server
        self._clock = clock
        self._chance = chance
        self._is_server_troubled = False
        self.counts: Counter[str] = Counter()
        self.over_at: list[float] = []
        """When troubles ended that no instance has ended after."""

    async def rage(self, seconds: float) -> None:
        """One thing after the other, and several at once; over when everything is back."""
        end = self._clock.monotonic() + seconds
        ahead = list(FIRST)
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        async with asyncio.TaskGroup() as group:
            while self._clock.monotonic() < end:
                await asyncio.sleep(self._chance.uniform(*EVERY_S))
                what = ahead[0] if ahead else self._chance.choices(kinds, weights)[0]
                struck = self._begin(what)
                if struck is not None:
                    group.create_task(struck, name=what)
                    del ahead[:1]

    def _begin(self, what: str) -> Coroutine[Any, Any, None] | None:
        """What is to happen; None if whatever it could befall is in trouble already."""
        if what in (OUTAGE, FREEZE):
            return None if self._is_server_troubled else self._strike_server(what)
        calm = [slot for slot in self._slots if not slot.is_troubled]
        return self._strike(self._chance.choice(calm), what) if calm else None

    async def _strike(self, slot: Slot, what: str) -> None:
        self.counts[what] += 1
        slot.is_troubled = True
        if what == CUT:
            await self._cut(slot)
        elif what == HOLD_UP:
            slot.loses_its_store()
            await slot.hold_up(self._chance.uniform(*PAST_THE_LEASE_S))
        else:
            await (slot.close() if what == KILL else slot.stop())
            await asyncio.sleep(RESTART_S)
            await slot.start()
        slot.is_troubled = False
        self.over_at.append(self._clock.monotonic())

    async def _cut(self, slot: Slot) -> None:
        """For no time at all, for a moment, or past the lease."""
        slot.loses_its_store()
        way = self._chance.choice(list(Way))
        lengths = (0.0, self._chance.uniform(*SHORTLY_S), self._chance.uniform(*PAST_THE_LEASE_S))
        await slot.connection.lose(way)
        await asyncio.sleep(self._chance.choice(lengths))
        await slot.connection.restore()

    async def _strike_server(self, what: str) -> None:
        self.counts[what] += 1
        self._is_server_troubled = True
        for slot in self._slots:
            slot.loses_its_store()
        await (self._outage() if what == OUTAGE else self._freeze())
        self._is_server_troubled = False
        self.over_at.append(self._clock.monotonic())

    async def _outage(self) -> None:
        await self._server.stop(patience_s=WRITES_WITHIN_S)
        await asyncio.sleep(self._chance.uniform(*SHORTLY_S))
        await self._server.start()

    async def _freeze(self) -> None:
        """What was sent meanwhile has its effect afterwards, when whoever sent it has given up."""
        pid = self._server.pid
        assert pid is not None
        seconds = self._chance.uniform(*self._chance.choice((SHORTLY_S, PAST_THE_LEASE_S)))
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
