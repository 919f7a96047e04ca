"""A seed is a whole story: hosts, their work, and everything that goes wrong. Told in virtual time, checked, shrunk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from emulator.testing.faults import CRASHES, Call, Fault, Plan
from emulator.testing.virtual_loop import run_virtually
from tests.sim.scenarios import BY_NAME, QUICK, SCENARIOS
from tests.sim.world import Host, World, random_latency

RATES = (0.0, 0.002, 0.01, 0.03)
"""How likely a call is to fail, while anything fails."""
STORM_S = (20.0, 150.0)
"""How long things go wrong."""
RESTART_S = (0.5, 25.0)
SHRINK_RUNS_MAX = 250
BY_BLOBS = 0.25
"""Share of the stories whose hosts deal out their control queues by leases on blobs."""
HEAVY = frozenset({"large", "large-eternal"})
"""Told less often: they take ten times as long."""


@dataclass(frozen=True, slots=True)
class Play:
    """An instance that is started."""

    at: float
    number: int
    scenario: str
    from_outside: bool

    @property
    def instance(self) -> str:
        return f"i{self.number}-{self.scenario}"

    def __str__(self) -> str:
        where = "from outside" if self.from_outside else "at a host"
        return f"{self.at:6.2f}s {self.instance} is started {where}"


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that happens to a host: kill, stop (SIGTERM) or pause (SIGSTOP)."""

    at: float
    what: str
    slot: int
    lasts: float

    def __str__(self) -> str:
        return f"{self.at:6.2f}s {self.what} host {self.slot} for {self.lasts:.1f}s"


@dataclass(frozen=True, slots=True)
class Failure:
    """A fault at one call of one process (by the order of their starts)."""

    process: int
    call: int
    fault: Fault
    what: str = ""

    def __str__(self) -> str:
        return f"process {self.process}, call {self.call} ({self.what}): {self.fault}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happens. `failures` None: drawn from the seed as calls are made."""

    seed: int
    skews: tuple[float, ...]
    """Seconds by which each host's clock is wrong; one for each host."""
    is_quick: bool = False
    storm_s: float = 60.0
    rate: float = 0.0
    kinds: tuple[Fault, ...] = ()
    plays: tuple[Play, ...]
    blows: tuple[Blow, ...] = ()
    failures: tuple[Failure, ...] | None = None
    by_blobs: bool = False
    """Whether control queues are dealt out by leases on blobs, and not by a table."""

    def __str__(self) -> str:
        head = f"seed {self.seed}: {len(self.skews)} hosts, clocks wrong by {self.skews}, "
        head += f"{'quick' if self.is_quick else 'usual'} time-outs, "
        head += f"leases {'on blobs' if self.by_blobs else 'in a table'}"
        items = [*self.plays, *self.blows, *(self.failures or ())]
        return "\n  ".join([head, *map(str, items)])


@dataclass
class Outcome:
    """How a story ended."""

    story: Story
    violations: Sequence[str]
    calls: int
    commits: int
    virtual_s: float
    fired: tuple[Failure, ...]
    digest: int = 0


def imagine(seed: int) -> Story:
    """The story of a seed."""
    chance = random.Random(seed)
    hosts = chance.choice((1, 2, 2, 3, 4))
    storm_s = chance.uniform(*STORM_S)
    return Story(
        seed=seed,
        skews=tuple(round(chance.choice((0.0, chance.uniform(-15, 15))), 1) for _ in range(hosts)),
        is_quick=chance.random() < 0.5,
        storm_s=storm_s,
        rate=chance.choice(RATES),
        kinds=tuple(f for f in Fault if chance.random() < 0.6),
        plays=tuple(_imagine_plays(chance, storm_s)),
        blows=tuple(_imagine_blows(chance, hosts, storm_s)),
        by_blobs=chance.random() < BY_BLOBS,
    )


def _imagine_plays(chance: random.Random, storm_s: float) -> Iterator[Play]:
    for number in range(chance.randint(2, 7)):
        name = chance.choice(SCENARIOS).name
        if name in HEAVY and chance.random() < 0.8:
            name = "chain"
        at = round(chance.uniform(0, storm_s / 2), 2)
        yield Play(at, number, name, chance.random() < 0.3)


def _imagine_blows(chance: random.Random, hosts: int, storm_s: float) -> Iterator[Blow]:
    for _ in range(chance.randint(0, 4)):
        what = chance.choice(("kill", "kill", "stop", "pause"))
        lasts = chance.uniform(10, 100) if what == "pause" else chance.uniform(*RESTART_S)
        yield Blow(round(chance.uniform(0, storm_s), 2), what, chance.randrange(hosts), lasts)


def tell(story: Story) -> Outcome:
    """Let it happen."""
    return run_virtually(_Teller(story).tell())


@dataclass
class _Teller:
    story: Story
    fired: list[Failure] = field(default_factory=list)
    is_calm: bool = False
    is_over: bool = False

    async def tell(self) -> Outcome:
        story = self.story
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            hub: dict[str, object] = {**(QUICK if story.is_quick else {})}
            hub["use_table_partition_management"] = not story.by_blobs
            world = World(group, story.seed, **hub)
            with world.checkers.listening():
                slots = [_Slot(self, world, number) for number in range(len(story.skews))]
                for slot in slots:
                    group.create_task(slot.live(), name=f"slot {slot.number}")
                for blow in story.blows:
                    group.create_task(self._strike(slots[blow.slot], blow), name="blow")
                plays = [
                    group.create_task(self._play(world, play), name=play.instance)
                    for play in story.plays
                ]
                await asyncio.sleep(story.storm_s)
                self.is_calm = True
                await asyncio.wait(plays or [group.create_task(asyncio.sleep(0))])
                await world.settle()
                await world.check()
                self.is_over = True
                for slot in slots:
                    slot.wake.set()
                await world.finish()
        return Outcome(
            story=story,
            violations=world.checkers.violations,
            calls=sum(host.injector.count for host in world.hosts),
            commits=world.checkers.commits,
            virtual_s=loop.time(),
            fired=tuple(self.fired),
            digest=world.checkers.digest,
        )

    async def _play(self, world: World, play: Play) -> None:
        await asyncio.sleep(play.at)
        scenario = BY_NAME[play.scenario]
        try:
            await world.play(scenario, play.instance, from_outside=play.from_outside)
        except TimeoutError:
            world.checkers.fail(f"{play.instance}: could not be steered to its end")

    async def _strike(self, slot: _Slot, blow: Blow) -> None:
        await asyncio.sleep(blow.at)
        host = slot.host
        if host is None or self.is_over:
            return
        match blow.what:
            case "kill":
                slot.pause_s = blow.lasts
                slot.world.kill(host)
            case "stop":
                slot.pause_s = blow.lasts
                host.stop.set()
            case _:
                host.injector.running.clear()
                await asyncio.sleep(blow.lasts)
                host.injector.running.set()

    def plan(self, process: int) -> Plan:
        """What goes wrong with the calls of the next process."""
        if self.story.failures is not None:
            explicit = {
                (failure.process, failure.call): failure.fault for failure in self.story.failures
            }
            return lambda call: self._fire(process, call, explicit.get((process, call.number)))
        chance = random.Random(self.story.seed * 1000 + process)
        return lambda call: self._fire(process, call, self._draw(chance, call))

    def _draw(self, chance: random.Random, call: Call) -> Fault | None:
        if self.is_calm or chance.random() >= self.story.rate:
            return None
        kinds = [kind for kind in self.story.kinds if call.can_have(kind)]
        if not kinds:
            return None
        fault = chance.choice(kinds)
        if fault in CRASHES and chance.random() < 0.7:
            return None
        return fault

    def _fire(self, process: int, call: Call, fault: Fault | None) -> Fault | None:
        if fault is not None:
            what = f"{call.operation} {call.target}"
            self.fired.append(Failure(process, call.number, fault, what))
        return fault


class _Slot:
    """A machine: it runs one process after the other."""

    def __init__(self, teller: _Teller, world: World, number: int) -> None:
        self.number = number
        self.world = world
        self.host: Host | None = None
        self.pause_s = 1.0
        self.wake = asyncio.Event()
        self._teller = teller

    async def live(self) -> None:
        lives = 0
        while not self._teller.is_over:
            process = self.world.starts + 1
            seed = self._teller.story.seed
            self.host = self.world.start_host(
                f"h{self.number}.{lives}",
                self._teller.plan(process),
                latency=random_latency(seed * 77 + process),
                skew_s=self._teller.story.skews[self.number],
            )
            lives += 1
            await self.host.ended.wait()
            try:
                async with asyncio.timeout(self.pause_s):
                    await self.wake.wait()
            except TimeoutError:
                self.pause_s = 1.0


# --- shrinking ----------------------------------------------------------------------------------------------------


def shrink(outcome: Outcome, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """A story that still fails, with as little in it as can be found in a bounded number of runs."""
    best = tell(replace(outcome.story, failures=outcome.fired))
    if not best.violations:
        say("the run with its failures written down does not fail; the seed is the whole story")
        return outcome
    runs = 1
    size = max(1, len(_items(best.story)) // 2)
    while size >= 1 and runs < SHRINK_RUNS_MAX:
        place = 0
        while place < len(_items(best.story)) and runs < SHRINK_RUNS_MAX:
            tried = tell(_without(best.story, place, size))
            runs += 1
            if tried.violations:
                best = tried
            else:
                place += size
        size //= 2
    return best


def _items(story: Story) -> list[Play | Blow | Failure]:
    return [*story.plays, *story.blows, *(story.failures or ())]


def _without(story: Story, place: int, size: int) -> Story:
    left = _items(story)
    del left[place : place + size]
    return replace(
        story,
        plays=tuple(item for item in left if isinstance(item, Play)),
        blows=tuple(item for item in left if isinstance(item, Blow)),
        failures=tuple(item for item in left if isinstance(item, Failure)),
    )
