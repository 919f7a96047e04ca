"""Takes activity requests, runs them, sends the answer and then deletes the request.

An activity runs at least once: a process that dies between the answer and the deletion runs it again, and the
second answer finds its task answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from emulator.core.calls import AbandonedError, ActivityCall, ActivityCompleted, ActivityFailed
from emulator.core.events import HistoryEvent, TaskCompleted, TaskFailed, TaskScheduled
from emulator.core.ids import InstanceId
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.weights import payload_bytes
from emulator.engine.allowance import Allowance
from emulator.engine.clock import Clock, IdSource
from emulator.engine.courier import Ahead, Courier
from emulator.engine.custody import Custody
from emulator.engine.outage import Outage
from emulator.engine.polling import Poller
from emulator.engine.ports import ActivityRunner
from emulator.errors import StorageError, TransientStorageError
from emulator.hub.message_queue import InHand
from emulator.hub.task_hub import TaskHub
from emulator.log import fields, get_logger
from emulator.storage.ports import RECEIVE_COUNT_MAX

_log = get_logger(__name__)
BACKLOG_PER_SLOT: Final = 4
"""Requests taken in memory beyond those that run, per slot; the rest is left in the queue for any host."""
HANDED_OVER_SHARED: Final = 4
"""Requests that are held when one more is left in the queue, if other hosts work on the hub, too: they get a share of
what runs long, and what is done at once still takes the short way."""
RECEIVED_SHARED: Final = 4
"""Requests received at once then. Source: 1 in DurableTask.AzureStorage, which is slow for short ones."""
HEAD_START_S: Final = 0.02
"""Of those other hosts."""
LOOK_AFTER_S: Final = 1.0
"""After an activity the queue is looked into if something was left there, or if the last look was so long ago: for what
comes back after a failure, or was put by a host that nobody knows of yet."""


class ActivityWorker:
    """The work-item queue of one hub (engine.courier.Recipient)."""

    def __init__(
        self,
        hub: TaskHub,
        runner: ActivityRunner,
        courier: Courier,
        *,
        clock: Clock,
        ids: IdSource,
        outage: Outage,
        is_shared: Callable[[], bool],
        on_end: Callable[[], None],
    ) -> None:
        """Begin when run() is called.

        Args:
            is_shared: tells whether other hosts take activities of this hub.
            on_end: told whenever an activity has been dealt with.
        """
        self._is_shared = is_shared
        self._on_end = on_end
        self._hub = hub
        self._runner = runner
        self._courier = courier
        self._clock = clock
        self._outage = outage
        self._slots = hub.settings.max_concurrent_activities
        self.custody = Custody(hub.work_items, clock, outage)
        """The requests that wait or run here."""
        self._allowance = Allowance(self.custody, hub.settings.activity_bytes_max)
        self._waiting: asyncio.Queue[InHand] = asyncio.Queue()
        self._most = self._slots * (1 + BACKLOG_PER_SLOT)
        """Requests that are held, unless other hosts work on the hub, too."""
        self._has_left = False
        """Whether something was left in the queue, or may have been."""
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._looked_at = float("-inf")
        self._stopping = False
        self._receiving = asyncio.Lock()
        """Held while messages are on their way here, so that a stop does not leave them invisible to all."""
        self._poller = Poller(
            f"receiving from {hub.work_items.name}",
            hub.settings.max_queue_polling_interval.total_seconds(),
            ids,
            outage,
        )

    def accepts(self, message: TaskMessage, ahead: Ahead) -> bool:
        """Whether there is room in memory for one more request."""
        most = min(self._slots, HANDED_OVER_SHARED) if self._is_shared() else self._most
        takes = (
            not self._stopping
            and len(self.custody) + ahead.count < most
            and self._allowance.fits(ahead.size + payload_bytes(message.event))
        )
        self._has_left = self._has_left or not takes
        return takes

    def deliver(self, in_hand: InHand) -> bool:
        """See Recipient.deliver."""
        return self._allowance.fits(in_hand.size) and self._take(in_hand)

    def _take(self, in_hand: InHand) -> bool:
        """Take a request; False if no more is taken."""
        if self._stopping:
            return False
        if self.custody.take(in_hand):
            self._waiting.put_nowait(in_hand)
        return True

    async def refuse(self, in_hand: InHand) -> None:
        """See Recipient.refuse."""
        await self.custody.refuse(in_hand)

    def wake(self) -> None:
        """Requests were left in the queue; hosts that have less to do may look there first."""
        if self._is_shared() and len(self.custody) >= HANDED_OVER_SHARED:
            asyncio.get_running_loop().call_later(HEAD_START_S, self._poller.wake)
        else:
            self._poller.wake()

    async def run(self) -> None:
        """Receive and run until cancelled."""
        timeout = self._hub.settings.work_item_queue_visibility_timeout
        async with asyncio.TaskGroup() as group:
            group.create_task(self.custody.keep(timeout), name="renew activities")
            for slot in range(self._slots):
                group.create_task(self._run_slot(), name=f"activity slot {slot}")
            await self._poller.run(self._receive)

    async def drain(self) -> None:
        """Take nothing more and give back what has not begun; what runs is left to end or to be cancelled."""
        self._stopping = True
        waiting: list[InHand] = []
        while not self._waiting.empty():
            waiting.append(self._waiting.get_nowait())
        async with asyncio.TaskGroup() as group:
            for in_hand in waiting:
                self.custody.drop(in_hand)
                group.create_task(self.refuse(in_hand))
        async with self._receiving:
            pass

    async def give_back(self) -> None:
        """Make visible what was still running when the time was up."""
        await self.custody.give_back()

    async def wait_until_idle(self) -> None:
        """Wait until no activity is running."""
        await self._idle.wait()

    async def _receive(self) -> int | None:
        async with self._receiving:
            most = self._receivable
            if self._stopping or most <= 0 or self._allowance.is_used_up:
                self._has_left = True
                return None
            self._looked_at = self._clock.monotonic()
            timeout = self._hub.settings.work_item_queue_visibility_timeout
            messages = await self._hub.work_items.receive(
                self._allowance.batch(most),
                visibility_timeout_s=int(timeout.total_seconds()),
                takes_more=self._allowance.takes_more,
            )
            self._has_left = bool(messages)
            for in_hand in messages:
                if not self._take(in_hand):
                    await self.refuse(in_hand)
            return len(messages)

    @property
    def _receivable(self) -> int:
        """How many requests may be received now: what free slots can take if others want some, else many at once."""
        free = self._slots - self._running - self._waiting.qsize()
        if self._is_shared():
            return min(free, RECEIVED_SHARED)
        room = self._most - len(self.custody)
        return RECEIVE_COUNT_MAX if room >= RECEIVE_COUNT_MAX else min(free, room)

    async def _run_slot(self) -> None:
        while True:
            in_hand = await self._waiting.get()
            self._running += 1
            self._idle.clear()
            try:
                await self._run_one(in_hand)
            finally:
                self._running -= 1
                if self._running == 0:
                    self._idle.set()
                self._on_end()
                if self._may_find_some():
                    self._poller.wake()

    def _may_find_some(self) -> bool:
        """Whether the queue may hold requests, left there or put by others who told nobody, and there is room."""
        if self._has_left and self._receivable > 0:
            return True
        is_long_ago = self._clock.monotonic() - self._looked_at >= LOOK_AFTER_S
        return self._waiting.empty() and (self._is_shared() or is_long_ago)

    async def _run_one(self, in_hand: InHand) -> None:
        event = in_hand.message.event
        try:
            if isinstance(event, TaskScheduled):
                answer = await self._answer(in_hand, event)
                await self._finish(in_hand, answer)
                self.custody.drop(in_hand)
            else:
                _log.warning(
                    "message %s in queue %s is no activity request but a %s, and stays there",
                    in_hand.message_id,
                    self._hub.work_items.name,
                    type(event).__name__,
                    extra=fields("message_unreadable", queue=self._hub.work_items.name),
                )
                await self._abandon(in_hand)
        except AbandonedError as error:
            _log.warning("activity given back: %s", error, extra=fields("activity_abandoned"))
            await self._abandon(in_hand)
        except StorageError as error:
            self._outage.given_up("answering an activity", error)
            await self._abandon(in_hand)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the others
            _log.exception(
                "running an activity failed; its message goes back to the queue",
                exc_info=error,
                extra=fields("activity_abandoned"),
            )
            await self._abandon(in_hand)

    async def _abandon(self, in_hand: InHand) -> None:
        self.custody.drop(in_hand)
        try:
            await self._hub.work_items.abandon(in_hand)
        except StorageError as error:
            self._outage.given_up("giving a message back", error)

    async def _answer(self, in_hand: InHand, event: TaskScheduled) -> HistoryEvent:
        call = ActivityCall(
            name=event.name,
            instance_id=InstanceId(in_hand.message.target.instance_id),
            task_id=event.event_id,
            input=event.input,
        )
        result = await self._runner.run(call)
        now = self._clock.now()
        match result:
            case ActivityCompleted():
                return TaskCompleted(
                    timestamp=now, task_scheduled_id=event.event_id, result=result.result
                )
            case ActivityFailed():
                return TaskFailed(
                    timestamp=now,
                    task_scheduled_id=event.event_id,
                    reason=result.reason,
                    details=result.details,
                )

    async def _finish(self, in_hand: InHand, answer: HistoryEvent) -> None:
        """Send the answer, then delete the request; tried again while the store does not answer."""
        target = in_hand.message.target
        episode = in_hand.envelope.episode
        outbox: Sequence[OutboundMessage] = (
            OutboundMessage(message=TaskMessage(event=answer, target=target)),
        )
        parcel = self._courier.parcel(
            outbox, sender=target, episode=episode if episode is not None else -1
        )
        await self._outlast(parcel.send)
        await parcel.hand_over()
        await self._outlast(lambda: self._hub.work_items.delete(in_hand))

    async def _outlast(self, call: Callable[[], Awaitable[object]]) -> None:
        await self._outage.outlast("answering activities", call, retried=TransientStorageError)
