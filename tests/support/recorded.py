"""Recorded instances, and an orchestrator that answers as the recorded app did."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from bindings.oop_schema import ContextSettings
from bindings.orchestration_trigger import StatelessExecution
from emulator.core.actions import ContinueAsNew
from emulator.core.events import (
    EventRaised,
    HistoryEvent,
    OrchestratorCompleted,
    TaskCompleted,
    TaskFailed,
)
from emulator.core.turn import Step, Turn
from emulator.wire.event_table import SPECS
from emulator.wire.queue_message import Envelope, build_event, decode_message
from tests import vectors

_SPEC_BY_NUMBER = {spec.number: spec for spec in SPECS}
_RAISED = re.compile(r"Result: Failure\nException: (\w+): (.*)\nStack: (.*)", re.DOTALL)


@dataclass(frozen=True)
class RecordedEpisode:
    """One call of the worker: what it was given and what it gave back, or raised."""

    context: str
    result: str | None
    exception_message: str | None

    @property
    def events(self) -> list[HistoryEvent]:
        return [context_event(member) for member in json.loads(self.context)["history"]]

    @property
    def continues(self) -> bool:
        """Whether it is the first of an execution that a continue-as-new began."""
        return isinstance(self.events[-1], OrchestratorCompleted)


def context_event(members: dict[str, Any]) -> HistoryEvent:
    return build_event(_SPEC_BY_NUMBER[members["EventType"]], members, "recorded context")


@dataclass(frozen=True)
class Sent:
    """A message as it was put."""

    envelope: Envelope
    visibility_timeout_s: int | None


@dataclass(frozen=True)
class RecordedInstance:
    """An orchestration of a scenario, with the rows and messages that the real product left."""

    scenario: str
    instance_id: str
    episodes: tuple[RecordedEpisode, ...]
    rows: tuple[dict[str, Any], ...]
    columns: dict[str, Any]
    sent: tuple[Sent, ...]
    """What its episodes sent, answers of its activities apart."""

    @property
    def continues(self) -> bool:
        """Whether it continued as new."""
        return any(episode.continues for episode in self.episodes)


def instances(scenario: str) -> list[RecordedInstance]:
    """The orchestrations of a scenario that the worker was called for."""
    recording = vectors.oop(scenario)
    sent = _sent(recording.get("queueMessages", []))
    return [
        RecordedInstance(
            scenario=scenario,
            instance_id=item["instanceId"],
            episodes=tuple(_episode(e) for e in item["episodes"]),
            rows=tuple(row for row in item["history"] if "EventType" in row),
            columns=item["instance"][0],
            sent=tuple(s for s in sent if _is_from(s.envelope, item["instanceId"])),
        )
        for item in recording.get("instances", [])
        if item["episodes"] and '"upperSchemaVersion"' in item["episodes"][0].get("context", "")
    ]


@dataclass(frozen=True)
class RecordedEntity:
    """An entity of a scenario, with what it was sent and what it left."""

    scenario: str
    instance_id: str
    batches: tuple[RecordedBatch, ...]
    rows: tuple[dict[str, Any], ...]
    columns: dict[str, Any]
    received: tuple[Sent, ...]
    sent: tuple[Sent, ...]


@dataclass(frozen=True)
class RecordedBatch:
    """One call of the entity's function."""

    context: str
    returned: object
    """As the host parsed it; None if the function raised."""

    @property
    def ids(self) -> set[str]:
        """Of the operations that it ran."""
        return {operation["id"] for operation in json.loads(self.context)["batch"]}


def entities(scenario: str) -> list[RecordedEntity]:
    """The entities of a scenario."""
    recording = vectors.oop(scenario)
    sent = _sent(recording.get("queueMessages", []))
    return [
        RecordedEntity(
            scenario=scenario,
            instance_id=item["instanceId"],
            batches=tuple(_batch(e) for e in item["episodes"]),
            rows=tuple(row for row in item["history"] if "EventType" in row),
            columns=item["instance"][0],
            received=tuple(
                s for s in sent if s.envelope.task_message.target.instance_id == item["instanceId"]
            ),
            sent=tuple(s for s in sent if _is_from(s.envelope, item["instanceId"])),
        )
        for item in recording.get("instances", [])
        if item["instanceId"].startswith("@")
    ]


def _batch(members: dict[str, Any]) -> RecordedBatch:
    result = members.get("result")
    is_text = members.get("resultKind") == "string"
    returned = None if result is None else result if is_text else json.loads(result)
    return RecordedBatch(members["context"], returned)


def _sent(messages: Sequence[dict[str, Any]]) -> list[Sent]:
    found: list[Sent] = []
    for message in messages:
        envelope = decode_message(message["messageText"])
        query = parse_qs(message.get("query", ""))
        timeout = query.get("visibilitytimeout")
        if isinstance(envelope, Envelope):
            found.append(Sent(envelope, int(timeout[0]) if timeout else None))
    return found


def _is_from(envelope: Envelope, instance_id: str) -> bool:
    """Whether an episode of the instance sent it: answers of activities name the instance as their sender too."""
    is_answer = isinstance(envelope.task_message.event, TaskCompleted | TaskFailed)
    return (
        not is_answer and envelope.sender is not None and envelope.sender.instance_id == instance_id
    )


def _episode(members: dict[str, Any]) -> RecordedEpisode:
    return RecordedEpisode(
        context=members["context"],
        result=members.get("result"),
        exception_message=members.get("exceptionMessage"),
    )


class Script:
    """A worker function that compares what it is given with the recording, and answers as recorded.

    A call with a shorter history repeats an earlier episode; it is answered like the one that is to come.
    """

    def __init__(self, episodes: Sequence[RecordedEpisode]) -> None:
        self._left = list(episodes)
        self.given: list[tuple[str, str]] = []
        """Pairs of the context that was given here and the recorded one."""

    def __call__(self, context: str) -> object:
        episode = self._left[0]
        if len(json.loads(context)["history"]) == len(episode.events):
            self._left.pop(0)
            self.given.append((context, episode.context))
        if episode.exception_message is not None:
            raise _raised(episode.exception_message)
        return None if episode.result is None else _answer(episode.result)


def _answer(result: str) -> object:
    """As the host parses what the worker returned; a text that is no JSON stays a text."""
    try:
        return json.loads(result)
    except ValueError:
        return result


def _raised(message: str) -> Exception:
    match = _RAISED.fullmatch(message)
    assert match is not None, message
    kind = type(match[1], (Exception,), {})
    return Exception(match[2]) if match[1] == "Exception" else kind(match[2])


class ScriptedExecution:
    """Runs a script as an orchestrator (engine.ports.OrchestratorExecution).

    The recorded results do not say at which event an action was asked for, and for all but one kind it does not
    matter: events behind the one that made the orchestrator continue as new are taken over.
    """

    def __init__(self, name: str, script: Script, settings: ContextSettings) -> None:
        self._inner = StatelessExecution(name, script, settings)

    def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
        turn = self._inner.advance(feed)
        return replace(turn, steps=tuple(_placed(step, feed) for step in turn.steps))

    def close(self) -> None:
        self._inner.close()


def _placed(step: Step, feed: Sequence[HistoryEvent]) -> Step:
    if not any(isinstance(action, ContinueAsNew) for action in step.actions):
        return step
    first = next(
        (i for i in range(len(feed)) if isinstance(feed[i], EventRaised) and not feed[i].is_played),
        step.position,
    )
    carried = any(
        isinstance(event, EventRaised) and event.is_played for event in feed[: step.position + 1]
    )
    return step if carried else replace(step, position=min(first, step.position))
