"""Runs the batches of entities: load, judge, take operations, run the function, commit.

A batch whose function fails as a whole leaves nothing behind: its messages go back to the queue and come again with
growing delays, each time with a warning. The real product does the same without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from emulator.core.backoff import abandon_delay_s
from emulator.core.calls import (
    BatchFailedError,
    EntityBatch,
    EntityResult,
    every_operation_fails,
)
from emulator.core.entity import EntityRules, Work, receive, rows_of, settle, terminated_rows
from emulator.core.entity_messages import EntityId, is_entity_id
from emulator.core.episode import EpisodeSettings, Execution
from emulator.core.events import (
    EventRaised,
    ExecutionStarted,
    ExecutionTerminated,
    OrchestrationInstance,
)
from emulator.core.ids import ExecutionId
from emulator.core.inbox import Judge, Verdict
from emulator.core.json_text import compact, loads
from emulator.core.parity import Deviation
from emulator.core.state import remembered
from emulator.engine.attendant import Attendant, EpisodeResult
from emulator.engine.clock import Clock, IdSource
from emulator.engine.orchestration_worker import OrchestrationWorker
from emulator.engine.parity_log import warn
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.ports import EntityRunner
from emulator.engine.session import Loaded, Session
from emulator.hub.message_queue import InHand
from emulator.log import fields, get_logger

_log = get_logger(__name__)
OPERATIONS_NAMED_MAX: Final = 5
"""So many operations of a failed batch are named in its warning."""


class EntityWorker:
    """Runs batches for all partitions of one engine."""

    def __init__(
        self,
        runner: EntityRunner,
        attendant: Attendant,
        orchestrations: OrchestrationWorker,
        rules: EntityRules,
        settings: EpisodeSettings,
        *,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        """Ready to be given sessions.

        Args:
            orchestrations: takes instances whose id only looks like an entity's.
        """
        self._runner = runner
        self._attendant = attendant
        self._orchestrations = orchestrations
        self._rules = rules
        self._settings = settings
        self._clock = clock
        self._ids = ids

    async def handle(self, loop: PartitionLoop, session: Session) -> None:
        """Work on what has arrived for a session."""
        await self._attendant.attend(loop, session, self._work)

    async def _work(self, loop: PartitionLoop, session: Session, batch: list[InHand]) -> None:
        loaded = await self._attendant.load(session, batch)
        if not _is_entity(session, loaded, batch):
            await self._orchestrations.work(loop, session, batch)
            return
        accepted, discarded = _judged(loaded, batch)
        if discarded and await self._attendant.is_outdated(session, loaded):
            await self._work(loop, session, batch)
            return
        operations, end = _until_termination(accepted)
        if operations:
            await self._run(loop, session, loaded, operations)
        if end:
            await self._terminate(loop, session, loaded, end[0])
            discarded.extend(end[1:])
        if discarded:
            await self._attendant.mend(session, loaded, _status)
        _warn_of_discarded(session, loaded, discarded)
        await self._attendant.discard(loop, discarded)

    # --- a batch of operations ------------------------------------------------------------------------------------

    async def _run(
        self, loop: PartitionLoop, session: Session, loaded: Loaded, messages: Sequence[InHand]
    ) -> None:
        state = loaded.execution.state
        events = [e for m in messages if isinstance(e := m.message.event, EventRaised)]
        work = receive(state.started, events, now=self._clock.now(), rules=self._rules)
        unreadable = [Deviation.entity_message_unreadable(text) for text in work.unreadable]
        for deviation in unreadable:
            warn(session.instance, deviation)
        batch = work.batch(EntityId.of(session.instance))
        try:
            result = await self._result_of(batch, unreadable)
        except BatchFailedError as error:
            deviation = Deviation.entity_batch_failed(_named(batch), str(error))
            if not self._settings.is_strict:
                await self._give_again(loop, session, messages, deviation)
                return
            warn(session.instance, deviation)
            result = every_operation_fails(batch, compact(deviation.message))
        else:
            _log_failed(session, batch, result)
        await self._commit(loop, session, loaded, work, result, messages)

    async def _result_of(
        self, batch: EntityBatch, unreadable: Sequence[Deviation]
    ) -> EntityResult | None:
        """Run the operations, or fail them, if what came with them would stop the entity on Azure; None for none.

        Raises:
            BatchFailedError: nothing of the batch counts.
        """
        if not batch.operations:
            return None
        if unreadable and self._settings.is_strict:
            return every_operation_fails(batch, compact(unreadable[0].message))
        return await self._runner.run(batch)

    async def _commit(
        self,
        loop: PartitionLoop,
        session: Session,
        loaded: Loaded,
        work: Work,
        result: EntityResult | None,
        messages: Sequence[InHand],
    ) -> None:
        now = self._clock.now()
        settled = settle(
            work,
            result,
            session.instance,
            now=now,
            new_guid=self._ids.guid,
            rules=self._rules,
        )
        execution_id = ExecutionId(self._ids.hex32())
        rows = rows_of(session.instance, execution_id, settled.state, now)
        former = loaded.execution.state
        received = (message.message.event for message in messages)
        handled = remembered(loaded.execution.handled, received)
        loaded.execution = Execution(self._settings, rows, handled)
        episode = EpisodeResult(
            rows=rows,
            outbox=settled.outbox,
            custom_status=settled.custom_status,
            sender=OrchestrationInstance(
                instance_id=session.instance, execution_id=former.execution_id
            ),
            episode=former.episode + 1,
        )
        await self._attendant.commit(loop, session, loaded, episode, messages, _status)

    async def _give_again(
        self,
        loop: PartitionLoop,
        session: Session,
        messages: Sequence[InHand],
        deviation: Deviation,
    ) -> None:
        """Back to the queue, and look there again when they are due."""
        delay_s = max(abandon_delay_s(message.dequeue_count) for message in messages)
        warn(session.instance, deviation, f" Here they are run again in {delay_s} s.")
        await self._attendant.abandon(loop, messages)
        asyncio.get_running_loop().call_later(delay_s, loop.wake)

    # --- the end --------------------------------------------------------------------------------------------------

    async def _terminate(
        self, loop: PartitionLoop, session: Session, loaded: Loaded, message: InHand
    ) -> None:
        event = message.message.event
        state = loaded.execution.state
        assert isinstance(event, ExecutionTerminated)
        assert state.started is not None
        rows = terminated_rows(event, self._clock.now())
        for row in rows:
            state.add(row)
        episode = EpisodeResult(
            rows=rows,
            outbox=(),
            custom_status=Work.of(state.started).scheduler.status(),
            sender=state.started.instance,
            episode=state.episode,
        )
        await self._attendant.commit(loop, session, loaded, episode, [message], _status)


def _is_entity(session: Session, loaded: Loaded, batch: Sequence[InHand]) -> bool:
    """Whether a session with such an id is an entity's: anyone may start an orchestration under it."""
    started = loaded.execution.state.started
    is_started_now = any(isinstance(m.message.event, ExecutionStarted) for m in batch)
    if is_started_now or not is_entity_id(session.instance):
        return False
    return started is None or is_entity_id(started.name)


def _judged(loaded: Loaded, batch: Sequence[InHand]) -> tuple[list[InHand], list[InHand]]:
    judge = Judge(loaded.execution.state, is_entity=True)
    accepted: list[InHand] = []
    discarded: list[InHand] = []
    for in_hand in batch:
        is_accepted = judge.judge(in_hand.arrival()) is Verdict.ACCEPT
        (accepted if is_accepted else discarded).append(in_hand)
    return accepted, discarded


def _until_termination(messages: list[InHand]) -> tuple[list[InHand], list[InHand]]:
    """The messages before a termination, and those from it on."""
    for index, in_hand in enumerate(messages):
        if isinstance(in_hand.message.event, ExecutionTerminated):
            return messages[:index], messages[index:]
    return messages, []


def _status(loaded: Loaded) -> str | None:
    started = loaded.execution.state.started
    return Work.of(started).scheduler.status() if started is not None else None


def _log_failed(session: Session, batch: EntityBatch, result: EntityResult | None) -> None:
    """Tell of operations that failed: a signal has nobody else to tell. Source: reference functions-host.md 5.4."""
    results = result.results if result is not None else ()
    for operation, outcome in zip(batch.operations, results, strict=True):
        if outcome.is_error:
            _log.error(
                "%s: Function '%s (Entity)' failed '%s' operation %s with exception %s.",
                session.instance,
                batch.name,
                operation.name,
                operation.id,
                _error_text(outcome.result),
                extra=fields("operation_failed", instance_id=session.instance),
            )


def _error_text(result: str | None) -> str:
    """The first line of an error, which is JSON if the app's SDK reported it."""
    try:
        text = loads(result or "null")
    except ValueError:
        text = result
    first, _, _ = str(text).partition("\n")
    return first.strip().removesuffix(".")


def _named(batch: EntityBatch) -> str:
    """The operations as a person would look for them."""
    named = [f"'{o.name}' ({o.id})" for o in batch.operations[:OPERATIONS_NAMED_MAX]]
    more = len(batch.operations) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _warn_of_discarded(session: Session, loaded: Loaded, discarded: Sequence[InHand]) -> None:
    """Events that come again have had their effect, and nobody need know."""
    is_over = loaded.execution.state.is_terminal
    discarded = [m for m in discarded if is_over or not isinstance(m.message.event, EventRaised)]
    if not discarded:
        return
    kinds = ", ".join(sorted({type(m.message.event).__name__ for m in discarded}))
    why = (
        "it was terminated; purge the instance to begin anew"
        if is_over
        else "an entity takes operations and its termination, and cannot be suspended, resumed or rewound"
    )
    _log.warning(
        "entity %s: %d message(s) had no effect (%s): %s",
        session.instance,
        len(discarded),
        kinds,
        why,
        extra=fields("message_discarded", instance_id=session.instance),
    )
