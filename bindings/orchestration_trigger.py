"""Runs the app's orchestrators: the SDK's own executor, fed row by row and kept alive between episodes.

The executor of azure-functions-durable 1.x drives a generator over history events. It is fed here one event at a
time, so that what the orchestrator asks for is known at the very event that made it ask. A function that is no such
generator is called with the whole context each time, as the real host does.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bindings.oop_schema import (
    ContextSettings,
    State,
    StateError,
    context_text,
    custom_status_refusal,
    read_failure,
    read_state,
)
from bindings.sdk_run import SdkRun
from emulator.core.actions import Action, CreateTimer, leaves
from emulator.core.events import (
    EventSent,
    ExecutionCompleted,
    HistoryEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationCreated,
    TaskScheduled,
    TimerCreated,
)
from emulator.core.turn import Outcome, Step, Turn
from emulator.log import fields, get_logger

_log = get_logger("emulator.bindings.orchestration_trigger")
_STACK_PREFIX = "   at "


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorFunction:
    """A registered orchestrator: its durable name, what the worker would call, and where it was defined."""

    name: str
    handle: Callable[[str], object]
    file: str = ""


class Orchestrators:
    """All orchestrators of an app (engine.ports.OrchestratorRunner)."""

    def __init__(
        self,
        functions: Sequence[OrchestratorFunction],
        settings: ContextSettings,
        *,
        always_replay: bool = False,
    ) -> None:
        """Take the functions that loaded; names are compared without case."""
        self._functions = {function.name.lower(): function for function in functions}
        self._names = tuple(function.name for function in functions)
        self._settings = settings
        self._always_replay = always_replay

    @property
    def names(self) -> Sequence[str]:
        """Registered orchestrators, as the app spells them."""
        return self._names

    def open(self, name: str) -> SdkExecution | StatelessExecution | UnknownExecution:
        """A fresh execution; an unknown name gives one that fails and says so."""
        function = self._functions.get(name.lower())
        if function is None:
            return UnknownExecution(name, self._names)
        generator = getattr(function.handle, "orchestrator_function", None)
        if generator is None:
            return StatelessExecution(name, function.handle, self._settings)
        return SdkExecution(
            name, function, generator, self._settings, always_replay=self._always_replay
        )


class UnknownExecution:
    """An orchestrator that the app does not have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        """Remember what to say."""
        listed = ", ".join(f"'{value}'" for value in known)
        info = (
            f"The following are the known orchestrator functions: {listed}."
            if known
            else "No orchestrator functions are currently registered!"
        )
        self._message = (
            f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function. "
            f"Additional info: {info}"
        )
        self._name = name

    def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
        """Fail."""
        return failed_turn(self._name, self._message)

    def close(self) -> None:
        """Nothing to let go of."""


def failed_turn(name: str, message: str, *, details: str | None = None) -> Turn:
    """A turn in which nothing was asked for and the orchestration fails."""
    return Turn(
        steps=(),
        outcome=Outcome(failure=failure_text(name, message), failure_details=details),
        from_start=True,
    )


def failure_text(name: str, message: str) -> str:
    """An orchestration's output when it fails."""
    return f"Orchestrator function '{name}' failed: {message}"


def details_text(message: str, stack: str) -> str:
    """What a parent gets beside a child's failure text."""
    return f"Message: {message}, StackTrace: {stack}"


def _stack_lines(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{_STACK_PREFIX}{f.name} in {f.filename}:line {f.lineno}" for f in reversed(frames)]
    return "\n".join(lines) or f"{_STACK_PREFIX}{type(error).__name__}"


def worker_message(error: BaseException) -> str:
    """The text that a worker reports for an exception that carries no state."""
    stack = "".join(traceback.format_tb(error.__traceback__))
    return f"Result: Failure\nException: {type(error).__name__}: {error}\nStack: {stack}"


# --- the SDK's generator ----------------------------------------------------------------------------------------


class SdkExecution:
    """A generator orchestrator under the SDK's executor."""

    def __init__(
        self,
        name: str,
        function: OrchestratorFunction,
        generator_function: Callable[[Any], object],
        settings: ContextSettings,
        *,
        always_replay: bool,
    ) -> None:
        """Nothing runs before the first advance()."""
        self._name = name
        self._function = function
        self._generator_function = generator_function
        self._settings = settings
        self._always_replay = always_replay
        self._run: SdkRun | None = None

    def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
        """Feed what is new, or everything."""
        try:
            return self._advance(feed)
        except Exception as error:  # noqa: BLE001 - the SDK or code outside its care raised
            self.close()
            _log.error(
                "orchestrator failed outside of its own code",
                exc_info=error,
                extra=fields("function_user_error", function=self._name),
            )
            message = f"One or more errors occurred. ({worker_message(error)})"
            return failed_turn(
                self._name, message, details=details_text(message, _stack_lines(error))
            )

    def close(self) -> None:
        """Close the user's generator, so that its finally blocks run now."""
        run, self._run = self._run, None
        if run is not None:
            run.close()

    def _advance(self, feed: Sequence[HistoryEvent]) -> Turn:
        fresh = self._always_replay or self._run is None
        if fresh:
            self.close()
            self._run = SdkRun(
                self._function.handle, self._generator_function, feed, self._settings
            )
        run = self._run
        assert run is not None
        steps = tuple(run.feed(feed))
        outcome = self._outcome(run)
        refusal = custom_status_refusal(outcome.custom_status)
        if refusal is not None:
            self.close()
            turn = failed_turn(self._name, refusal)
            return replace(turn, outcome=replace(turn.outcome, custom_status=None))
        return Turn(steps=steps, outcome=outcome, from_start=fresh)

    def _outcome(self, run: SdkRun) -> Outcome:
        error = run.error
        if error is None:
            return Outcome(done=run.returned, output=run.output, custom_status=run.custom_status)
        text = str(error) or str(type(error))
        return Outcome(
            failure=failure_text(self._name, text),
            failure_details=details_text(text, _stack_lines(error)),
            custom_status=run.custom_status,
        )


# --- any other function -----------------------------------------------------------------------------------------

_DECISION_ROWS = (
    TaskScheduled,
    TimerCreated,
    SubOrchestrationCreated,
    EventSent,
    ExecutionCompleted,
)


class StatelessExecution:
    """An orchestrator that is called with its whole context and returns all its actions, each time.

    To know at which episode an action first came, the calls of earlier episodes are repeated when it begins anew.
    """

    def __init__(
        self, name: str, handle: Callable[[str], object], settings: ContextSettings
    ) -> None:
        """Nothing is called before the first advance()."""
        self._name = name
        self._handle = handle
        self._settings = settings
        self._seen = 0
        self._actions: tuple[Action, ...] = ()
        self._counts: list[tuple[int, int]] = []
        """Where each call's context ended, and how many actions there were by then."""

    def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
        """Call the function for every episode that it was not called for."""
        fresh = self._seen == 0
        steps: list[Step] = []
        outcome = Outcome()
        for end in _episode_ends(feed, self._seen):
            state, outcome = self._call(feed[:end])
            if state is None:
                return Turn(steps=(), outcome=outcome, from_start=True)
            if _deviates(self._actions, state.actions):
                return self._from_start(end, state.actions, outcome)
            steps.append(self._step(end - 1, state.actions))
        self._seen = len(feed)
        return Turn(steps=tuple(steps), outcome=outcome, from_start=fresh)

    def close(self) -> None:
        """Nothing to let go of."""

    def _step(self, position: int, actions: tuple[Action, ...]) -> Step:
        known, self._actions = self._actions, actions
        self._counts.append((position, len(actions)))
        return Step(
            position=position,
            actions=actions[len(known) :],
            cancelled=tuple(_newly_cancelled(known, actions)),
        )

    def _from_start(self, end: int, actions: tuple[Action, ...], outcome: Outcome) -> Turn:
        """What was asked for before is asked for no more: give all of it anew, so that the history can object."""
        places = [*self._counts, (end - 1, len(actions))]
        starts = [0, *(count for _, count in self._counts)]
        steps = [
            Step(position=position, actions=actions[start:count])
            for start, (position, count) in zip(starts, places, strict=True)
        ]
        return Turn(steps=tuple(steps), outcome=outcome, from_start=True)

    def _call(self, events: Sequence[HistoryEvent]) -> tuple[State | None, Outcome]:
        try:
            returned = self._handle(context_text(events, self._settings))
            state = read_state(returned)
        except StateError as error:
            return None, failed_turn(self._name, str(error)).outcome
        except Exception as error:  # noqa: BLE001 - user code
            return self._raised(error)
        return self._accepted(state)

    def _accepted(self, state: State) -> tuple[State | None, Outcome]:
        refusal = custom_status_refusal(state.custom_status)
        if refusal is not None:
            return None, failed_turn(self._name, refusal).outcome
        if state.error is not None:
            text = "Object reference not set to an instance of an object."
            return None, failed_turn(self._name, text).outcome
        outcome = Outcome(done=state.done, output=state.output, custom_status=state.custom_status)
        return state, outcome

    def _raised(self, error: Exception) -> tuple[State | None, Outcome]:
        _, state = read_failure(str(error))
        if state is None or state.error is None:
            message = f"One or more errors occurred. ({worker_message(error)})"
            details = details_text(message, _stack_lines(error))
            return None, failed_turn(self._name, message, details=details).outcome
        outcome = Outcome(
            failure=failure_text(self._name, state.error),
            failure_details=details_text(state.error, _stack_lines(error)),
            custom_status=state.custom_status,
        )
        return state, outcome


def _episode_ends(feed: Sequence[HistoryEvent], seen: int) -> Iterator[int]:
    """Where each episode's context ended: behind what it received, before what it decided."""
    index = seen
    while index < len(feed):
        if not isinstance(feed[index], OrchestratorStarted):
            index += 1
            continue
        index += 1
        while index < len(feed) and not _ends_context(feed, index):
            index += 1
        yield index


def _ends_context(feed: Sequence[HistoryEvent], index: int) -> bool:
    row = feed[index]
    if isinstance(row, OrchestratorCompleted):
        inner = row.is_played or index + 1 == len(feed)
        decided = index + 1 < len(feed) and isinstance(feed[index + 1], _DECISION_ROWS)
        return not (inner or decided)
    return isinstance(row, (*_DECISION_ROWS, OrchestratorStarted))


def _deviates(before: Sequence[Action], after: Sequence[Action]) -> bool:
    """Whether actions that are known differ now; a timer that was cancelled since does not count."""
    known, now = list(leaves(before)), list(leaves(after))
    if len(now) < len(known):
        return True
    return any(
        old != new and not (isinstance(old, CreateTimer) and isinstance(new, CreateTimer))
        for old, new in zip(known, now, strict=False)
    )


def _newly_cancelled(before: Sequence[Action], after: Sequence[Action]) -> Iterator[int]:
    was = list(leaves(before))
    for leaf, (old, new) in enumerate(zip(was, leaves(after), strict=False)):
        if isinstance(new, CreateTimer) and new.cancelled and old != new:
            yield leaf
