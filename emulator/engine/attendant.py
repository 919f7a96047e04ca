"""What every worker does for a session: take what has arrived, and see that nothing of it is lost.

Failures of the work itself are dealt with here, in one place, so that no session stops a partition: the store's,
another worker's commit, text that nobody can read, and defects of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from emulator.core.episode import EpisodeSettings, Execution
from emulator.core.events import GenericEvent, HistoryEvent, OrchestrationInstance
from emulator.core.ids import ExecutionId
from emulator.core.inbox import in_order
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage
from emulator.engine.clock import Clock
from emulator.engine.completions import Completions
from emulator.engine.courier import Courier
from emulator.engine.mending import mend
from emulator.engine.outage import Outage
from emulator.engine.partition_loop import PartitionLoop
from emulator.engine.session import Loaded, Session
from emulator.engine.touches import Touches
from emulator.errors import (
    DecodeError,
    EtagMismatchError,
    LeaseLostError,
    PayloadTooLargeError,
    StorageError,
)
from emulator.hub.checkpoint import Checkpoint, project, record
from emulator.hub.history import UNREAD_HISTORY, StoredHistory
from emulator.hub.message_queue import InHand
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger
from emulator.wire import instance_row

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """What is to become durable.

    Attributes:
        rows: the last rows of the loaded execution, not stored yet.
        sender: whom the messages name as their sender.
        episode: its number, as the messages carry it.
    """

    rows: Sequence[HistoryEvent]
    outbox: Sequence[OutboundMessage]
    custom_status: str | None
    sender: OrchestrationInstance
    episode: int


Work = Callable[[PartitionLoop, Session, list[InHand]], Awaitable[None]]
"""Deals with a batch of a session's messages, in their order."""


class Attendant:
    """Attends to the sessions of one engine."""

    def __init__(
        self,
        hub: TaskHub,
        courier: Courier,
        settings: EpisodeSettings,
        *,
        clock: Clock,
        outage: Outage,
        completions: Completions,
        touches: Touches,
    ) -> None:
        """Ready to be given sessions."""
        self._hub = hub
        self._courier = courier
        self._settings = settings
        self._clock = clock
        self._outage = outage
        self._completions = completions
        self._touches = touches

    async def attend(self, loop: PartitionLoop, session: Session, work: Work) -> None:
        """Work on what has arrived for a session."""
        session.queued = False
        if loop.is_stopping:
            return  # what has arrived is given back with everything else that the loop holds
        session.busy = True
        batch = [in_hand for in_hand in session.take_all() if loop.custody.holds(in_hand)]
        try:
            await work(loop, session, [m for m, _ in in_order((m, m.arrival()) for m in batch)])
            self._outage.worked("committing")
        except EtagMismatchError as error:
            await self._lost(loop, session, batch, error)
        except LeaseLostError:
            session.forget()  # its messages are given back with everything else that the loop holds
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
            await self.abandon(loop, batch)
        finally:
            session.busy = False
            if session.loaded is not None:
                session.loaded.is_current = False
            settled = session.take_settled()
            loop.sessions.weigh(session)
            if session.inbox:
                loop.schedule(session)
            else:
                loop.sessions.release(session)
        await self._delete(loop, settled)

    async def _delete(self, loop: PartitionLoop, settled: Sequence[InHand]) -> None:
        """Delete what was dealt with. What stays because the store failed comes again and is found to be known."""
        if not settled:
            return
        loop.deleting += 1
        try:
            await loop.queue.delete_all(settled)
        except StorageError as error:
            self._outage.given_up("deleting messages", error)
        finally:
            loop.deleting -= 1
            for in_hand in settled:
                loop.custody.drop(in_hand)

    # --- failures ---------------------------------------------------------------------------------------------

    async def _lost(
        self, loop: PartitionLoop, session: Session, batch: Sequence[InHand], error: Exception
    ) -> None:
        _log.warning(
            "instance %r is gone on with by another worker; what was done here is dropped (%s)",
            session.instance,
            error,
            extra=fields("split_brain", instance_id=session.instance),
        )
        session.forget()
        await self.abandon(loop, batch)

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
        await self.abandon(loop, batch)

    def _postpone(
        self, loop: PartitionLoop, session: Session, batch: Sequence[InHand], error: StorageError
    ) -> None:
        """Try the same messages again after a pause, from what the store holds by then."""
        session.forget()
        if loop.is_stopping:
            return
        self._outage.failed("committing", error)
        held = [in_hand for in_hand in batch if loop.custody.holds(in_hand)]
        session.inbox.extendleft(reversed(held))
        session.queued = True
        self._outage.later(partial(_requeue, loop, session))

    # --- what work is made of -----------------------------------------------------------------------------------

    async def load(self, session: Session, messages: Sequence[InHand]) -> Loaded:
        """The session's history: as it is known, or read if it is not or may have been changed by a rewind."""
        rewound = any(isinstance(m.message.event, GenericEvent) for m in messages)
        if session.loaded is not None and not rewound:
            return session.loaded
        session.forget()
        is_new = any(in_hand.is_new_instance for in_hand in messages)
        stored = UNREAD_HISTORY if is_new else await self._hub.history.load(session.instance)
        session.loaded = self._loaded(stored)
        return session.loaded

    async def is_outdated(self, session: Session, loaded: Loaded) -> bool:
        """Whether another worker has gone on with what is known here; then it is forgotten.

        To be asked before a message is deleted or given back because of what is known.
        """
        if not loaded.is_current:
            loaded.is_current = await self._hub.history.tag(session.instance) == loaded.etag
            if not loaded.is_current:
                session.forget()
        return not loaded.is_current

    def _loaded(self, stored: StoredHistory) -> Loaded:
        return Loaded(Execution(self._settings, stored.events, stored.handled), stored)

    async def mend(
        self, session: Session, loaded: Loaded, custom_status: Callable[[Loaded], str | None]
    ) -> None:
        """Look whether the last checkpoint has reached the Instances row, if it is not known to have.

        Args:
            custom_status: finds the one that belongs to the history.
        """
        if loaded.spilled is not None and loaded.execution.state.started is not None:
            tag = await mend(
                self._hub, session.instance, loaded, custom_status(loaded), self._clock.now()
            )
            if tag is not None:
                loaded.found_row(tag)
                loaded.spilled = None
                if loaded.execution.state.is_terminal:
                    self.tell_end(session)

    async def _reconcile(
        self,
        session: Session,
        loaded: Loaded,
        custom_status: Callable[[Loaded], str | None],
    ) -> None:
        """The Instances row is another than the one that was known: compare it with the history as it is stored.

        Raises:
            EtagMismatchError: another worker has gone on with the instance.
        """
        loaded.knows_row = False
        stored = await self._hub.history.load(session.instance)
        if stored.etag != loaded.etag:
            raise EtagMismatchError(f"{session.instance!r} has been gone on with meanwhile")
        found = self._loaded(stored)
        await self.mend(session, found, custom_status)
        if found.spilled is None:
            loaded.found_row(found.row)

    async def abandon(self, loop: PartitionLoop, batch: Sequence[InHand]) -> None:
        """Give messages back to the queue, to be seen again after a growing delay."""
        for in_hand in batch:
            if not loop.custody.holds(in_hand):
                continue
            try:
                await loop.queue.abandon(in_hand)
            except StorageError as error:
                self._outage.given_up("giving a message back", error)
            loop.custody.drop(in_hand)

    async def discard(self, loop: PartitionLoop, messages: Sequence[InHand]) -> None:
        """Delete messages unprocessed."""
        for in_hand in messages:
            _log.debug(
                "discarded a message for instance %r",
                in_hand.message.target.instance_id,
                extra=fields("message_discarded", message=type(in_hand.message.event).__name__),
            )
        await loop.queue.delete_all(messages)
        for in_hand in messages:
            loop.custody.drop(in_hand)

    async def send(
        self, outbox: Sequence[OutboundMessage], *, sender: OrchestrationInstance, episode: int
    ) -> None:
        """Send messages that belong to no checkpoint."""
        parcel = self._courier.parcel(outbox, sender=sender, episode=episode)
        await parcel.send()
        await parcel.hand_over()

    async def commit(
        self,
        loop: PartitionLoop,
        session: Session,
        loaded: Loaded,
        result: EpisodeResult,
        accepted: Sequence[InHand],
        custom_status: Callable[[Loaded], str | None],
    ) -> None:
        """Make an episode of the loaded execution durable and let go of the messages that caused it."""
        await loop.check_lease()
        state = loaded.execution.state
        first = len(state.events) - len(result.rows)
        # What a rewind has set stays until the instance ends, as on Azure.
        is_whole = loaded.spilled is not None and first > 0 and not state.taken_back
        parcel = self._courier.parcel(result.outbox, sender=result.sender, episode=result.episode)
        checkpoint = Checkpoint(
            instance=session.instance,
            execution=state.execution_id or ExecutionId(""),
            events=result.rows,
            first=first,
            etag=loaded.etag,
            custom_status=result.custom_status,
            replaced_blobs=loaded.blobs if first == 0 else (),
            handled=loaded.execution.handled if first == 0 else (),
            before=state.events[:first] if is_whole else (),
            spilled=(loaded.spilled or {}) if is_whole else {},
        )
        now = self._clock.now()
        if not loaded.knows_row:
            loaded.found_row(await self._hub.instances.tag(session.instance))
        try:
            appended = await record(self._hub, checkpoint, parcel, now)
        except PayloadTooLargeError as error:
            raise StorageError(
                f"an episode of {session.instance!r} is too large to be stored: {error}"
            ) from error
        loaded.etag = appended.etag
        loaded.blobs = appended.blobs if first == 0 else (*loaded.blobs, *appended.blobs)
        loaded.must_run = False
        loaded.is_current = True
        await parcel.hand_over()
        if self._must_show(session, loaded, checkpoint, now):
            tag = await project(self._hub, checkpoint, appended, loaded.row, now)
            if tag is not None:
                loaded.found_row(tag)
            else:
                await self._reconcile(session, loaded, custom_status)
        loaded.spilled = None
        loaded.custom_status = checkpoint.custom_status
        session.settled.extend(accepted)
        if state.is_terminal:
            self.tell_end(session)

    def tell_end(self, session: Session) -> None:
        """Wake whoever waits for an instance: its row says that it has ended."""
        self._completions.ended(session.instance)

    def _must_show(
        self, session: Session, loaded: Loaded, checkpoint: Checkpoint, now: Instant
    ) -> bool:
        """Whether the episode changes the Instances row; if it is only the time, that is noted for later."""
        is_known = loaded.spilled is None and checkpoint.first > 0
        same_status = checkpoint.custom_status == loaded.custom_status
        if is_known and same_status and not instance_row.shows(checkpoint.events):
            self._touches.later(session.instance, loaded, now)
            return False
        self._touches.forget(session.instance)
        return True


def _requeue(loop: PartitionLoop, session: Session) -> None:
    session.queued = False
    loop.schedule(session)
