"""Reads one control queue and deals its messages out to sessions.

Fetch, group by instance, hand sessions to the workers. Messages that are not due yet wait here on the loop's own
timer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from math import ceil
from typing import Final

from emulator.core.ids import InstanceId
from emulator.core.instant import Instant
from emulator.core.messages import TaskMessage
from emulator.core.weights import payload_bytes
from emulator.engine.alarms import Alarms
from emulator.engine.allowance import Allowance
from emulator.engine.clock import Clock, IdSource
from emulator.engine.courier import Ahead, due_at
from emulator.engine.custody import Custody
from emulator.engine.outage import Outage
from emulator.engine.polling import Poller
from emulator.engine.session import Session, SessionCache
from emulator.errors import EtagMismatchError, LeaseLostError
from emulator.hub.message_queue import InHand, MessageQueue
from emulator.settings import HubSettings

DRAIN_LIMIT: Final = timedelta(seconds=60)
"""How long running sessions may take to end when the partition is given up (TablePartitionManager)."""


class PartitionLoop:
    """One owned control queue (engine.courier.Recipient)."""

    def __init__(
        self,
        index: int,
        queue: MessageQueue,
        settings: HubSettings,
        ready: Callable[[PartitionLoop, Session], None],
        *,
        clock: Clock,
        ids: IdSource,
        outage: Outage,
        sessions_max: int,
    ) -> None:
        """Begin reading when run() is called.

        Args:
            ready: takes a session that has something to do.
            sessions_max: idle sessions kept in memory.
        """
        self.index = index
        self.queue = queue
        self.sessions = SessionCache(sessions_max, settings.partition_session_bytes_max)
        self.deleting = 0
        """Deletions under way, of messages that were dealt with."""
        self.custody = Custody(queue, clock, outage, on_drop=self._look_for_room)
        self._settings = settings
        self._ready = ready
        self._clock = clock
        self._poller = Poller(
            f"receiving from {queue.name}",
            settings.max_queue_polling_interval.total_seconds(),
            ids,
            outage,
        )
        self._alarms = Alarms(clock, self._dispatch)
        self._allowance = Allowance(self.custody, settings.partition_message_bytes_max // 2)
        self._parked_bytes_max = settings.partition_message_bytes_max // 2
        """Of messages that are not due yet. They take nothing away from those that are."""
        self._left: Counter[InstanceId] = Counter()
        """Messages by instance that were left in the queue because there was no room, and have not been received."""
        self._leavings = 0
        """How often something was left."""
        self._was_full = False
        """Whether something was left in the queue because so many messages are held."""
        self.is_stopping = False
        """Whether nothing more is to be begun here."""
        self.is_lost = False
        """Whether somebody else reads the queue: nothing more may be committed from here."""
        self._held_until: Instant | None = None
        self._renewed = asyncio.Event()
        self._receiving = asyncio.Lock()
        """Held while messages are on their way here, so that a stop does not leave them invisible to all."""

    # --- messages in ------------------------------------------------------------------------------------------

    def accepts(self, message: TaskMessage, ahead: Ahead) -> bool:
        """A partition that is being given up takes nothing more in memory, nor does one that holds as much as it may.

        What an instance waits for that is known here is gone at its next episode, and does not count among many. What
        comes after something of the same instance that was left in the queue is left there, too.
        """
        if self.is_stopping:
            return False
        size = payload_bytes(message.event)
        due = self._later_than_now(message)
        if due is not None:
            return self._may_park(size, due)
        instance = message.target.instance_id
        takes = (
            instance not in self._left
            and self._allowance.fits(size and ahead.size + size)
            and (self.sessions.knows(instance) or not self._has_many(ahead.count))
        )
        if not takes:
            self._leave(instance)
        return takes

    def _later_than_now(self, message: TaskMessage) -> Instant | None:
        """When a message is due, if it is not yet."""
        due = due_at(message)
        return due if due is not None and due > self._clock.now() else None

    def _may_park(self, size: int, due: Instant) -> bool:
        """Whether there is room for a message that is not due yet; if not, it is received once it is."""
        if not size or self.custody.parked_size + size <= self._parked_bytes_max:
            return True
        wait = due.minus(self._clock.now()).total_seconds()
        asyncio.get_running_loop().call_later(max(wait, 0.0), self.wake)
        return False

    def _leave(self, instance: InstanceId) -> None:
        """A message of an instance is left in the queue, and received when there is room."""
        self._left[instance] += 1
        self._leavings += 1
        self._was_full = True

    def wake(self) -> None:
        """Something was put into the queue."""
        self._poller.wake()

    def deliver(self, in_hand: InHand) -> bool:
        """See Recipient.deliver."""
        if self.is_stopping:
            return False
        is_later = self._later_than_now(in_hand.message) is not None
        if not is_later and not self._allowance.fits(in_hand.size):
            self._leave(in_hand.message.target.instance_id)
            return False
        return self._take(in_hand)

    def _take(self, in_hand: InHand) -> bool:
        """Take a message, or put it off until it is due; False if it is not taken."""
        due = self._later_than_now(in_hand.message)
        if self.is_stopping or (due is not None and not self._may_park(in_hand.size, due)):
            return False
        if self.custody.take(in_hand):
            self._sort(in_hand, due)
        return True

    async def refuse(self, in_hand: InHand) -> None:
        """See Recipient.refuse; one that is not due yet is invisible until it is, and stays so."""
        if self._later_than_now(in_hand.message) is None:
            await self.custody.refuse(in_hand)

    def _sort(self, in_hand: InHand, due: Instant | None) -> None:
        if due is not None:
            self.custody.park(in_hand)
            self._alarms.add(in_hand, due)
        else:
            self._dispatch(in_hand)

    def _dispatch(self, in_hand: InHand) -> None:
        session = self.sessions.get(InstanceId(in_hand.message.target.instance_id))
        session.inbox.append(in_hand)
        self.schedule(session)

    def schedule(self, session: Session) -> None:
        """See that a worker looks at the session, once; while the partition is given up, nobody does."""
        if not self.is_stopping and not session.queued and not session.busy:
            session.queued = True
            self._ready(self, session)

    # --- the lease --------------------------------------------------------------------------------------------

    def hold_until(self, expires_at: Instant | None) -> None:
        """The lease was taken or renewed; None: it does not end."""
        was_doubtful = self._may_have_expired()
        self._held_until = expires_at
        self._renewed.set()
        if was_doubtful:
            self.wake()

    async def check_lease(self) -> None:
        """Wait until the queue is surely ours; call it before a commit.

        The lease may have expired while the store, or this process, stood still. If nobody has taken it meanwhile it
        is renewed, and work goes on where it was.

        Raises:
            EtagMismatchError: somebody else reads the queue now.
            LeaseLostError: the loop stops, and nothing is begun any more.
        """
        while not self.is_lost and self._may_have_expired():
            if self.is_stopping:
                raise LeaseLostError(f"the lease of {self.queue.name} may have expired")
            self._renewed.clear()
            await self._renewed.wait()
        if self.is_lost:
            raise EtagMismatchError(f"the partition {self.queue.name} is read by someone else now")

    def _may_have_expired(self) -> bool:
        return self._held_until is not None and self._clock.now() >= self._held_until

    # --- life -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Receive until cancelled."""
        timeout = self._settings.control_queue_visibility_timeout
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.custody.keep(timeout), name=f"renew {self.queue.name}")
                await self._poller.run(self._receive)
        finally:
            self._alarms.clear()

    async def _receive(self) -> int | None:
        async with self._receiving:
            if self.is_stopping or self._is_full() or self._may_have_expired():
                return None
            timeout, left_before = self._settings.control_queue_visibility_timeout, self._leavings
            messages = await self.queue.receive(
                self._allowance.batch(self._settings.control_queue_batch_size),
                visibility_timeout_s=int(timeout.total_seconds()),
                takes_more=self._allowance.takes_more,
            )
            self._note_received(messages, has_left_more=left_before != self._leavings)
            for in_hand in messages:
                if not self._take(in_hand):
                    await self._give_back(in_hand)
            return len(messages)

    async def _give_back(self, in_hand: InHand) -> None:
        """Let a message be received again, not before it is due."""
        due, now = self._later_than_now(in_hand.message), self._clock.now()
        wait_s = 0.0 if due is None else due.minus(now).total_seconds()
        await self.custody.refuse(in_hand, visible_in_s=ceil(wait_s))

    def _note_received(self, messages: Sequence[InHand], *, has_left_more: bool) -> None:
        """What was left has come, all of it if nothing comes any more and nothing was left meanwhile."""
        if not messages and not has_left_more:
            self._left.clear()
        for in_hand in messages:
            instance = in_hand.message.target.instance_id
            if self._left[instance] > 1:
                self._left[instance] -= 1
            else:
                del self._left[instance]

    def _has_many(self, on_their_way: int = 0) -> bool:
        """Whether as many messages are held as the settings allow, those apart that are not due yet."""
        held = len(self.custody) - len(self._alarms) + on_their_way
        return held >= self._settings.control_queue_buffer_threshold

    def _is_full(self) -> bool:
        """Whether as many messages are held as the settings allow, or as many bytes."""
        if not self._has_many() and not self._allowance.is_used_up:
            return False
        self._was_full = True
        return True

    def _look_for_room(self) -> None:
        if self._was_full and not self._is_full():
            self._was_full = False
            self._poller.wake()

    async def drain(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Take nothing more, let running sessions end, and give everything else back.

        Args:
            wait: pauses until it is worth looking again whether sessions are busy.
        """
        self._stop()
        try:
            async with asyncio.timeout(DRAIN_LIMIT.total_seconds()):
                async with self._receiving:
                    pass
                while self.sessions.busy or self.deleting:
                    await wait()
        except TimeoutError:
            self.is_lost = (
                True  # it is given up all the same, so what still runs here may not be committed
            )
        self.sessions.close()
        await self.custody.give_back()

    async def lose(self) -> None:
        """Stop at once, because somebody else reads the queue, and give back what is held."""
        self.is_lost = True
        self._stop()
        self.sessions.close()
        await self.custody.give_back()

    def _stop(self) -> None:
        self.is_stopping = True
        self._alarms.clear()
        self._renewed.set()

    @property
    def has_running_sessions(self) -> bool:
        """Whether a worker is inside one of its sessions."""
        return self.sessions.busy
