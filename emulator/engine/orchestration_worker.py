"""Runs the episodes of orchestrations: load, judge, replay, decide, checkpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from emulator.core.episode import (
    Closed,
    Continued,
    EpisodeSettings,
    Execution,
    answer_again,
    begin,
    decide,
    refuse,
)
from emulator.core.events import (
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
)
from emulator.core.inbox import Judge, Verdict, judge_start
from emulator.core.instance import REPLACED, InstanceRecord
from emulator.core.instant import TICKS_PER_SECOND
from emulator.core.messages import OutboundMessage
from emulator.core.parity import Deviation
from emulator.core.state import RuntimeState
from emulator.core.status import TERMINAL, RuntimeStatus
from emulator.core.versions import is_accepted
from emulator.engine.attendant import Attendant, EpisodeResult
from emulator.engine.clock import Clock, IdSource
from emulator.engine.parity_log import warn
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.ports import OrchestratorExecution, OrchestratorRunner
from emulator.engine.session import Loaded, Session
from emulator.errors import NotFoundError
from emulator.hub.message_queue import InHand
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger
from emulator.settings import VersionFailure
from emulator.wire import instance_row

_log = get_logger(__name__)
ROW_PAUSES_S: Final = (0.01, 0.02, 0.05, 0.1)
"""Between looks for the Instances row of a start that has come for the first time. Ours: the real provider leaves such
a message for a second at once."""
_ENDS: Final = {
    RuntimeStatus.FAILED: (logging.ERROR, "failed with an error"),
    RuntimeStatus.TERMINATED: (logging.WARNING, "was terminated"),
}


@dataclass
class _Judged:
    """What is to become of the messages of a batch, and the execution that takes those that are accepted."""

    execution: Execution
    accepted: list[InHand] = field(default_factory=list[InHand])
    discarded: list[InHand] = field(default_factory=list[InHand])
    deferred: list[InHand] = field(default_factory=list[InHand])


class OrchestrationWorker:
    """Runs episodes for all partitions of one engine."""

    def __init__(
        self,
        hub: TaskHub,
        runner: OrchestratorRunner,
        attendant: Attendant,
        settings: EpisodeSettings,
        *,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        """Ready to be given sessions."""
        self._hub = hub
        self._runner = runner
        self._attendant = attendant
        self._settings = settings
        self._clock = clock
        self._ids = ids

    async def handle(self, loop: PartitionLoop, session: Session) -> None:
        """Work on what has arrived for a session."""
        await self._attendant.attend(loop, session, self.work)

    # --- one batch --------------------------------------------------------------------------------------------

    async def work(self, loop: PartitionLoop, session: Session, batch: list[InHand]) -> None:
        """Run the episodes that a batch of messages asks for (attendant.Work)."""
        ordered = batch
        while ordered:
            loaded = await self._attendant.load(session, ordered)
            part, following = _split(loaded, ordered)
            judged = await self._judge_all(loaded, part)
            is_in_doubt = bool(judged.discarded or judged.deferred)
            if is_in_doubt and await self._attendant.is_outdated(session, loaded):
                continue
            await self._handle_part(loop, session, loaded, judged)
            ordered = following

    async def _judge_all(self, loaded: Loaded, part: Sequence[InHand]) -> _Judged:
        judged = _Judged(execution=loaded.execution)
        places = {
            Verdict.ACCEPT: judged.accepted,
            Verdict.DISCARD: judged.discarded,
            Verdict.DEFER: judged.deferred,
        }
        judge = Judge(judged.execution.state, is_entity=False)
        for in_hand in part:
            if _has_followed(loaded, in_hand):
                verdict = Verdict.DISCARD
            elif judged.execution is loaded.execution and _replaces(loaded, in_hand):
                following = Execution(self._settings)
                judge_of_new = Judge(following.state, is_entity=False)
                verdict = await self._judge(in_hand, loaded, following, judge_of_new, replaces=True)
                if verdict is Verdict.ACCEPT:
                    judged.execution, judge = following, judge_of_new
            else:
                verdict = await self._judge(in_hand, loaded, judged.execution, judge)
            places[verdict].append(in_hand)
        return judged

    async def _handle_part(
        self, loop: PartitionLoop, session: Session, loaded: Loaded, judged: _Judged
    ) -> None:
        execution, accepted = judged.execution, judged.accepted
        if judged.discarded:
            await self._look_back(session, loaded, judged.discarded)
        if accepted and self._is_rejected(execution, accepted):
            await self._attendant.abandon(loop, accepted)
            session.forget()
        elif accepted or loaded.must_run:
            await self._run_episode(loop, session, loaded, execution, accepted)
        elif execution.state.is_terminal or execution.state.started is None:
            session.forget()
        await self._attendant.discard(loop, judged.discarded)
        await self._attendant.abandon(loop, judged.deferred)

    async def _judge(
        self,
        in_hand: InHand,
        loaded: Loaded,
        execution: Execution,
        judge: Judge,
        *,
        replaces: bool = False,
    ) -> Verdict:
        verdict = await self._judge_by_history(in_hand, execution, judge, replaces=replaces)
        if verdict is not Verdict.DISCARD:
            return verdict
        is_ahead = await self._is_ahead_of_start(in_hand, loaded, execution.state)
        return Verdict.DEFER if is_ahead else verdict

    async def _is_ahead_of_start(
        self, in_hand: InHand, loaded: Loaded, state: RuntimeState
    ) -> bool:
        """Whether a message for an instance without a live execution is for one that has not begun yet.

        A start can be overtaken: it stays hidden for a while when the process dies that was to handle it. A row that
        shows another execution at work says that the history is older than the row, or the row older than the history:
        then the history that is known must be looked at again before anything is done because of it.
        """
        if not isinstance(
            in_hand.message.event, EventRaised | ExecutionSuspended | ExecutionResumed
        ):
            return False
        if state.started is not None and not state.is_terminal:
            return False
        instance = in_hand.message.target.instance_id
        row = await self._hub.instances.get(instance, payloads=False)
        if row is None or row.status in TERMINAL or row.execution_id == state.execution_id:
            return False
        if row.status is RuntimeStatus.PENDING:
            return not state.has_followed(row.execution_id)
        loaded.is_current = False
        return state.started is None

    async def _judge_by_history(
        self, in_hand: InHand, execution: Execution, judge: Judge, *, replaces: bool
    ) -> Verdict:
        event = in_hand.message.event
        is_open = not execution.state.is_terminal
        if (
            is_open
            and isinstance(event, ExecutionStarted)
            and _depends_on_row(event, in_hand, replaces)
        ):
            verdict = await self._judge_start(in_hand, replaces=replaces)
            if verdict is not Verdict.ACCEPT:
                return verdict
        return judge.judge(in_hand.arrival())

    async def _judge_start(self, in_hand: InHand, *, replaces: bool) -> Verdict:
        """A start counts only if the Instances row agrees that it is the current one.

        A client writes the row after the message: while it cannot have had the time, the row is looked for again.
        """
        verdict = await self._judge_by_row(in_hand, replaces=replaces)
        for pause_s in ROW_PAUSES_S if in_hand.dequeue_count == 1 else ():
            if verdict is not Verdict.DEFER:
                break
            await asyncio.sleep(pause_s)
            verdict = await self._judge_by_row(in_hand, replaces=replaces)
        return verdict

    async def _judge_by_row(self, in_hand: InHand, *, replaces: bool) -> Verdict:
        instance = in_hand.message.target.instance_id
        row = await self._hub.instances.get(instance, payloads=False)
        in_hand.row = row.etag if row is not None else None
        timeout = self._hub.settings.control_queue_visibility_timeout
        ticks = int(timeout.total_seconds()) * TICKS_PER_SECOND
        return judge_start(
            in_hand.arrival(), row, replaces=replaces, visibility_timeout_ticks=ticks
        )

    async def _look_back(
        self, session: Session, loaded: Loaded, discarded: Sequence[InHand]
    ) -> None:
        """Terminate what never started; mend the Instances row of what a crash has left behind."""
        if loaded.execution.state.started is None:
            await self._terminate_unstarted(session, discarded)
        else:
            await self._attendant.mend(session, loaded, self._custom_status)
        if any(isinstance(in_hand.message.event, ExecutionStarted) for in_hand in discarded):
            await self._answer_again(loaded)

    def _custom_status(self, loaded: Loaded) -> str | None:
        """What only the orchestrator knows: by a replay that decides nothing."""
        started = loaded.execution.state.started
        run = self._runner.open(started.name if started else "")
        try:
            feed = loaded.execution.feed.events
            turn = run.advance([e for e in feed if not isinstance(e, ExecutionCompleted)])
            return turn.outcome.custom_status
        finally:
            run.close()

    async def _answer_again(self, loaded: Loaded) -> None:
        """A parent that died while it started its child starts it again, and has not kept the child's answer."""
        outbox = answer_again(loaded.execution, self._clock.now())
        started = loaded.execution.state.started
        if outbox and started is not None:
            episode = loaded.execution.state.episode
            await self._attendant.send(outbox, sender=started.instance, episode=episode)

    async def _terminate_unstarted(self, session: Session, discarded: Sequence[InHand]) -> None:
        for in_hand in discarded:
            event = in_hand.message.event
            if isinstance(event, ExecutionTerminated):
                row = await self._hub.instances.get(session.instance, payloads=False)
                if row is None:
                    return
                await self._terminate_row(row, event)
                self._attendant.tell_end(session)

    async def _terminate_row(self, row: InstanceRecord, event: ExecutionTerminated) -> None:
        """End an instance by its row alone. Its start will be dropped; the real product would run it.

        Not if another start takes its place at once: then no row is there for the old one any more.
        """
        if row.status is RuntimeStatus.FAILED:
            return  # by strict parity, at a termination before this one
        failure: str | None = None
        if row.status is RuntimeStatus.PENDING and event.reason != REPLACED:
            deviation = Deviation.terminated_start(row.scheduled_start)
            warn(row.instance_id, deviation)
            failure = deviation.failure_of(row.name) if self._settings.is_strict else None
        columns = instance_row.terminated_columns(event, self._clock.now(), failure=failure)
        with suppress(NotFoundError):
            await self._hub.instances.merge(row.instance_id, columns)

    # --- versions ---------------------------------------------------------------------------------------------

    def _is_rejected(self, execution: Execution, accepted: Sequence[InHand]) -> bool:
        """Whether the messages are left to a host that runs this version. Children fail, so that parents go on."""
        if self._hub.settings.version_failure is not VersionFailure.REJECT:
            return False
        events = [in_hand.message.event for in_hand in accepted]
        starts = (event for event in events if isinstance(event, ExecutionStarted))
        started = execution.state.started or next(starts, None)
        if started is None or started.parent is not None or self._runs_version(started):
            return False
        _log.warning(
            "instance %r has version %r, which this host does not run (defaultVersion %r): it stays as it is until "
            "a host takes it that does",
            started.instance.instance_id,
            started.version or "",
            self._hub.settings.default_version or "",
            extra=fields("version_rejected", instance_id=started.instance.instance_id),
        )
        return True

    def _runs_version(self, started: ExecutionStarted | None) -> bool:
        settings = self._hub.settings
        version = started.version if started is not None else None
        return is_accepted(version, settings.default_version, match=settings.version_match)

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
        for in_hand in accepted:
            if in_hand.row is not None:
                loaded.found_row(in_hand.row)
        events = [in_hand.message.event for in_hand in accepted]
        before = begin(execution, events, self._clock.now())
        final, closed, outbox = self._decide(loaded, before)
        await self._attendant.commit(
            loop,
            session,
            loaded,
            _result(final, closed, outbox),
            accepted,
            self._custom_status,
        )
        if final.state.is_terminal:
            _log_end(final.state)
            session.forget()

    def _decide(
        self, loaded: Loaded, before: int
    ) -> tuple[Execution, Closed, list[OutboundMessage]]:
        """Run the orchestrator until it rests, through as many executions as it continues into."""
        execution = loaded.execution
        outbox: list[OutboundMessage] = []
        if not self._runs_version(execution.state.started):
            refused = refuse(execution, now=self._clock.now(), before=before)
            _tell(execution, refused)
            return execution, refused, list(refused.outbox)
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
            _tell(execution, outcome)
            if isinstance(outcome, Closed):
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


def _depends_on_row(start: ExecutionStarted, in_hand: InHand, replaces: bool) -> bool:
    """Whether the Instances row decides on a start: not if it was written here just now, unless time has passed.

    Args:
        replaces: the history holds another execution, which may be older or younger.
    """
    is_known = in_hand.row is not None and start.scheduled_start is None and not replaces
    return start.parent is None and not is_known


def _result(
    execution: Execution, closed: Closed, outbox: Sequence[OutboundMessage]
) -> EpisodeResult:
    started = execution.state.started
    assert started is not None
    return EpisodeResult(
        rows=closed.new_rows,
        outbox=outbox,
        custom_status=closed.custom_status,
        sender=started.instance,
        episode=execution.state.episode,
    )


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
    current = loaded.execution.state.started
    if current is not None and current.parent is not None and current.parent == event.parent:
        return False  # its parent sent it twice: it died between sending and storing, and ran again
    return event.instance.execution_id != loaded.execution.state.execution_id


def _has_followed(loaded: Loaded, in_hand: InHand) -> bool:
    """Whether a message is the start of what the loaded execution continues, delivered again."""
    event = in_hand.message.event
    return isinstance(event, ExecutionStarted) and loaded.execution.state.has_followed(
        event.instance.execution_id
    )


def _replaces(loaded: Loaded, in_hand: InHand) -> bool:
    """Whether a message, if it is accepted, begins an execution in the place of the loaded one."""
    return loaded.execution.state.started is not None and _starts_other(loaded, in_hand)


def _log_end(state: RuntimeState) -> None:
    """Tell of an execution that did not end well. Source: reference functions-host.md 5.4."""
    started, completed = state.started, state.completed
    how = _ENDS.get(completed.status) if completed is not None else None
    if started is None or completed is None or how is None:
        return
    level, text = how
    reason, _, _ = (completed.result or "").partition("\n")
    _log.log(
        level,
        "%s: Function '%s (Orchestrator)' %s. Reason: %s. State: %s. RuntimeStatus: %s.",
        started.instance.instance_id,
        started.name,
        text,
        reason.strip(),
        completed.status,
        completed.status,
        extra=fields("orchestration_ended", instance_id=started.instance.instance_id),
    )


def _tell(execution: Execution, outcome: Closed | Continued) -> None:
    """Log what the real host would do otherwise, and the rule that ended the instance, if one did."""
    told = list(execution.warnings)
    execution.warnings.clear()
    if isinstance(outcome, Closed) and outcome.deviation is not None:
        told.append(outcome.deviation)
    started = execution.state.started
    for deviation in told:
        warn(started.instance.instance_id if started else "", deviation)
