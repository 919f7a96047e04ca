"""Tells where the real host would not do what this one does with the same orchestrator.

Both are shown the same actions and the same history: core.replay, which follows the app's SDK, and core.shim, which
awaits as the real host does. Histories are compared only while they are short enough for the comparison to cost
nothing that a user would notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from emulator.core import shim
from emulator.core.actions import (
    Action,
    CallActivity,
    CallEntity,
    CallHttp,
    CallSubOrchestrator,
    CreateTimer,
    WaitForEvent,
    WhenAll,
    WhenAny,
    leaves,
)
from emulator.core.events import EventRaised, HistoryEvent
from emulator.core.parity import Deviation

FEED_MAX: Final = 1000
"""Rows of a history beyond which nothing is compared."""


class Asked:
    """Everything that an orchestrator has asked for in one execution, compounds as they are."""

    __slots__ = ("_cancelled", "_leaves", "actions", "is_simple", "places")

    def __init__(self) -> None:
        """Nothing yet."""
        self.actions: list[Action] = []
        self.places: list[str | None] = []
        self.is_simple = True
        """Whether calls and timers were only ever awaited one by one: then both hosts agree."""
        self._leaves = 0
        self._cancelled: set[int] = set()

    def add(self, actions: Sequence[Action], where: str | None) -> None:
        """Take what was asked for at one place of the app's code."""
        for action in actions:
            self.actions.append(action)
            self.places.append(where)
            self.is_simple = self.is_simple and _is_simple(action)

    def cancel(self, leaf: int) -> None:
        """The timer that was the leaf-th action has been cancelled."""
        self.is_simple = False
        self._cancelled.add(leaf)

    def as_sent(self) -> list[Action]:
        """The actions as the SDK would send them now: cancelled timers say so."""
        numbers = iter(range(1 << 62))
        return [self._marked(action, numbers) for action in self.actions]

    def _marked(self, action: Action, numbers: Iterator[int]) -> Action:
        if isinstance(action, WhenAll | WhenAny):
            return replace(
                action, children=tuple(self._marked(child, numbers) for child in action.children)
            )
        leaf = next(numbers)
        if leaf in self._cancelled and isinstance(action, CreateTimer):
            return replace(action, cancelled=True)
        return action


def find(
    asked: Asked,
    feed: Sequence[HistoryEvent],
    *,
    started: Sequence[shim.Started],
    requests: Sequence[str | None],
    carried: int,
    ended: bool,
) -> Deviation | None:
    """What the real host would do otherwise, the worst first; None if it would do the same.

    Args:
        started: what was started here, by task id.
        requests: ids under which the answers to calls of entities come.
        carried: how many events go over into the next execution.
        ended: whether the orchestrator has returned or raised.
    """
    if asked.is_simple or len(feed) > FEED_MAX:
        return None
    actions = asked.as_sent()
    view = shim.view(actions, feed, requests)
    if view.carried > carried:
        names = [event.name for event in feed if isinstance(event, EventRaised)]
        return Deviation.event_twice(names[-1])
    shifted = _shifted(view.started, started)
    if shifted is not None:
        return Deviation.other_ids(shifted, "")
    at = view.blocked_at
    if at is not None:
        what, where = describe(actions[at]), place_text(asked.places[at])
        went_on = at + 1 < len(actions)
        if view.waits_for_tasks and went_on:
            return Deviation.starts_later(what, where)
        if not view.waits_for_tasks and (went_on or ended):
            return Deviation.waits_for_ever(what, where)
    if view.early_event is not None:
        return Deviation.early_events(view.early_event)
    return _other_case(actions, feed)


def _shifted(theirs: Sequence[shim.Started], ours: Sequence[shim.Started]) -> int | None:
    return next(
        (i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b),
        None,
    )


def _other_case(actions: Sequence[Action], feed: Sequence[HistoryEvent]) -> Deviation | None:
    """An event that is awaited under a name of other case only."""
    awaited = {action.name for action in leaves(actions) if isinstance(action, WaitForEvent)}
    by_lower = {name.lower(): name for name in awaited}
    for event in feed:
        if isinstance(event, EventRaised) and event.name not in awaited:
            other = by_lower.get(event.name.lower())
            if other is not None:
                return Deviation.event_name_case(event.name, other)
    return None


def describe(action: Action) -> str:
    """An action as a person would name it."""
    match action:
        case WhenAll():
            return f"all of ({', '.join(map(describe, action.children))})"
        case WhenAny():
            return f"any of ({', '.join(map(describe, action.children))})"
        case WaitForEvent():
            return f"the event '{action.name}'"
        case CallActivity():
            return f"the activity '{action.name}'"
        case CallSubOrchestrator():
            return f"the sub-orchestration '{action.name}'"
        case CreateTimer():
            return "a timer"
        case CallEntity():
            return f"the entity '{action.instance_id}'"
        case CallHttp():
            return "an HTTP call"
        case _:
            return "an action"


def place_text(where: str | None) -> str:
    """A place of the app's code, behind what was asked for there."""
    return f" ({where})" if where else ""


def _is_simple(action: Action) -> bool:
    match action:
        case WhenAll() | WhenAny():
            return len(action.children) == 1 and all(map(_is_simple, action.children))
        case WaitForEvent():
            return False
        case _:
            return True
