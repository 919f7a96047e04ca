"""The promises, checked apart from the workload: while effects happen at the store, and when everything is at rest."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from bindings.orchestration_trigger import OrchestratorFunction, Orchestrators
from bindings.registry import Registry
from emulator.compose import context_settings
from emulator.core.episode import EpisodeSettings, Execution
from emulator.core.events import ExecutionCompleted, HistoryEvent
from emulator.core.nondeterminism import NonDeterminismError
from emulator.core.partition import partition_of
from emulator.core.replay import Replay, Rules
from emulator.core.state import answered_task
from emulator.core.status import RuntimeStatus
from emulator.engine.client import HubClient
from emulator.engine.clock import Clock
from emulator.errors import DecodeError, NotFoundError
from emulator.host.binding_api import TriggerKind
from emulator.host.indexing import load_app
from emulator.hub.task_hub import TaskHub
from emulator.settings import AppSettings, HubSettings
from emulator.storage.pages import all_rows
from emulator.storage.ports import RowPage, Storage, Write, WriteKind
from emulator.testing.faults import Effect, HostDiedError
from emulator.wire.keys import SENTINEL, unescape
from emulator.wire.lease import decode_partition
from tests.sim import app as app_package
from tests.sim import effects
from tests.sim.scenarios import Scenario, firsts

ROOT = Path(app_package.__path__[0])
OWNER_GRACE_S = 100.0
"""How long an episode that began before the partition was lost may be under way: two slow calls."""
ANSWERS = {
    "TaskCompleted": "TaskScheduledId",
    "TaskFailed": "TaskScheduledId",
    "SubOrchestrationInstanceCompleted": "TaskScheduledId",
    "SubOrchestrationInstanceFailed": "TaskScheduledId",
    "TimerFired": "TimerId",
}


class AtRest(Protocol):
    """What is looked at when everything is at rest (sim.world.World, and a real account)."""

    storage: Storage
    hub: TaskHub
    client: HubClient
    effects: effects.World
    steered: dict[str, Scenario]


@dataclass
class _Shadow:
    """What the store must hold of one instance."""

    execution: object = None
    committed: list[dict[str, Any]] = field(default_factory=list)
    unfinished: dict[int, dict[str, Any]] = field(default_factory=dict)


class Checkers:
    """Collects violations; `violations` is empty as long as every promise is kept."""

    def __init__(self, clock: Clock, partitions: int, *, may_repeat: bool = False) -> None:
        """`may_repeat`: whoever signals does so again when an answer gets lost, and so may a host that dies."""
        self._may_repeat = may_repeat
        self.violations: list[str] = []
        self._clock = clock
        self._partitions = partitions
        self._shadows: dict[str, _Shadow] = defaultdict(_Shadow)
        self._rewound: set[str] = set()
        self._raised: Counter[tuple[str, str | None]] = Counter()
        self._owns: dict[int, dict[str, bool]] = defaultdict(dict)
        self._lost_at: dict[tuple[int, str], float] = {}
        self.commits = 0
        self.digest = 0
        """Of all effects and their times: two runs of one seed have the same."""

    def fail(self, text: str) -> None:
        self.violations.append(f"{self._clock.monotonic():.3f}s: {text}")

    # --- told by the world ------------------------------------------------------------------------------------

    def event_raised(self, instance: str, text: str | None) -> None:
        self._raised[instance, text] += 1

    def rewound(self, instance: str) -> None:
        self._rewound |= {instance, f"{instance}-child"}

    def never_at_rest(self, waiting: list[str]) -> None:
        self.fail("never came to rest: " + "; ".join(waiting))

    def host_ended(self, name: str, was_ready: bool, error: BaseException | None) -> None:
        if error is None or not was_ready or _has_died(error):
            return
        self.fail(f"host {name} was ended by an error that is none of its own: {error!r}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Defects of ours are logged, whoever catches them."""
        handler = _Defects(self)
        loggers = [logging.getLogger("emulator"), logging.getLogger("asyncio")]
        before = [(logger.level, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.WARNING)
            logger.propagate = False
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger, (level, propagate) in zip(loggers, before, strict=True):
                logger.setLevel(level)
                logger.propagate = propagate
                logger.removeHandler(handler)

    # --- at each effect ---------------------------------------------------------------------------------------

    def observer(self, host: str, incarnation: int) -> Callable[[Effect], None]:
        def observe(effect: Effect) -> None:
            call = (
                f"{incarnation} {effect.call.number} {effect.call.operation} {effect.call.target}"
            )
            self.digest = crc32(f"{call} {self._clock.monotonic():.6f}".encode(), self.digest)
            match effect.call.operation, effect.call.target:
                case "transact", "SimHistory":
                    self._history_written(host, incarnation, effect.arguments[0])
                case "query", "SimPartitions":
                    self._leases_read(host, incarnation, effect.result)
                case "write", "SimPartitions":
                    self._lease_written(host, incarnation, effect.arguments[0])
                case "acquire_lease" | "release_lease" as operation, "sim-leases":
                    self._lease_moved(incarnation, effect.arguments[0], operation)
                case _:
                    pass

        return observe

    def _leases_read(self, host: str, incarnation: int, page: RowPage) -> None:
        for row in page.rows:
            lease = decode_partition(row.key.row, row.columns, etag=row.etag)
            self._owner_is(host, incarnation, lease.control_queue, lease.owner)

    def _lease_written(self, host: str, incarnation: int, write: Write) -> None:
        if write.kind is WriteKind.REPLACE:
            lease = decode_partition(write.key.row, write.columns, etag=None)
            self._owner_is(host, incarnation, lease.control_queue, lease.owner)

    def _lease_moved(self, incarnation: int, blob: str, operation: str) -> None:
        """Ownership by blobs: whoever took it last has it, even when it has run out, until another takes it."""
        folder, _, queue = blob.partition("/")
        if folder != "ownership":
            return
        for other in self._owns:
            self._set_owner(other, queue, owns=False)
        self._set_owner(incarnation, queue, owns=operation == "acquire_lease")

    def _owner_is(self, host: str, incarnation: int, queue: str, owner: str | None) -> None:
        self._set_owner(incarnation, queue, owns=owner == host)

    def _set_owner(self, incarnation: int, queue: str, *, owns: bool) -> None:
        if self._owns[incarnation].get(queue) and not owns:
            self._lost_at[incarnation, queue] = self._clock.monotonic()
        self._owns[incarnation][queue] = owns

    def _history_written(self, host: str, incarnation: int, writes: tuple[Write, ...]) -> None:
        if writes[-1].key.row != SENTINEL:
            return
        instance = unescape(writes[0].key.partition)
        self._check_owner(host, incarnation, instance)
        sentinel = writes[-1].columns
        shadow = self._shadows[instance]
        if sentinel["ExecutionId"] != shadow.execution:
            shadow.execution = sentinel["ExecutionId"]
            shadow.committed.clear()
            shadow.unfinished.clear()
        for write in writes[:-1]:
            self._row_written(instance, shadow, write)
        if sentinel["IsCheckpointComplete"]:
            self.commits += 1
            self._append(instance, shadow)

    def _row_written(self, instance: str, shadow: _Shadow, write: Write) -> None:
        place = int(write.key.row, 16)
        if write.columns.get("ExecutionId") != shadow.execution:
            self.fail(f"{instance}: row {place} is not of the execution that the sentinel names")
        if place < len(shadow.committed):
            self.fail(f"{instance}: row {place} was written before: history is append-only")
        if place == len(shadow.committed):
            shadow.unfinished.clear()
        shadow.unfinished[place] = dict(write.columns)

    def _append(self, instance: str, shadow: _Shadow) -> None:
        rows = [shadow.unfinished[place] for place in sorted(shadow.unfinished)]
        first = len(shadow.committed)
        if sorted(shadow.unfinished) != list(range(first, first + len(rows))):
            self.fail(f"{instance}: rows {sorted(shadow.unfinished)} leave a gap after {first}")
        shadow.unfinished.clear()
        shadow.committed.extend(rows)
        self._check_rows(instance, shadow.committed)

    def _check_rows(self, instance: str, rows: list[dict[str, Any]]) -> None:
        answered: Counter[object] = Counter()
        raised: Counter[object] = Counter()
        for row in rows:
            kind = row["EventType"]
            if kind in ANSWERS:
                answered[row[ANSWERS[kind]]] += 1
            elif kind in ("EventRaised", "ExecutionSuspended", "ExecutionResumed"):
                raised[kind, row.get("Name"), row.get("Input"), row["_Timestamp"]] += 1
        if instance not in self._rewound:
            for task_id, count in answered.items():
                if count > 1:
                    self.fail(f"{instance}: task {task_id} has {count} answers")
        for event, count in raised.items():
            if count > 1:
                self.fail(f"{instance}: {str(event)[:120]} happened {count} times")

    def _check_owner(self, host: str, incarnation: int, instance: str) -> None:
        queue = f"sim-control-{partition_of(instance, self._partitions):02d}"
        if self._owns[incarnation].get(queue):
            return
        lost_at = self._lost_at.get((incarnation, queue))
        if lost_at is None or self._clock.monotonic() - lost_at > OWNER_GRACE_S:
            self.fail(f"{instance}: {host} has committed without owning {queue}")

    # --- at rest ----------------------------------------------------------------------------------------------

    async def check_at_rest(self, world: AtRest) -> None:
        for instance, scenario in world.steered.items():
            record = await world.client.get(instance)
            if record is None:
                self.fail(f"{instance}: lost")
            elif record.status is not scenario.status or not scenario.expects(
                record.output, instance
            ):
                self.fail(
                    f"{instance}: ended {record.status} with {(record.output or '')[:200]!r}, "
                    "as no run without faults does"
                )
            if scenario.ledger is not None:
                await self._check_ledger(world, instance, scenario)
            if scenario.orchestrator == "fan_out":
                for n in range(5):
                    if not world.effects.runs[f"{instance}/{n}"]:
                        self.fail(f"{instance}: activity {n} never ran")
        await self._check_rows_at_rest(world)

    async def _check_ledger(self, world: AtRest, instance: str, scenario: Scenario) -> None:
        """In order if an orchestration gave the orders; signals from outside overtake each other."""
        read = await world.client.read_entity("Ledger", instance)
        state = json.loads(read.state or "null") if read is not None else None
        wanted = [*(scenario.ledger or ())]
        held = firsts(state) if self._may_repeat or scenario.repeats else state
        if isinstance(held, list) and not scenario.repeats:
            held, wanted = sorted(held), sorted(wanted)
        if held != wanted:
            self.fail(f"{instance}: its entity holds {state}, not {wanted}")
        record = await world.client.get(f"@ledger@{instance}")
        if record is not None and '"lockedBy"' in (record.input or ""):
            self.fail(f"{instance}: its entity is still locked")

    async def _check_rows_at_rest(self, world: AtRest) -> None:
        async for row in all_rows(world.storage.tables, "SimInstances", None):
            instance = unescape(row.key.partition)
            await self._check_blobs(world, instance, row.columns)
            try:
                await self._check_instance(world, instance)
            except (DecodeError, NotFoundError) as error:
                self.fail(f"{instance}: cannot be read: {error}")
        async for row in all_rows(world.storage.tables, "SimHistory", None):
            await self._check_blobs(world, unescape(row.key.partition), row.columns)

    async def _check_blobs(self, world: AtRest, instance: str, columns: Any) -> None:
        for name, value in columns.items():
            blob = None
            if name.endswith("BlobName"):
                blob = value
            elif isinstance(value, str) and value.startswith("http"):
                blob = world.hub.payloads.name_of(value)
            if (
                blob
                and await world.storage.blobs.download(world.hub.payloads.container, blob) is None
            ):
                self.fail(f"{instance}: {name} refers to the blob {blob}, which does not exist")

    async def _check_instance(self, world: AtRest, instance: str) -> None:
        record = await world.client.get(instance)
        stored = await world.hub.history.load(instance)
        execution = Execution(EpisodeSettings(rules=_rules()), stored.events)
        state = execution.state
        assert record is not None
        if state.started is None:
            self.fail(
                f"{instance}: history has no start: {[type(e).__name__ for e in stored.events]}"
            )
            return
        answers = Counter(answered_task(event) for event in stored.events)
        for task_id, count in answers.items():
            if task_id is not None and count > 1:
                self.fail(f"{instance}: history at rest answers task {task_id} {count} times")
        if state.started.name.startswith("@"):
            if record.execution_id != state.execution_id or record.input != state.started.input:
                self.fail(f"{instance}: the entity's row is behind its history")
            return
        status = self._replay(instance, execution, stored.events)
        projected = (record.status, record.execution_id, record.custom_status)
        wanted = (state.status, state.execution_id, status)
        if projected != wanted:
            self.fail(f"{instance}: its row says {projected}, its history {wanted}")
        if not state.is_terminal:
            self.fail(f"{instance}: never ended, and nothing is on its way that would end it")
        completed = state.completed
        if completed is not None and (record.output or None) != (completed.result or None):
            self.fail(f"{instance}: row and history have different outputs")
        started = state.started
        if (record.name, record.input) != (started.name, started.input):
            self.fail(f"{instance}: row and history have different names or inputs")

    def _replay(
        self, instance: str, execution: Execution, events: tuple[HistoryEvent, ...]
    ) -> str | None:
        """Run the orchestrator over the whole history; returns the custom status."""
        started = execution.state.started
        assert started is not None
        run = _orchestrators().open(started.name)
        feed = execution.feed.events
        completed = execution.state.completed
        fed = [event for event in feed if not isinstance(event, ExecutionCompleted)]
        turn = run.advance(fed)
        run.close()
        replay = Replay(_rules())
        steps = {step.position: step for step in turn.steps}
        try:
            for position, event in enumerate(fed):
                replay.apply(event)
                if position in steps:
                    replay.perform(steps[position].actions)
        except NonDeterminismError as error:
            self.fail(f"{instance}: does not replay: {error}")
        if completed is None and replay.new_decisions():
            self.fail(
                f"{instance}: replay asks for more than was recorded: {replay.new_decisions()}"
            )
        if (
            completed is not None
            and completed.status is RuntimeStatus.COMPLETED
            and turn.outcome.output != completed.result
        ):
            self.fail(f"{instance}: replay ends in another output than the history")
        return turn.outcome.custom_status


class _Defects(logging.Handler):
    """Turns log lines that must not appear into violations."""

    def __init__(self, checkers: Checkers) -> None:
        super().__init__(logging.WARNING)
        self._checkers = checkers

    def emit(self, record: logging.LogRecord) -> None:
        defect = record.name.startswith("asyncio") or getattr(record, "event", "") in (
            "episode_failed",
            "parity_warning",
            "message_unreadable",
            "history_unreadable",
        )
        error = record.exc_info[1] if record.exc_info else None
        if not defect and (error is None or getattr(record, "event", "") == "function_user_error"):
            return
        if isinstance(error, BaseException) and _has_died(error):
            return
        self._checkers.fail(f"log: {record.getMessage()} {error!r}")


def _has_died(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_has_died(inner) for inner in error.exceptions)
    return isinstance(error, HostDiedError) or (
        error.__cause__ is not None and _has_died(error.__cause__)
    )


_cache: dict[str, Any] = {}


def _app() -> Any:
    if "app" not in _cache:
        _cache["app"] = load_app(AppSettings(root=ROOT), Registry())
    return _cache["app"]


def _orchestrators() -> Orchestrators:
    if "orchestrators" not in _cache:
        _cache["orchestrators"] = Orchestrators(
            [
                OrchestratorFunction(name=f.spec.durable_name, handle=f.callable, file="")
                for f in _app().of_kind(TriggerKind.ORCHESTRATION)
            ],
            context_settings(HubSettings()),
        )
    return _cache["orchestrators"]


def _rules() -> Rules:
    return Rules()
