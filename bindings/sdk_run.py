"""The SDK's own executor, fed row by row and kept alive between episodes.

The executor of azure-functions-durable 1.x drives a generator over history events. It is fed here one event at a time,
so that what the orchestrator asks for is known at the very event that made it ask. Names of the SDK that begin with an
underscore are those of 1.x. Source: reference out-of-process-protocol.md 8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import GeneratorType, SimpleNamespace
from typing import Any, cast, overload

from bindings.oop_schema import ContextSettings, context_members, json_or_none, read_action
from bindings.sdk_speed import timestamp
from emulator.core.actions import Action
from emulator.core.events import (
    EventRaised,
    EventSent,
    ExecutionStarted,
    HistoryEvent,
    OrchestratorStarted,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from emulator.core.turn import Step
from emulator.wire.event_json import to_members

HEEDED = (
    OrchestratorStarted,
    ExecutionStarted,
    EventSent,
    EventRaised,
    TaskCompleted,
    TaskFailed,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TimerFired,
)
"""Rows that the SDK's executor acts upon."""


class Histories(Sequence[Any]):
    """The context's history: rows as the SDK's events, made when somebody looks at them."""

    def __init__(self) -> None:
        """No rows yet."""
        self._rows: list[HistoryEvent] = []
        self._made: dict[int, Any] = {}

    def add(self, row: HistoryEvent) -> None:
        """Append a row."""
        self._rows.append(row)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 - an event of the SDK
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """The SDK's event for a row, or for several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self._rows)))]
        place = range(len(self._rows))[index]
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = sdk_event(self._rows[place])
        return made


def sdk_event(row: HistoryEvent) -> Any:  # noqa: ANN401 - an event of the SDK
    """A row as the SDK has it."""
    members = cast("dict[str, Any]", to_members(row))
    members["Timestamp"] = timestamp(row.timestamp)
    return _sdk().HistoryEvent(**members)


@cache
def _sdk() -> SimpleNamespace:
    """What is used of the SDK, which only a host that runs an app needs to load."""
    from azure.durable_functions.models.DurableOrchestrationContext import (
        DurableOrchestrationContext,
    )
    from azure.durable_functions.models.history.HistoryEvent import HistoryEvent
    from azure.durable_functions.models.TaskOrchestrationExecutor import TaskOrchestrationExecutor
    from azure.durable_functions.models.utils.df_serialization import df_dumps

    return SimpleNamespace(
        DurableOrchestrationContext=DurableOrchestrationContext,
        TaskOrchestrationExecutor=TaskOrchestrationExecutor,
        HistoryEvent=HistoryEvent,
        df_dumps=df_dumps,
    )


class SdkRun:
    """A live context, executor and generator of the SDK, from the first row of an execution on."""

    def __init__(
        self,
        handle: Callable[[str], object],
        generator_function: Callable[[Any], object],
        feed: Sequence[HistoryEvent],
        settings: ContextSettings,
    ) -> None:
        """Call the user's function; nothing is fed yet."""
        sdk = _sdk()
        self._position = 0
        self._emitted = 0
        self._leaves = 0
        self._timers: dict[int, Any] = {}
        first_new = _last_start(feed)
        self._first_new = first_new
        members = context_members(feed[: _opening(feed)], settings)
        self._context: Any = sdk.DurableOrchestrationContext(**cast(dict[str, Any], members))
        self._context._input_expected_type = getattr(handle, "_df_input_type", None)
        self._histories = self._context._histories = Histories()
        self._executor: Any = sdk.TaskOrchestrationExecutor()
        self._executor.context = self._context
        self._executor.current_task.is_played = bool(members["isReplaying"]) or first_new > 0
        self._generator = generator_function(self._context)
        self._is_generator = isinstance(self._generator, GeneratorType)
        if self._is_generator:
            self._executor.generator = self._generator
        elif not self._context.will_continue_as_new:
            self._executor.orchestrator_returned = True
            self._executor.output = self._generator

    def feed(self, events: Sequence[HistoryEvent]) -> Iterator[Step]:
        """Give the executor the events it has not seen; yields where actions came out."""
        last = len(events) - 1
        while self._position <= last:
            position = self._position
            self._position += 1
            self._give(events[position], is_new=position >= self._first_new)
            actions = tuple(self._new_actions())
            cancelled = tuple(self._cancelled()) if position == last else ()
            if actions or cancelled:
                yield Step(
                    position=position, actions=actions, cancelled=cancelled, where=self._where()
                )
        self._first_new = 0

    def close(self) -> None:
        """Close the user's generator, so that its finally blocks run now."""
        if self._is_generator:
            cast("GeneratorType[Any, Any, Any]", self._generator).close()

    @property
    def returned(self) -> bool:
        """Whether the orchestrator has returned."""
        return bool(self._executor.orchestrator_returned)

    @property
    def error(self) -> Exception | None:
        """What the orchestrator raised, or why its output cannot be stored."""
        raised: Exception | None = self._executor.exception
        if raised is not None or not self.returned or self._executor.output is None:
            return raised
        try:
            json.dumps(self._executor.output)
        except (TypeError, ValueError, RecursionError) as error:
            return error
        return None

    @property
    def output(self) -> str | None:
        """JSON text of what it returned; None for a null, or while it runs."""
        return json_or_none(self._executor.output) if self.returned else None

    @property
    def custom_status(self) -> str | None:
        """As the SDK sends it: only if it is truthy, through its own serializer."""
        status: object = self._context.custom_status
        return compact_json(_sdk().df_dumps(status)) if status else None

    def _where(self) -> str | None:
        """The line of the user's code that is waiting now, in the innermost generator."""
        inner: Any = self._generator
        while isinstance(getattr(inner, "gi_yieldfrom", None), GeneratorType):
            inner = inner.gi_yieldfrom
        frame = getattr(inner, "gi_frame", None)
        return f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame else None

    def _give(self, event: HistoryEvent, *, is_new: bool) -> None:
        """Rows that the SDK's executor looks at are given to it; the others only count as history."""
        if is_new:
            self._executor._is_processing_new_events = True
        self._histories.add(event)
        is_live = self._is_generator and isinstance(event, HEEDED)
        if is_live and not self._executor.has_execution_completed:
            self._executor.process_event(self._histories[-1])

    def _new_actions(self) -> Iterator[Action]:
        emitted: list[Any] = self._context._action_payload_v2
        while self._emitted < len(emitted):
            item = emitted[self._emitted]
            self._emitted += 1
            yield read_action(item.to_json())
            self._note_timers(item)

    def _note_timers(self, item: Any) -> None:  # noqa: ANN401 - an SDK object
        """Number the leaf actions as the core does, and remember the timers that may be cancelled later."""
        children = getattr(item, "compound_tasks", None)
        if children is not None:
            for child in children:
                self._note_timers(child)
            return
        if hasattr(item, "is_cancelled") and not item.is_cancelled:
            self._timers[self._leaves] = item
        self._leaves += 1

    def _cancelled(self) -> Iterator[int]:
        for leaf in [leaf for leaf, item in self._timers.items() if item.is_cancelled]:
            del self._timers[leaf]
            yield leaf


def compact_json(text: str) -> str | None:
    """The same JSON value as the host stores it."""
    return json_or_none(json.loads(text))


def _opening(feed: Sequence[HistoryEvent]) -> int:
    """How many rows the context is made from: up to the second one, in which the start lies."""
    return min(2, len(feed))


def _last_start(feed: Sequence[HistoryEvent]) -> int:
    """Where the current episode begins in a feed."""
    for index in range(len(feed) - 1, -1, -1):
        if isinstance(feed[index], OrchestratorStarted):
            return index
    return 0
