"""What the recorded results of a worker become: rows, messages and status, against those of the real product."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from bindings.oop_schema import ContextSettings
from emulator.core.episode import Closed, EpisodeSettings, Execution, begin, decide
from emulator.core.events import ExecutionStarted, HistoryEvent, OrchestratorStarted
from emulator.core.ids import ExecutionId
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage
from emulator.core.parity import Rule
from emulator.core.replay import Rules
from emulator.wire import history_row, instance_row
from emulator.wire.event_table import SPECS
from tests import vectors
from tests.support.normalised import plain_columns, plain_message, without_ids
from tests.support.recorded import (
    RecordedInstance,
    Script,
    ScriptedExecution,
    entities,
    instances,
)
from tests.support.rows import written

SETTINGS = ContextSettings(
    long_timer_interval=timedelta(days=3),
    max_short_timer=timedelta(days=6),
    default_http_sleep=timedelta(seconds=30),
)
BY_NUMBER = {spec.number: spec.name for spec in SPECS}
ACTIVITIES = (
    "Hello",
    "Echo",
    "Result",
    "Flaky",
    "Slow2",
    "Bad",
    "Big",
    "ReturnsNull",
    "ReturnsNothing",
    "SlowHello",
)
ORCHESTRATORS = ("Orch", "Child", "ChildFails", "ChildWaits")
RULES = Rules(
    activities={name.lower(): name for name in ACTIVITIES},
    orchestrators={name.lower(): name for name in ORCHESTRATORS},
    entities={"counter": "Counter"},
    refuses_unknown=True,
)


DIFFERENT = {
    "activity_unknown": Rule.UNKNOWN_FUNCTION,
    "suborch_unknown": Rule.UNKNOWN_FUNCTION,
    "entity_unknown_call": Rule.UNKNOWN_FUNCTION,
    "suborch_same_id": Rule.CHILD_WITH_OWN_ID,
    "retry_zero_attempts": Rule.NO_ATTEMPTS,
    "not_done_no_actions": Rule.NOTHING_OPEN,
    "nondeterministic": None,
    "nondeterministic_kind": None,
}
"""Scenarios in which the real product hangs, or runs what a failed replay decided: ours fails at once, by this rule
(None: with the recorded text of the non-determinism error, but nothing of that replay is stored)."""


@dataclass
class Left:
    """What an instance left behind."""

    contexts: list[tuple[str, str]] = field(default_factory=list)
    rows: list[HistoryEvent] = field(default_factory=list)
    messages: list[OutboundMessage] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    execution: ExecutionId | None = None
    deviation: Rule | None = None


class Driver:
    """Feeds the recorded inboxes to the core, with the recorded answers, one episode after the other."""

    def __init__(self, recorded: RecordedInstance) -> None:
        self._recorded = recorded
        self._script = Script(recorded.episodes)
        self._ids = new_execution_ids(recorded)
        self._execution = Execution(EpisodeSettings(rules=RULES))
        self._runner = ScriptedExecution("", self._script, SETTINGS)
        self.left = Left(contexts=self._script.given)

    def run(self) -> Left:
        for episode in self._recorded.episodes:
            if not episode.continues:
                self._run_episode(episode.events)
        return self.left

    def _run_episode(self, events: list[HistoryEvent]) -> None:
        place = max(i for i, event in enumerate(events) if isinstance(event, OrchestratorStarted))
        now = events[place].timestamp
        start = events[place + 1]
        if (
            self._execution.state.is_terminal
        ):  # it was rewound: go on from what that made of the rows
            self._execution = Execution(EpisodeSettings(rules=RULES), events[:place])
            self._open()
            self.left.rows = events[:place]
        if isinstance(start, ExecutionStarted):
            self.left.columns = dict(
                instance_row.created_columns(start, task_hub="TestHub", now=now)
            )
        before = begin(self._execution, events[place + 1 :], now)
        self._close(self._decide(before, now), now)

    def _open(self) -> None:
        started = self._execution.state.started
        assert started is not None
        self._runner = ScriptedExecution(started.name, self._script, SETTINGS)

    def _decide(self, before: int, now: Instant) -> Closed:
        if before == 0:
            self._open()
        while True:
            outcome = decide(
                self._execution,
                self._runner.advance(self._execution.feed.events),
                now=now,
                new_execution_id=lambda: next(self._ids),
                before=before,
            )
            self.left.messages.extend(outcome.outbox)
            if isinstance(outcome, Closed):
                return outcome
            self._execution, before = outcome.execution, 0
            self.left.rows.clear()
            self._open()

    def _close(self, closed: Closed, now: Instant) -> None:
        left = self.left
        left.rows.extend(closed.new_rows)
        left.execution = self._execution.state.execution_id
        assert left.execution is not None
        left.deviation = closed.deviation.rule if closed.deviation else None
        left.columns.update(
            instance_row.checkpoint_columns(
                closed.new_rows,
                execution=left.execution,
                custom_status=closed.custom_status,
                task_hub="TestHub",
                now=now,
            )
        )


def new_execution_ids(recorded: RecordedInstance) -> Iterator[str]:
    """The execution ids that the real product drew, in order: of continued executions and of children."""
    for episode in recorded.episodes:
        if episode.continues:
            yield str(episode.events[1].instance.execution_id)  # type: ignore[union-attr]
    for envelope in recorded.sent:
        event = envelope.envelope.task_message.event
        if isinstance(event, ExecutionStarted):
            yield str(event.instance.execution_id)


# --- comparing --------------------------------------------------------------------------------------------------

DECIDED = frozenset(
    {
        "TaskScheduled",
        "TimerCreated",
        "SubOrchestrationInstanceCreated",
        "EventSent",
        "ExecutionCompleted",
        "OrchestratorCompleted",
    }
)


_TIME_OF_EVENT = re.compile(r'("Timestamp": *)"[^"]*"')
_STACK = re.compile(r"(Stack: |StackTrace: )(?:[^\"\\]|\\.)*")


def plain_context(text: str, recorded: RecordedInstance) -> str:
    """The text, byte for byte, without what no two runs share: times of decisions, ids of requests, stacks."""
    for place, (at, end) in reversed([*enumerate(members_of(text))]):
        member = _STACK.sub(r"\1", text[at:end])
        number = json.loads(text[at:end])["EventType"]
        if BY_NUMBER[number] in DECIDED or (recorded.continues and place < 2):
            member = _TIME_OF_EVENT.sub(r"\1null", member)
        text = f"{text[:at]}{without_ids(member)}{text[end:]}"
    return text


def members_of(text: str) -> Iterator[tuple[int, int]]:
    """Where the events of a context's history begin and end."""
    at = text.index("[")
    while text[at] != "]":
        at = text.index("{", at)
        _, end = json.JSONDecoder().raw_decode(text, at)
        yield at, end
        at = min(place for sign in ",]" if (place := text.find(sign, end)) >= 0)


# --- tests -------------------------------------------------------------------------------------------------------

INSTANCES = [
    pytest.param(recorded, id=f"{recorded.scenario}-{number}")
    for scenario in vectors.oop_scenarios()
    for number, recorded in enumerate(instances(scenario))
]
SAME = [p for p in INSTANCES if p.values[0].scenario not in DIFFERENT]
OTHER = [p for p in INSTANCES if p.values[0].scenario in DIFFERENT]


@pytest.mark.parametrize("recorded", SAME)
def test_every_context_is_the_recorded_one(recorded: RecordedInstance) -> None:
    left = Driver(recorded).run()
    assert len(left.contexts) == len(recorded.episodes)
    for given, expected in left.contexts:
        assert plain_context(given, recorded) == plain_context(expected, recorded)


@pytest.mark.parametrize("recorded", SAME)
def test_the_rows_are_the_recorded_ones(recorded: RecordedInstance) -> None:
    left = Driver(recorded).run()
    ours = [
        plain_columns(columns, is_decision=columns["EventType"] in DECIDED)
        for columns in (history_row.encode(event, left.execution) for event in left.rows)
    ]
    theirs = [
        plain_columns(columns, is_decision=columns["EventType"] in DECIDED)
        for columns in map(written, recorded.rows)
    ]
    theirs = [unrewound(columns) for columns in theirs]
    if recorded.continues:
        ours, theirs = map(without_times_of_a_continued_execution, (ours, theirs))
    assert ours == theirs


def unrewound(columns: dict[str, Any]) -> dict[str, Any]:
    """A row that a rewind undid keeps its columns; an episode only sees that it is generic."""
    if columns["EventType"] != "GenericEvent" or "Reason" not in columns:
        return columns
    kept = ("EventId", "IsPlayed", "_Timestamp", "EventType", "ExecutionId")
    return {name: columns[name] for name in kept}


def without_times_of_a_continued_execution(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """It begins in the middle of an episode, at a time that only the machine knows."""
    return [{**row, "_Timestamp": None} if place < 3 else row for place, row in enumerate(rows)]


@pytest.mark.parametrize("recorded", SAME)
def test_the_messages_are_the_recorded_ones(recorded: RecordedInstance) -> None:
    left = Driver(recorded).run()
    theirs = sorted(recorded.sent, key=lambda s: plain_message(s.envelope.task_message))
    messages = sorted(left.messages, key=lambda m: plain_message(m.message))
    assert [plain_message(m.message) for m in messages] == [
        plain_message(s.envelope.task_message) for s in theirs
    ]
    for outbound, sent in zip(messages, theirs, strict=True):
        assert outbound.message.context_tags == sent.envelope.task_message.context_tags
        due = outbound.not_before
        earliest = due.minus(sent.envelope.task_message.event.timestamp) if due else timedelta(0)
        delayed = max(0, earliest // timedelta(seconds=1))
        assert sent.visibility_timeout_s in (None, delayed, delayed - 1), "theirs is cut to seconds"


@pytest.mark.parametrize("recorded", SAME)
def test_the_status_is_the_recorded_one(recorded: RecordedInstance) -> None:
    left = Driver(recorded).run()
    ours, theirs = plain_columns(left.columns), plain_columns(written(recorded.columns))
    if recorded.continues:
        assert ours.pop("CreatedTime")
        assert theirs.pop("CreatedTime")
    assert ours == theirs


@pytest.mark.parametrize("recorded", OTHER)
def test_where_the_real_product_hangs_ours_fails_and_says_so(recorded: RecordedInstance) -> None:
    left = Driver(recorded).run()
    assert left.deviation == DIFFERENT[recorded.scenario]
    assert left.columns["RuntimeStatus"] == "Failed"
    if left.deviation is None:
        [output] = [
            row["Result"] for row in recorded.rows if row["EventType"] == "ExecutionCompleted"
        ]
        assert left.columns["Output"] == output
        assert [type(row).__name__ for row in left.rows][-2:] == [
            "ExecutionCompleted",
            "OrchestratorCompleted",
        ]
    else:
        assert "On Azure" in left.columns["Output"]


def test_every_file_is_compared() -> None:
    """That of the client's binding in tests/http/test_client_binding.py."""
    compared = {p.values[0].scenario for p in INSTANCES}
    compared |= {scenario for scenario in vectors.oop_scenarios() if entities(scenario)}
    assert set(vectors.oop_scenarios()) - compared == {"client_binding"}
    assert {p.values[0].scenario for p in OTHER} == set(DIFFERENT)
