"""Texts for a replay that deviates from its history.

Source: DurableTask.Core, TaskOrchestrationContext; the activity texts are recorded, blanks included.
"""

from __future__ import annotations

from typing import assert_never

from emulator.core.decisions import Decision, ScheduleActivity, SendEvent, SetTimer, StartChild
from emulator.core.events import (
    EventSent,
    SubOrchestrationCreated,
    TaskScheduled,
    TimerCreated,
)

DecisionRow = TaskScheduled | TimerCreated | SubOrchestrationCreated | EventSent

_HEAD = "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
_TAIL = (
    "Was a change made to the orchestrator code after this instance had already started running?"
)


class NonDeterminismError(Exception):
    """The replay and the stored history disagree; the text becomes the instance's output.

    `explanation` says the same for whoever wrote the code: what the history has, and what was asked for now; `place`
    is where the code asked, if that is known.
    """

    def __init__(self, message: str, *, row: DecisionRow, decision: Decision | None) -> None:
        super().__init__(message)
        asked = "nothing" if decision is None else _plainly(decision)
        self.place: str | None = None
        self.explanation = (
            f"the history has {_what(row)}{_named(row)} as number {row.event_id}, and the code now asked for {asked} "
            "there"
        )


def check(row: DecisionRow, decision: Decision | None) -> None:
    """Compare a stored decision with what the replay produced under the same task id.

    Kind and, without case, name are compared; inputs and due times are not.

    Raises:
        NonDeterminismError: they differ.
    """
    if decision is None:
        raise NonDeterminismError(f"{_HEAD}{_missing(row)}{_TAIL}", row=row, decision=decision)
    if not isinstance(decision, _kind(row)):
        raise NonDeterminismError(
            f"{_HEAD}{_what(row)} with sequence number {row.event_id}{_named(row)}, but the current "
            f"orchestration replay instead produced a {_clr_name(decision)} action with this sequence number. {_TAIL}",
            row=row,
            decision=decision,
        )
    there, here = _row_name(row), _decision_name(decision)
    if there.lower() != here.lower():
        raise NonDeterminismError(
            f"{_HEAD}{_what(row)} with sequence number {row.event_id}{_named(row)}, but the current "
            f"orchestration replay instead scheduled {_what(row)} named '{here}' with this sequence number.  {_TAIL}",
            row=row,
            decision=decision,
        )


def _missing(row: DecisionRow) -> str:
    name = _row_name(row)
    named = ""
    if isinstance(row, TaskScheduled):
        named = f" and name '{name}' (version '{row.version or ''}')"
    elif isinstance(row, SubOrchestrationCreated):
        named = (
            f" and name '{name}' (version '{row.version or ''}', instance ID '{row.instance_id}')"
        )
    elif isinstance(row, EventSent):
        named = f" and name '{name}' (instance ID '{row.instance_id}')"
    return (
        f"{_what(row)} with sequence ID {row.event_id}{named}, but the current replay execution "
        "hasn't (yet?) scheduled this task. "
    )


def _kind(row: DecisionRow) -> type[Decision]:
    match row:
        case TaskScheduled():
            return ScheduleActivity
        case TimerCreated():
            return SetTimer
        case SubOrchestrationCreated():
            return StartChild
        case EventSent():
            return SendEvent
        case _:
            assert_never(row)


def _what(row: DecisionRow) -> str:
    match row:
        case TaskScheduled():
            return "an activity task"
        case TimerCreated():
            return "a timer task"
        case SubOrchestrationCreated():
            return "a sub-orchestration task"
        case EventSent():
            return "a send event task"
        case _:
            assert_never(row)


def _clr_name(decision: Decision) -> str:
    match decision:
        case ScheduleActivity():
            return "ScheduleTaskOrchestratorAction"
        case SetTimer():
            return "CreateTimerOrchestratorAction"
        case StartChild():
            return "CreateSubOrchestrationAction"
        case SendEvent():
            return "SendEventOrchestratorAction"
        case _:
            assert_never(decision)


def _row_name(row: DecisionRow) -> str:
    return "" if isinstance(row, TimerCreated) else row.name


def _decision_name(decision: Decision) -> str:
    return "" if isinstance(decision, SetTimer) else decision.name


def _named(row: DecisionRow) -> str:
    name = _row_name(row)
    return f" named '{name}'" if name else ""


def _plainly(decision: Decision) -> str:
    match decision:
        case ScheduleActivity():
            return f"the activity '{decision.name}'"
        case SetTimer():
            return "a timer"
        case StartChild():
            return f"the sub-orchestration '{decision.name}'"
        case SendEvent():
            return f"an event or entity operation for '{decision.instance_id}'"
        case _:
            assert_never(decision)
