"""From what happened and what the orchestrator asked for to what has to be done.

A Replay is fed the rows of one execution in order and, between them, the actions that the orchestrator emitted. It
gives out task ids in exactly that order, because the app's SDK finds its tasks by nothing else. Rows that record a
decision must meet the same decision here; what no row has recorded yet is new and becomes rows and messages.

Source of the rules: reference out-of-process-protocol.md 3.2 to 3.10 and 8.3; the actions are not awaited one after
the other as the real shim does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, assert_never

from emulator.core.actions import (
    Action,
    CallActivity,
    CallEntity,
    CallHttp,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    LockEntities,
    Refused,
    ReleaseEntities,
    RetryOptions,
    SignalEntity,
    WaitForEvent,
    WhenAll,
    WhenAny,
)
from emulator.core.decisions import Decision, ScheduleActivity, SendEvent, SetTimer, StartChild
from emulator.core.disagreement import describe, place_text
from emulator.core.entity_messages import RELEASE_EVENT, EntityId, unknown_entity_text
from emulator.core.entity_sender import EntitySender, Sending
from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionStarted,
    ExecutionTerminated,
    HistoryEvent,
    OrchestratorStarted,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from emulator.core.http_call import HTTP_ACTIVITY, poll_after
from emulator.core.ids import InstanceId
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.nondeterminism import DecisionRow, NonDeterminismError, check
from emulator.core.parity import Deviation
from emulator.core.retry import delay_after
from emulator.core.shim import Started

NOTHING_LEFT: Final = timedelta(seconds=1)
"""A delay up to which the real host fires a timer at once: it cuts what is left when the message is sent."""
UNNOTICED: Final = timedelta(milliseconds=10)
"""A delay up to which nobody could tell: a message takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the host knows and allows. Function names are keyed by their lower-case form.

    With `refuses_unknown` a call of any other function fails the instance.
    """

    activities: Mapping[str, str] = field(default_factory=dict[str, str])
    orchestrators: Mapping[str, str] = field(default_factory=dict[str, str])
    entities: Mapping[str, str] = field(default_factory=dict[str, str])
    max_actions: int = 100_000
    max_short_timer: timedelta = timedelta(days=6)
    long_timer_interval: timedelta = timedelta(days=3)
    default_http_sleep: timedelta = timedelta(seconds=30)
    entity_reorder_window: timedelta = timedelta(minutes=30)
    refuses_unknown: bool = False


@dataclass(slots=True)
class _Retry:
    """A call with retries: what to start again, and how often it was."""

    action: CallActivity | CallSubOrchestrator | CallHttp
    options: RetryOptions
    first_try: Instant
    attempt: int = 0


@dataclass(slots=True)
class _Open:
    """A task that holds completion back.

    Attributes:
        retry: the call that it is an attempt or a delay of.
        long_timer: when the timer that it is a slice of is due.
        http: the request that it makes.
        poll: the request that it is the delay of.
    """

    retry: _Retry | None = None
    long_timer: Instant | None = None
    http: CallHttp | None = None
    poll: CallHttp | None = None


class Replay:
    """One execution's scheduling state. Kept between episodes, or rebuilt from the first row."""

    def __init__(self, rules: Rules) -> None:
        """Begin before the first row."""
        self._rules = rules
        self._now = MIN_INSTANT
        self._started: ExecutionStarted | None = None
        self._next_id = 0
        self._open: dict[int, _Open] = {}
        self._pending: dict[int, Decision] = {}
        self._timers: dict[int, int] = {}
        self._leaf_count = 0
        self._waits_for_events = False
        self._entities = EntitySender(
            reorder_window=rules.entity_reorder_window,
            max_delay=rules.max_short_timer,
            delay_slice=rules.long_timer_interval,
        )
        self.continue_as_new: ContinueAsNew | None = None
        self.carried: list[EventRaised] = []
        self.terminated: ExecutionTerminated | None = None
        self.failure: str | None = None
        self.deviation: Deviation | None = None
        self.started: list[Started] = []
        """What was started, by task id."""
        self.requests: list[str | None] = []
        """Ids under which the answers to calls of entities come, in the order of the calls."""
        self._where: str | None = None
        self.places: dict[int, str] = {}
        """Where the app's code asked for what was started under an id."""

    @property
    def next_id(self) -> int:
        """The task id that the next thing gets."""
        return self._next_id

    @property
    def has_open_tasks(self) -> bool:
        """Whether something that was started has not finished: such an execution cannot end by itself."""
        return bool(self._open)

    @property
    def can_be_woken(self) -> bool:
        """Whether an answer, a timer or an event could ever move this execution on."""
        return bool(self._open) or self._waits_for_events

    def new_decisions(self) -> tuple[Decision, ...]:
        """What no row records yet, in order of task id. The rows for it come back through apply()."""
        return tuple(self._pending[key] for key in sorted(self._pending))

    def early_timer(self) -> Deviation | None:
        """A timer that is asked for now and that the real host would fire at once; a cancelled one does not count.

        Source: reference out-of-process-protocol.md 3.5.
        """
        for task_id, decision in self._pending.items():
            task = self._open.get(task_id)
            if isinstance(decision, SetTimer) and task is not None:
                delay = decision.fire_at.minus(self._now)
                if UNNOTICED < delay <= NOTHING_LEFT:
                    return Deviation.timers_early(self._delayed(task_id, task), delay)
        return None

    def _delayed(self, task_id: int, task: _Open) -> str:
        """What a timer holds up, as a person would name it."""
        again = task.retry.action if task.retry is not None else task.poll
        if again is not None:
            return f"The next attempt of {describe(again)}"
        return f"A timer{place_text(self.places.get(task_id))}"

    # --- rows -------------------------------------------------------------------------------------------------

    def apply(self, event: HistoryEvent) -> None:
        """Take the next row.

        Raises:
            NonDeterminismError: it records a decision that this replay did not make.
        """
        match event:
            case OrchestratorStarted():
                self._now = event.timestamp
            case ExecutionStarted():
                self._started = event
            case TaskScheduled() | TimerCreated() | SubOrchestrationCreated() | EventSent():
                self._release_if_recorded(event)
                self._confirm(event)
            case TaskCompleted() | SubOrchestrationCompleted():
                self._completed(event.task_scheduled_id, event.result)
            case TaskFailed() | SubOrchestrationFailed():
                self._failed(event.task_scheduled_id)
            case TimerFired():
                self._fired(event.timer_id)
            case EventRaised() if self.continue_as_new is not None:
                self.carried.append(event)
            case ExecutionTerminated():
                self.terminated = event
            case _:
                pass

    def _confirm(self, row: DecisionRow) -> None:
        try:
            check(row, self._pending.pop(row.event_id, None))
        except NonDeterminismError as error:
            error.place = self.places.get(row.event_id)
            raise

    def _completed(self, task_id: int, result: str | None) -> None:
        task = self._open.pop(task_id, None)
        if task is None or task.http is None:
            return
        sleep = self._rules.default_http_sleep
        poll = poll_after(task.http, result, now=self._now, default_sleep=sleep)
        if poll is not None:
            self._set_timer(poll.fire_at, _Open(poll=poll.call))

    def _failed(self, task_id: int) -> None:
        task = self._open.pop(task_id, None)
        if task is None or task.retry is None:
            return
        retry = task.retry
        delay = delay_after(
            retry.options, attempt=retry.attempt, first_try=retry.first_try, now=self._now
        )
        if delay is not None:
            self._set_timer(self._now.plus(delay), _Open(retry=retry))

    def _fired(self, timer_id: int) -> None:
        task = self._open.pop(timer_id, None)
        if task is None:
            return
        if task.long_timer is not None:
            self._start_timer(task.long_timer)
        elif task.poll is not None:
            self._attempt(task.poll, _Open())
        elif task.retry is not None and task.retry.attempt + 1 < task.retry.options.max_attempts:
            task.retry.attempt += 1
            self._start_attempt(task.retry)

    # --- actions ----------------------------------------------------------------------------------------------

    def perform(self, actions: Iterable[Action], where: str | None = None) -> None:
        """Take what the orchestrator asked for now, in its order, and the place in its code."""
        self._where = where
        for action in actions:
            if self.failure is None and self.deviation is None:
                self._start(action)

    def cancel(self, leaf: int) -> None:
        """The timer that was the leaf-th action has been cancelled: it no longer holds completion back."""
        task_id = self._timers.get(leaf)
        if task_id is not None:
            self._open.pop(task_id, None)

    def _start(self, action: Action) -> None:
        if isinstance(action, WhenAll | WhenAny):
            self.perform(action.children, self._where)
            return
        leaf = self._leaf_count
        self._leaf_count += 1
        if self._leaf_count > self._rules.max_actions:
            self.deviation = Deviation.too_many_actions(self._rules.max_actions)
            return
        match action:
            case CallActivity() | CallSubOrchestrator() | CallHttp():
                self._call(action)
            case CreateTimer():
                self._create_timer(action, leaf)
            case CallEntity() | SignalEntity() | LockEntities():
                self._send_to_entity(action)
            case ReleaseEntities():
                self.release_locks()
            case ContinueAsNew() | Refused() | WaitForEvent():
                self._note(action)
            case _:
                assert_never(action)

    def _note(self, action: ContinueAsNew | Refused | WaitForEvent) -> None:
        """Actions that start nothing and take no id."""
        match action:
            case ContinueAsNew():
                self.continue_as_new = action
            case Refused():
                self.failure = action.message
            case WaitForEvent():
                self._waits_for_events = True
            case _:
                assert_never(action)

    def _call(self, action: CallActivity | CallSubOrchestrator | CallHttp) -> None:
        if action.retry is None:
            self._attempt(action, _Open())
        elif action.retry.max_attempts < 1:
            name = HTTP_ACTIVITY if isinstance(action, CallHttp) else action.name
            self.deviation = Deviation.no_attempts(name, action.retry.max_attempts)
        else:
            self._start_attempt(_Retry(action, action.retry, self._now))

    def _start_attempt(self, retry: _Retry) -> None:
        self._attempt(retry.action, _Open(retry=retry))

    def _attempt(self, action: CallActivity | CallSubOrchestrator | CallHttp, task: _Open) -> None:
        match action:
            case CallHttp():
                task.http = action
                self._schedule(HTTP_ACTIVITY, action.request, task)
            case CallActivity():
                if self._knows(self._rules.activities, action.name, "activity"):
                    self._schedule(action.name, action.input, task)
            case CallSubOrchestrator():
                if self._knows(self._rules.orchestrators, action.name, "orchestrator"):
                    self._start_child(action, task)
            case _:
                assert_never(action)

    def _knows(self, known: Mapping[str, str], name: str, kind: str) -> bool:
        if not self._rules.refuses_unknown or name.lower() in known:
            return True
        nearest = difflib.get_close_matches(name.lower(), known, n=1)
        self.deviation = Deviation.unknown_function(
            kind, name, tuple(known.values()), known[nearest[0]] if nearest else None
        )
        return False

    def _schedule(self, name: str, text: str | None, task: _Open) -> None:
        task_id = self._take_id("activity", "" if name == HTTP_ACTIVITY else name)
        self._open[task_id] = task
        self._pending[task_id] = ScheduleActivity(task_id=task_id, name=name, input=text)

    def _start_child(self, action: CallSubOrchestrator, task: _Open) -> None:
        instance_id = (action.instance_id or "").strip() and action.instance_id
        if instance_id and self._refused_child(instance_id):
            return
        task_id = self._take_id("child", action.name)
        self._open[task_id] = task
        child = instance_id or f"{self._execution_id}:{task_id}"
        self._pending[task_id] = StartChild(
            task_id=task_id,
            name=action.name,
            version=action.version,
            instance_id=InstanceId(child),
            input=action.input,
        )

    def _refused_child(self, instance_id: str) -> bool:
        started = self._started
        if started is None:
            return False
        parent = started.parent.instance.instance_id if started.parent else None
        if instance_id in (started.instance.instance_id, parent):
            self.deviation = Deviation.child_with_own_id(instance_id)
        elif instance_id.startswith("@") or any(
            c in "/\\#?" or ord(c) < ord(" ") for c in instance_id
        ):
            self.deviation = Deviation.child_with_bad_id(instance_id)
        return self.deviation is not None

    def _create_timer(self, action: CreateTimer, leaf: int) -> None:
        longest = self._rules.max_short_timer
        if not action.may_be_long and action.fire_at.minus(self._now) > longest:
            self.failure = (
                f"The Azure Storage provider supports a maximum of {longest.days} days for time-based delays "
                "(Parameter 'fireAt')"
            )
            return
        self._timers[leaf] = self._start_timer(action.fire_at)
        if action.cancelled:
            self.cancel(leaf)

    def _start_timer(self, fire_at: Instant) -> int:
        """Start a timer, or the first slice of one that is too long for the store."""
        if fire_at.minus(self._now) > self._rules.max_short_timer:
            slice_end = self._now.plus(self._rules.long_timer_interval)
            return self._set_timer(slice_end, _Open(long_timer=fire_at))
        return self._set_timer(fire_at, _Open())

    def _set_timer(self, fire_at: Instant, task: _Open) -> int:
        task_id = self._take_id("timer")
        self._open[task_id] = task
        self._pending[task_id] = SetTimer(task_id=task_id, fire_at=fire_at)
        return task_id

    # --- entities -----------------------------------------------------------------------------------------------

    def release_locks(self) -> None:
        """Give up the locks that are still held: asked for, or because the orchestration ends."""
        if self._started is not None:
            for sending in self._entities.release(self._started.instance):
                self._send(sending)

    def _release_if_recorded(self, event: HistoryEvent) -> None:
        """The end of an orchestration releases its locks, and is no action that a replay would find again."""
        if isinstance(event, EventSent) and event.name == RELEASE_EVENT:
            is_known = event.event_id in self._pending
            if not is_known:
                self.release_locks()

    def _send_to_entity(self, action: CallEntity | SignalEntity | LockEntities) -> None:
        if not all(self._knows_entity(name, action) for name in _entity_names(action)):
            return
        assert self._started is not None
        sender = self._started.instance
        match action:
            case CallEntity():
                sending = self._entities.call(action, sender, self._now)
            case SignalEntity():
                sending = self._entities.signal(action, sender, self._now)
            case LockEntities():
                sending = self._entities.lock(action, sender, self._now)
            case _:
                assert_never(action)
        if not isinstance(action, SignalEntity):
            self._waits_for_events = True
            self.requests.append(sending.request_id)
        self._send(sending)

    def _send(self, sending: Sending) -> None:
        task_id = self._take_id("event")
        self._pending[task_id] = SendEvent(
            task_id=task_id,
            instance_id=sending.instance_id,
            name=sending.event_name,
            input=sending.text,
            not_before=sending.not_before,
        )

    def _knows_entity(self, name: str, action: CallEntity | SignalEntity | LockEntities) -> bool:
        known = self._rules.entities
        if not self._rules.refuses_unknown or name.lower() in known:
            return True
        if isinstance(action, SignalEntity):
            self.failure = unknown_entity_text(name, known.values())
            return False
        return self._knows(known, name, "entity")

    @property
    def _execution_id(self) -> str:
        return (self._started.instance.execution_id or "") if self._started else ""

    def _take_id(self, kind: str, name: str = "") -> int:
        task_id = self._next_id
        self._next_id += 1
        self.started.append((kind, name.lower()))
        if self._where is not None:
            self.places[task_id] = self._where
        return task_id


def _entity_names(action: CallEntity | SignalEntity | LockEntities) -> list[str]:
    if isinstance(action, LockEntities):
        return [entity.name for entity in action.entities]
    return [EntityId.of(action.instance_id).name]
