"""What an orchestrator answered in one episode.

A turn says after which of the events it was fed the orchestrator asked for what, because task ids are given out in
that order. Nothing here is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core.actions import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was asked for after the event at `position` of the feed had been given.

    `where` is the place in the app's code that asked (`file, line n`), if it is known. `cancelled` lists timers by
    their place among all leaf actions of the execution, counted from 0 in the order in which they were asked for.
    """

    position: int
    actions: tuple[Action, ...] = ()
    cancelled: tuple[int, ...] = ()
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the orchestrator stands after the turn.

    Attributes:
        done: it returned (a continue-as-new is an action, not this).
        output: JSON text of what it returned, None for a null.
        failure: the text it fails with, complete as it becomes the instance's output; None if it did not.
        failure_details: what a parent gets beside that text.
        custom_status: JSON text, None if none is set now.
    """

    done: bool = False
    output: str | None = None
    failure: str | None = None
    failure_details: str | None = None
    custom_status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Steps in order of position, and the outcome.

    `from_start` means that the steps cover the execution from its first event, so whatever was kept of earlier
    turns is void.
    """

    steps: tuple[Step, ...]
    outcome: Outcome
    from_start: bool = False
