"""An entity's scheduler: what its messages make of its stored state, and what a batch of operations makes of it.

receive() takes the messages and says which operations are to be run as one batch; settle() takes their results and
says what is stored and sent. Each batch is an execution of its own, of three rows; the state is the input of the
second. Source: extension, Listener/TaskEntityShim.cs and DurableTaskExtension.EntityMiddleware; reference
out-of-process-protocol.md 5, azure-storage-provider.md 8.10.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, cast

from emulator.core.calls import EntityBatch, EntityResult, EntitySignal, Operation, OperationResult
from emulator.core.entity_messages import (
    CONTINUE_EVENT,
    LOCK_ACQUIRED,
    RELEASE_EVENT,
    REQUEST_EVENT,
    UNREADABLE,
    EntityId,
    Request,
    adjusted_delivery,
    answer_text,
    read_release,
    read_request,
    request_event,
    request_of,
    unreadable_text,
)
from emulator.core.events import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
)
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.core.json_text import compact, loads
from emulator.core.message_sorter import MessageSorter
from emulator.core.messages import OutboundMessage, TaskMessage
from emulator.core.status import RuntimeStatus
from emulator.errors import DecodeError

EARLY: Final = timedelta(milliseconds=100)
"""A delayed operation that is due within this time is done at once."""

SUSPENDED_MAX: Final = timedelta(seconds=10)
"""An entity that waits for its own `continue` longer than this goes on without it."""

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRules:
    """What entities need of the host's settings."""

    batch_size_max: int = 5000
    reorder_window: timedelta = timedelta(minutes=30)
    max_delay: timedelta = timedelta(days=6)
    delay_slice: timedelta = timedelta(days=3)


class Scheduler:
    """The stored state, unfolded."""

    __slots__ = ("exists", "locked_by", "queue", "sorter", "state", "suspended")

    def __init__(self) -> None:
        """Begin as an entity that nobody has spoken to."""
        self.exists = False
        self.state: str | None = None
        self.queue: deque[Request] = deque()
        self.locked_by: str | None = None
        self.suspended = False
        self.sorter = MessageSorter()

    @classmethod
    def read(cls, text: str | None) -> Scheduler:
        """Go on from the stored text; None is a new entity.

        Raises:
            DecodeError: it is no scheduler's state.
        """
        scheduler = cls()
        try:
            stored = loads(text if text is not None else "{}")
        except ValueError as error:
            raise DecodeError(f"the scheduler's state is no JSON: {error}") from error
        if not isinstance(stored, dict):
            raise DecodeError("the scheduler's state is no JSON object")
        scheduler._take(cast("Json", stored))
        return scheduler

    def _take(self, stored: Json) -> None:
        self.exists = bool(stored.get("exists", False))
        state, owner = stored.get("state"), stored.get("lockedBy")
        self.state = None if state is None else str(state)
        self.queue = deque(map(request_of, cast("list[object]", stored.get("queue") or [])))
        self.locked_by = None if owner is None else str(owner)
        self.suspended = bool(stored.get("suspended", False))
        self.sorter = MessageSorter.read(cast("Json", stored.get("sorter") or {}))

    def text(self) -> str:
        """As it is stored."""
        written: dict[str, object] = {
            "exists": self.exists or None,
            "state": self.state,
            "queue": [request.members(typed=False) for request in self.queue] or None,
            "lockedBy": self.locked_by,
            "suspended": self.suspended or None,
            "sorter": self.sorter.members(),
        }
        return compact({name: value for name, value in written.items() if value is not None})

    def status(self) -> str:
        """The custom status of the instance; tools tell by its text whether the entity exists."""
        written: dict[str, object] = {
            "entityExists": self.exists or None,
            "queueSize": len(self.queue) or None,
            "lockedBy": self.locked_by,
        }
        return compact({name: value for name, value in written.items() if value is not None})

    def may_dequeue(self) -> bool:
        """Whether the next request may be taken: of a locked entity only the owner's."""
        if not self.queue:
            return False
        return self.locked_by is None or self.locked_by == self.queue[0].parent


@dataclass(slots=True, kw_only=True)
class Work:
    """What is to be done for a batch of messages.

    Attributes:
        operations: to be run by the function, as one batch; may be empty.
        lock: the lock request that ends the batch.
        early: delayed requests that are not due yet, to be sent on.
        continues: more is queued than one batch may hold, so the entity wakes itself.
        unreadable: what was wrong with messages that nobody can read; they have no effect.
    """

    scheduler: Scheduler
    operations: list[Request] = field(default_factory=list[Request])
    lock: Request | None = None
    early: list[Request] = field(default_factory=list[Request])
    continues: bool = False
    unreadable: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, stored: ExecutionStarted | None) -> Work:
        """Nothing to do yet, on the state that a row holds; None for a new entity.

        Raises:
            DecodeError: the stored state cannot be read.
        """
        return cls(scheduler=Scheduler.read(stored.input if stored is not None else None))

    def batch(self, entity: EntityId) -> EntityBatch:
        """What the function is given."""
        return EntityBatch(
            name=entity.name,
            key=entity.key,
            exists=self.scheduler.exists,
            state=self.scheduler.state,
            operations=tuple(
                Operation(name=r.operation, input=r.input, is_signal=r.is_signal, id=r.id)
                for r in self.operations
            ),
        )


def receive(
    stored: ExecutionStarted | None,
    events: Iterable[EventRaised],
    *,
    now: Instant,
    rules: EntityRules,
) -> Work:
    """Take messages into the queue, and from the queue what may be done now.

    Args:
        stored: the row that holds the entity's state; None for a new entity.

    Raises:
        DecodeError: the stored state cannot be read.
    """
    work = Work.of(stored)
    scheduler = work.scheduler
    owners: list[Request] = []
    for event in events:
        for request in _take(work, event, now, rules):
            is_owners = scheduler.locked_by is not None and scheduler.locked_by == request.parent
            (owners if is_owners else scheduler.queue).append(request)
    scheduler.queue.extendleft(reversed(owners))
    if stored is not None and stored.timestamp.plus(SUSPENDED_MAX) < now:
        scheduler.suspended = False
    if not scheduler.suspended:
        _dequeue(work, rules)
    return work


def _take(work: Work, event: EventRaised, now: Instant, rules: EntityRules) -> list[Request]:
    """The requests that a message makes ready."""
    scheduler = work.scheduler
    if event.name.startswith(REQUEST_EVENT):
        try:
            return _take_request(work, read_request(event.input), now, rules)
        except UNREADABLE as error:
            work.unreadable.append(unreadable_text(event.name, error))
            return []
    if event.name == RELEASE_EVENT:
        if scheduler.locked_by == read_release(event.input):
            scheduler.locked_by = None
    else:
        scheduler.suspended = False
    return []


def _take_request(work: Work, request: Request, now: Instant, rules: EntityRules) -> list[Request]:
    if request.due is None:
        return work.scheduler.sorter.receive(request, rules.reorder_window)
    if request.due.instant.minus(now) > EARLY:
        work.early.append(request)
        return []
    return [request]


def _dequeue(work: Work, rules: EntityRules) -> None:
    scheduler = work.scheduler
    while scheduler.may_dequeue():
        if len(work.operations) == rules.batch_size_max:
            work.continues = True
            return
        request = scheduler.queue.popleft()
        if request.lock_set is not None:
            work.lock = request
            return
        work.operations.append(request)


# --- results ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a batch leaves: the state and the custom status as they are stored, and what is sent."""

    state: str
    custom_status: str
    outbox: tuple[OutboundMessage, ...]


def settle(
    work: Work,
    result: EntityResult | None,
    entity: InstanceId,
    *,
    now: Instant,
    new_guid: Callable[[], str],
    rules: EntityRules,
) -> Settled:
    """Apply the results of the operations, then the lock request.

    Args:
        result: of the function; None if there was no operation to run.
        entity: id of the scheduler.
        new_guid: gives ids for requests that the entity sends.
    """
    scheduler = work.scheduler
    post = _Post(now)
    for request in work.early:
        _send_on(post, request, entity, rules)
    if result is not None:
        scheduler.exists, scheduler.state = result.exists, result.state
        _answer(post, work.operations, result.results)
        for signal in result.signals:
            _signal(post, scheduler, signal, new_guid(), entity, rules)
    if work.lock is not None:
        _grant(post, scheduler, work.lock)
    if work.continues:
        post.send(entity, CONTINUE_EVENT, None)
        scheduler.suspended = True
    return Settled(
        state=scheduler.text(), custom_status=scheduler.status(), outbox=tuple(post.outbox)
    )


class _Post:
    """Collects events to send."""

    def __init__(self, now: Instant) -> None:
        self.now = now
        self.outbox: list[OutboundMessage] = []

    def send(
        self,
        target: str,
        name: str,
        text: str | None,
        *,
        execution_id: str | None = None,
        not_before: Instant | None = None,
    ) -> None:
        instance = OrchestrationInstance(
            instance_id=InstanceId(target),
            execution_id=None if execution_id is None else ExecutionId(execution_id),
        )
        event = EventRaised(timestamp=self.now, name=name, input=text)
        message = TaskMessage(event=event, target=instance)
        self.outbox.append(OutboundMessage(message=message, not_before=not_before))


def _send_on(post: _Post, request: Request, entity: InstanceId, rules: EntityRules) -> None:
    """Send a delayed request to oneself again, for when it is due or as far as the store can delay it."""
    assert request.due is not None
    until = adjusted_delivery(
        request.due.instant, post.now, max_delay=rules.max_delay, delay_slice=rules.delay_slice
    )
    post.send(entity, request_event(until), request.text(), not_before=until)


def _answer(post: _Post, requests: Sequence[Request], results: Sequence[OperationResult]) -> None:
    for request, result in zip(requests, results, strict=True):
        if not request.is_signal and request.parent is not None:
            text = answer_text(result.result, is_error=result.is_error)
            post.send(request.parent, request.id, text, execution_id=request.parent_execution)


def _signal(
    post: _Post,
    scheduler: Scheduler,
    signal: EntitySignal,
    request_id: str,
    entity: InstanceId,
    rules: EntityRules,
) -> None:
    target = EntityId(name=signal.name, key=signal.key).instance_id
    timestamp, predecessor = scheduler.sorter.sent.label(target, post.now, rules.reorder_window)
    request = Request(
        operation=signal.operation,
        is_signal=True,
        input=signal.input,
        id=request_id,
        parent=entity,
        timestamp=timestamp,
        predecessor=predecessor,
    )
    post.send(target, REQUEST_EVENT, request.text())


def _grant(post: _Post, scheduler: Scheduler, request: Request) -> None:
    """Lock the entity, and ask the next one of the set or tell the owner that it has them all."""
    assert request.lock_set is not None
    assert request.parent is not None
    scheduler.locked_by = request.parent
    following = request.position + 1
    if following < len(request.lock_set):
        forwarded = replace(request, position=following)
        post.send(request.lock_set[following].instance_id, REQUEST_EVENT, forwarded.text())
    else:
        text = answer_text(LOCK_ACQUIRED)
        post.send(request.parent, request.id, text, execution_id=request.parent_execution)


# --- rows ---------------------------------------------------------------------------------------------------------


def rows_of(
    entity: InstanceId, execution_id: ExecutionId, state: str, now: Instant
) -> tuple[HistoryEvent, ...]:
    """All rows that an entity has after a batch."""
    started = ExecutionStarted(
        timestamp=now,
        instance=OrchestrationInstance(instance_id=entity, execution_id=execution_id),
        name=entity,
        version="",
        input=state,
        is_played=True,
    )
    return (
        OrchestratorStarted(timestamp=now),
        started,
        OrchestratorCompleted(timestamp=now, is_played=True),
    )


def terminated_rows(event: ExecutionTerminated, now: Instant) -> tuple[HistoryEvent, ...]:
    """The rows that a termination adds: the entity is gone for good, until its instance is purged."""
    return (
        OrchestratorStarted(timestamp=now),
        replace(event, is_played=True),
        ExecutionCompleted(
            timestamp=now, status=RuntimeStatus.TERMINATED, result=event.reason, event_id=0
        ),
        OrchestratorCompleted(timestamp=now),
    )
