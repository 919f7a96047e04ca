"""How the real host would take the same actions: it awaits them one after the other.

The app's SDK decides what user code sees; the real host decides, on its own, what is started. Where the two disagree
the real product waits for ever, starts things late or under other ids, or gives an event twice. This is its loop over
the actions of one replay, fed with the same history, so that the difference can be told before production shows it.

Source: reference out-of-process-protocol.md 3.2 to 3.7, 3.11 and 3.16.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

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
    SignalEntity,
    WaitForEvent,
    WhenAll,
    WhenAny,
)
from emulator.core.events import (
    EventRaised,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)

Started = tuple[str, str]
"""Kind and name (lower-case) of what was started under an id; timers have no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimView:
    """Where the real host's loop stands after a history.

    Attributes:
        started: what it has started, by task id.
        blocked_at: place of the top-level action that it awaits; None if it is through all of them.
        waits_for_tasks: whether that action still waits for an activity, child or timer, so that it will go on.
        carried: events that it would take over into the next execution.
        early_event: an event that came more than once before anyone waited for it.
    """

    started: tuple[Started, ...]
    blocked_at: int | None
    waits_for_tasks: bool
    carried: int
    early_event: str | None


class _Node:
    """Something that is awaited; a compound knows how many of its children must finish."""

    __slots__ = ("children", "done", "event", "missing", "open_id", "parent")

    def __init__(self, parent: _Node | None, missing: int = 1) -> None:
        self.parent = parent
        self.missing = missing
        self.done = False
        self.open_id: int | None = None
        self.event: str | None = None
        self.children: list[_Node] = []

    def finish_one(self) -> None:
        """One of those that it waits for has finished."""
        if self.done:
            return
        self.missing -= 1
        if self.missing <= 0:
            self.done = True
            if self.parent is not None:
                self.parent.finish_one()


@dataclass(slots=True)
class _Attempt:
    """A started call or timer: the node that waits for it, and the retries that are left."""

    node: _Node
    again: Action | None = None
    attempts_left: int = 0
    is_delay: bool = False


def _locked(action: CallEntity | LockEntities) -> int:
    """How many entities an action locks."""
    return len(set(action.entities)) if isinstance(action, LockEntities) else 0


@dataclass(slots=True)
class _Loop:
    actions: Sequence[Action]
    requests: Sequence[str | None]
    """Ids of the requests that calls of entities wait for, in the order of the calls."""
    started: list[Started] = field(default_factory=list[Started])
    open: dict[int, _Attempt] = field(default_factory=dict[int, _Attempt])
    waiters: dict[str, list[_Node]] = field(default_factory=dict[str, list[_Node]])
    buffered: dict[str, deque[None]] = field(default_factory=dict[str, "deque[None]"])
    next_action: int = 0
    next_request: int = 0
    current: _Node | None = None
    locked: int = 0
    continues: bool = False
    carried: int = 0
    early_event: str | None = None

    # --- the loop ---------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Start and await one action after the other, as far as what is finished allows."""
        while self.current is None or self.current.done:
            if self.next_action == len(self.actions):
                return
            action = self.actions[self.next_action]
            self.next_action += 1
            self.current = root = _Node(None)
            self.start(action, root)

    def start(self, action: Action, node: _Node) -> None:
        match action:
            case WhenAll() | WhenAny():
                self.start_compound(action, node)
            case CallActivity() | CallSubOrchestrator():
                self.start_call(action, node)
            case CallHttp():
                self.take_id(node, ("activity", ""))
            case CreateTimer():
                self.start_timer(action, node)
            case WaitForEvent():
                self.wait_for(action.name, node)
            case CallEntity() | LockEntities():
                self.locked = _locked(action) or self.locked
                self.call_entity(node)
            case SignalEntity() | ReleaseEntities() | ContinueAsNew() | Refused():
                self.do_at_once(action, node)
            case _:
                assert_never(action)

    def do_at_once(
        self, action: SignalEntity | ReleaseEntities | ContinueAsNew | Refused, node: _Node
    ) -> None:
        """What nothing is awaited for."""
        if isinstance(action, SignalEntity):
            self.started.append(("event", ""))
        elif isinstance(action, ReleaseEntities):
            self.started.extend([("event", "")] * self.locked)
            self.locked = 0
        elif isinstance(action, ContinueAsNew):
            self.continues = True
        node.finish_one()

    def start_timer(self, action: CreateTimer, node: _Node) -> None:
        timer_id = self.take_id(node, ("timer", ""))
        if action.cancelled:
            del self.open[timer_id]
            node.finish_one()

    def call_entity(self, node: _Node) -> None:
        self.started.append(("event", ""))
        known = self.next_request < len(self.requests)
        request = self.requests[self.next_request] if known else None
        self.next_request += 1
        self.wait_for(request or "", node)

    def start_compound(self, action: WhenAll | WhenAny, node: _Node) -> None:
        """Children from left to right; an empty one is finished."""
        count = len(action.children)
        inner = _Node(node, count if isinstance(action, WhenAll) else min(1, count))
        node.children.append(inner)
        for child in action.children:
            leaf = _Node(inner)
            inner.children.append(leaf)
            self.start(child, leaf)
        if not count:
            inner.done = True
            node.finish_one()

    def start_call(self, action: CallActivity | CallSubOrchestrator, node: _Node) -> None:
        attempts = action.retry.max_attempts if action.retry is not None else 1
        if attempts < 1:
            return
        self.attempt(action, node, attempts - 1)

    def attempt(
        self, action: CallActivity | CallSubOrchestrator, node: _Node, attempts_left: int
    ) -> None:
        kind = "activity" if isinstance(action, CallActivity) else "child"
        task_id = self.take_id(node, (kind, action.name.lower()))
        if action.retry is not None:
            self.open[task_id].again = action
            self.open[task_id].attempts_left = attempts_left

    def take_id(self, node: _Node, what: Started) -> int:
        task_id = len(self.started)
        self.started.append(what)
        self.open[task_id] = _Attempt(node)
        node.open_id = task_id
        return task_id

    def wait_for(self, name: str, node: _Node) -> None:
        """Names are compared without case; an event that came early is taken, the oldest first."""
        key = name.lower()
        node.event = key
        if self.buffered.get(key):
            self.buffered[key].popleft()
            node.finish_one()
        else:
            self.waiters.setdefault(key, []).append(node)

    # --- history ----------------------------------------------------------------------------------------------

    def apply(self, event: HistoryEvent) -> None:
        match event:
            case TaskCompleted() | SubOrchestrationCompleted():
                self.finish(event.task_scheduled_id, failed=False)
            case TaskFailed() | SubOrchestrationFailed():
                self.finish(event.task_scheduled_id, failed=True)
            case TimerFired():
                self.finish(event.timer_id, failed=False)
            case EventRaised():
                self.raised(event)
            case _:
                return
        self.go_on()

    def finish(self, task_id: int, *, failed: bool) -> None:
        attempt = self.open.pop(task_id, None)
        if attempt is None:
            return
        if attempt.is_delay and isinstance(attempt.again, CallActivity | CallSubOrchestrator):
            if attempt.attempts_left:
                self.attempt(attempt.again, attempt.node, attempt.attempts_left - 1)
            else:
                attempt.node.finish_one()
        elif failed and attempt.again is not None:
            delay_id = self.take_id(attempt.node, ("timer", ""))
            delay = self.open[delay_id]
            delay.again, delay.attempts_left = attempt.again, attempt.attempts_left
            delay.is_delay = True
        else:
            attempt.node.finish_one()

    def raised(self, event: EventRaised) -> None:
        """The newest waiter gets it; one that was replaced by a finished compound still counts as a waiter."""
        if self.continues:
            self.carried += 1
            return
        key = event.name.lower()
        waiting = self.waiters.get(key)
        if waiting:
            waiting.pop().finish_one()
        else:
            early = self.buffered.setdefault(key, deque())
            early.append(None)
            if len(early) > 1:
                self.early_event = event.name

    def view(self) -> ShimView:
        blocked = self.current is not None and not self.current.done
        return ShimView(
            started=tuple(self.started),
            blocked_at=self.next_action - 1 if blocked else None,
            waits_for_tasks=blocked and self._has_open_task(self.current),
            carried=self.carried,
            early_event=self.early_event,
        )

    def _has_open_task(self, node: _Node | None) -> bool:
        if node is None or node.done:
            return False
        if node.open_id is not None and any(a.node is node for a in self.open.values()):
            return True
        return any(self._has_open_task(child) for child in node.children)


def view(
    actions: Sequence[Action], feed: Iterable[HistoryEvent], requests: Sequence[str | None] = ()
) -> ShimView:
    """Run the real host's loop.

    Args:
        actions: everything that the orchestrator asked for since the execution began, compounds as they are.
        feed: the history as the host processes it.
        requests: ids under which the answers to calls of entities come, in the order of the calls.
    """
    loop = _Loop(actions, requests)
    loop.go_on()
    for event in feed:
        loop.apply(event)
    return loop.view()
