"""Takes sessions that have messages, runs their episodes and commits them.

Load, judge, replay, decide, checkpoint. Only the outermost call catches everything: user code never gets that far,
so what arrives there is the store's failure, another worker's commit, or a defect of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from emulator.core.episode import (
    Closed,
    Continued,
    EpisodeSettings,
    Execution,
    begin,
    decide,
)
from emulator.core.events import ExecutionStarted, ExecutionTerminated, GenericEvent
from emulator.core.ids import ExecutionId
from emulator.core.inbox import Arrival, Judge, Verdict, in_order, judge_start
from emulator.core.instant import TICKS_PER_SECOND
from emulator.core.messages import OutboundMessage
from emulator.engine.clock import Clock, IdSource
from emulator.engine.courier import Courier
from emulator.engine.mending import mend
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.ports import OrchestratorExecution, OrchestratorRunner
from emulator.engine.session import Loaded, Session
from emulator.errors import (
    DecodeError,
    EtagMismatchError,
    NotFoundError,
    PayloadTooLargeError,
    StorageError,
)
from emulator.hub.checkpoint import Checkpoint, commit
from emulator.hub.message_queue import InHand
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger
from emulator.wire import instance_row

_log = get_logger(__name__)
RETRY_DELAY_S: Final = 1.0
"""Pause before a session is tried again after the store failed."""


class OrchestrationWorker:
    """Runs episodes for all partitions of one engine."""

    def __init__(
        self,
        hub: TaskHub,
        runner: OrchestratorRunner,
        courier: Courier,
        settings: EpisodeSettings,
        *,
        clock: Clock,
        ids: IdSource,
        outage: Outage,
    ) -> None:
        """Ready to be given sessions."""
        self._hub = hub
        self._runner = runner
        self._courier = courier
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._outage = outage

    async def handle(self, loop: PartitionLoop, session: Session) -> None:
        """Work on what has arrived for a session."""
        session.queued = False
        session.busy = True
        batch = session.take_all()
        try:
            await self._handle_batch(loop, session, batch)
            self._outage.worked("committing")
        except EtagMismatchError as error:
            await self._lost(loop, session, batch, error)
        except DecodeError as error:
            await self._unreadable(loop, session, batch, error)
        except StorageError as error:
            self._postpone(loop, session, batch, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the partition
            _log.exception(
                "working on instance %r failed; its messages go back to the queue",
                session.instance,
                exc_info=error,
                extra=fields("episode_failed", instance_id=session.instance),
            )
            session.forget()
            await self._abandon(loop, batch)
        finally:
            session.busy = False
            if session.inbox:
                loop.schedule(session)
            else:
                loop.sessions.release(session)

    # --- failures ---------------------------------------------------------------------------------------------

    async def _lost(
        self, loop: PartitionLoop, session: Session, batch: Sequence[InHand], error: Exception
    ) -> None:
        _log.warning(
            "another worker has committed instance %r meanwhile; what was done here is dropped (%s)",
            session.instance,
            error,
            extra=fields("split_brain", instance_id=session.instance),
        )
        session.forget()
        await self._abandon(loop, batch)

    async def _unreadable(
        self, loop: PartitionLoop, session: Session, batch: Sequence[InHand], error: DecodeError
    ) -> None:
        _log.error(
            "the history of instance %r cannot be read, so nothing of it is touched: %s",
            session.instance,
            error,
            extra=fields("history_unreadable", instance_id=session.instance),
        )
        session.forget()
        await self._abandon(loop, batch)

    def _postpone(
        self, loop: PartitionLoop, session: Session, batch: Sequence[InHand], error: StorageError
    ) -> None:
        """Try the same messages again after a pause, from what the store holds by then."""
        self._outage.failed("committing", error)
        session.forget()
        held = [in_hand for in_hand in batch if loop.custody.holds(in_hand)]
        session.inbox.extendleft(reversed(held))
        session.queued = True
        asyncio.get_running_loop().call_later(RETRY_DELAY_S, _requeue, loop, session)

    async def _abandon(self, loop: PartitionLoop, batch: Sequence[InHand]) -> None:
        for in_hand in batch:
            if not loop.custody.holds(in_hand):
                continue
            try:
                await loop.queue.abandon(in_hand)
            except StorageError as error:
                self._outage.failed("giving messages back", error)
            loop.custody.drop(in_hand)

    # --- one batch --------------------------------------------------------------------------------------------

    async def _handle_batch(
        self, loop: PartitionLoop, session: Session, batch: Sequence[InHand]
    ) -> None:
        ordered = [in_hand for in_hand, _ in in_order((m, m.arrival()) for m in batch)]
        while ordered:
            loaded = await self._loaded(session, ordered)
            part, ordered = _split(loaded, ordered)
            await self._handle_part(loop, session, loaded, part)

    async def _loaded(self, session: Session, messages: Sequence[InHand]) -> Loaded:
        """The session's history: as it is known, or read if it is not or may have been changed by a rewind."""
        rewound = any(isinstance(m.message.event, GenericEvent) for m in messages)
        if session.loaded is not None and not rewound:
            return session.loaded
        session.forget()
        stored = await self._hub.history.load(session.instance)
        execution = Execution(self._settings, stored.events)
        session.loaded = Loaded(execution, stored.etag, stored.blobs)
        return session.loaded

    async def _handle_part(
        self, loop: PartitionLoop, session: Session, loaded: Loaded, part: Sequence[InHand]
    ) -> None:
        accepted: list[InHand] = []
        discarded: list[InHand] = []
        deferred: list[InHand] = []
        places = {
            Verdict.ACCEPT: accepted,
            Verdict.DISCARD: discarded,
            Verdict.DEFER: deferred,
        }
        execution = _execution_for(loaded, part, self._settings)
        judge = Judge(execution.state, is_entity=False)
        for in_hand in part:
            verdict = await self._judge(in_hand, execution, judge)
            places[verdict].append(in_hand)
        if accepted:
            await self._run_episode(loop, session, loaded, execution, accepted)
        elif discarded:
            await self._nothing_accepted(session, loaded, discarded)
        await self._discard(loop, discarded)
        await self._abandon(loop, deferred)

    async def _judge(self, in_hand: InHand, execution: Execution, judge: Judge) -> Verdict:
        if execution.state.is_terminal:
            return Verdict.DISCARD
        arrival = in_hand.arrival()
        event = in_hand.message.event
        if isinstance(event, ExecutionStarted) and event.parent is None and not in_hand.known_row:
            verdict = await self._judge_start(arrival)
            if verdict is not Verdict.ACCEPT:
                return verdict
        return judge.judge(arrival)

    async def _judge_start(self, arrival: Arrival) -> Verdict:
        """A start counts only if the Instances row agrees that it is the current one."""
        instance = arrival.message.target.instance_id
        row = await self._hub.instances.get(instance, payloads=False)
        timeout = self._hub.settings.control_queue_visibility_timeout
        ticks = int(timeout.total_seconds()) * TICKS_PER_SECOND
        return judge_start(arrival, row, visibility_timeout_ticks=ticks)

    async def _discard(self, loop: PartitionLoop, messages: Sequence[InHand]) -> None:
        for in_hand in messages:
            _log.debug(
                "discarded a message for instance %r",
                in_hand.message.target.instance_id,
                extra=fields("message_discarded", message=type(in_hand.message.event).__name__),
            )
        await loop.queue.delete_all(messages)
        for in_hand in messages:
            loop.custody.drop(in_hand)

    async def _nothing_accepted(
        self, session: Session, loaded: Loaded, discarded: Sequence[InHand]
    ) -> None:
        """Terminate what never started; mend the Instances row of what a crash has left behind."""
        state = loaded.execution.state
        if state.started is None:
            await self._terminate_unstarted(session, discarded)
        elif loaded.fresh:
            await mend(self._hub, session.instance, state, loaded.execution, self._clock.now())
        if state.is_terminal or state.started is None:
            session.forget()

    async def _terminate_unstarted(self, session: Session, discarded: Sequence[InHand]) -> None:
        for in_hand in discarded:
            event = in_hand.message.event
            if isinstance(event, ExecutionTerminated):
                columns = instance_row.terminated_columns(event, self._clock.now())
                try:
                    await self._hub.instances.merge(session.instance, columns)
                except NotFoundError:
                    return

    # --- one episode ------------------------------------------------------------------------------------------

    async def _run_episode(
        self,
        loop: PartitionLoop,
        session: Session,
        loaded: Loaded,
        execution: Execution,
        accepted: Sequence[InHand],
    ) -> None:
        is_new = execution is not loaded.execution
        if is_new:
            loaded.close()
            loaded.execution = execution
        events = [in_hand.message.event for in_hand in accepted]
        before = begin(execution, events, self._clock.now())
        final, closed, outbox = self._decide(loaded, before)
        await self._commit(loop, session, loaded, final, closed, outbox, accepted)
        for in_hand in accepted:
            loop.custody.drop(in_hand)
        if final.state.is_terminal:
            session.forget()

    def _decide(
        self, loaded: Loaded, before: int
    ) -> tuple[Execution, Closed, list[OutboundMessage]]:
        """Run the orchestrator until it rests, through as many executions as it continues into."""
        execution = loaded.execution
        outbox: list[OutboundMessage] = []
        while True:
            turn = self._runner_of(loaded, execution).advance(execution.feed.events)
            outcome = decide(
                execution,
                turn,
                now=self._clock.now(),
                new_execution_id=self._ids.hex32,
                before=before,
            )
            outbox.extend(outcome.outbox)
            if isinstance(outcome, Closed):
                _warn_of_deviation(execution, outcome)
                return execution, outcome, outbox
            execution = self._follow(loaded, outcome)
            before = 0

    def _follow(self, loaded: Loaded, continued: Continued) -> Execution:
        loaded.close()
        loaded.execution = continued.execution
        return continued.execution

    def _runner_of(self, loaded: Loaded, execution: Execution) -> OrchestratorExecution:
        if loaded.runner is None:
            started = execution.state.started
            loaded.runner = self._runner.open(started.name if started else "")
        return loaded.runner

    async def _commit(
        self,
        loop: PartitionLoop,
        session: Session,
        loaded: Loaded,
        execution: Execution,
        closed: Closed,
        outbox: Sequence[OutboundMessage],
        accepted: Sequence[InHand],
    ) -> None:
        state = execution.state
        started = state.started
        assert started is not None
        first = len(state.events) - len(closed.new_rows)
        parcel = self._courier.parcel(outbox, sender=started.instance, episode=state.episode)
        checkpoint = Checkpoint(
            instance=session.instance,
            execution=started.instance.execution_id or ExecutionId(""),
            events=closed.new_rows,
            first=first,
            etag=loaded.etag,
            custom_status=closed.custom_status,
            replaced_blobs=loaded.blobs if first == 0 else (),
            inbox=accepted,
        )
        try:
            appended = await commit(self._hub, loop.queue, checkpoint, parcel, self._clock.now())
        except PayloadTooLargeError as error:
            raise StorageError(
                f"an episode of {session.instance!r} is too large to be stored: {error}"
            ) from error
        loaded.etag = appended.etag
        loaded.blobs = appended.blobs if first == 0 else (*loaded.blobs, *appended.blobs)
        loaded.fresh = False
        parcel.hand_over()


def _requeue(loop: PartitionLoop, session: Session) -> None:
    session.queued = False
    loop.schedule(session)


def _split(loaded: Loaded, ordered: list[InHand]) -> tuple[list[InHand], list[InHand]]:
    """Cut a batch before a start that begins another execution than the messages before it."""
    for index, in_hand in enumerate(ordered):
        if index and _starts_other(loaded, in_hand):
            return ordered[:index], ordered[index:]
    return ordered, []


def _starts_other(loaded: Loaded, in_hand: InHand) -> bool:
    event = in_hand.message.event
    if not isinstance(event, ExecutionStarted):
        return False
    return event.instance.execution_id != loaded.execution.state.execution_id


def _execution_for(loaded: Loaded, part: Sequence[InHand], settings: EpisodeSettings) -> Execution:
    """The execution that a batch is for: the current one, or a new one if the batch begins with its start."""
    current = loaded.execution
    if current.state.started is not None and _starts_other(loaded, part[0]):
        return Execution(settings)
    return current


def _warn_of_deviation(execution: Execution, closed: Closed) -> None:
    if closed.deviation is None:
        return
    started = execution.state.started
    _log.warning(
        "%s: %s",
        started.instance.instance_id if started else "",
        closed.deviation.message,
        extra=fields("parity_warning", rule=str(closed.deviation.rule)),
    )
