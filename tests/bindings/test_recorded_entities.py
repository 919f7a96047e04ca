"""Recorded messages for entities: the batches that they become, and what the recorded results leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from bindings.entity_trigger import batch_text, encode_result, read_result
from emulator.core.calls import BatchFailedError, EntityResult
from emulator.core.entity import EARLY, EntityRules, receive, rows_of, settle
from emulator.core.entity_messages import EntityId, delivery_time, read_request
from emulator.core.events import EventRaised, ExecutionStarted, HistoryEvent
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.core.messages import OutboundMessage
from emulator.wire import history_row, instance_row
from tests import vectors
from tests.support.clocks import CountedIds
from tests.support.normalised import plain_columns, plain_message
from tests.support.recorded import RecordedEntity, Sent, entities
from tests.support.rows import written

RULES = EntityRules()
ENTITIES = [
    pytest.param(recorded, id=f"{recorded.instance_id}")
    for scenario in vectors.oop_scenarios()
    for recorded in entities(scenario)
]


@dataclass
class Left:
    """What an entity left behind."""

    contexts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    rows: tuple[HistoryEvent, ...] = ()
    custom_status: str = ""
    messages: list[OutboundMessage] = field(default_factory=list)

    @property
    def started(self) -> ExecutionStarted | None:
        return next((row for row in self.rows if isinstance(row, ExecutionStarted)), None)


def deliveries(recorded: RecordedEntity) -> Iterator[list[EventRaised]]:
    """The messages as they were delivered: operations of one batch together, everything else alone.

    A delayed signal that the entity sent itself again and again counts once.
    """
    batches = [batch.ids for batch in recorded.batches]
    by_batch: dict[int, list[EventRaised]] = {}
    seen: set[str] = set()
    for event in map(event_of, recorded.received):
        request_id = read_request(event.input).id if event.name.startswith("op") else None
        if request_id in seen:
            continue
        seen |= {request_id} if request_id else set()
        place = next((i for i, ids in enumerate(batches) if request_id in ids), None)
        if place is None:
            yield [event]
            continue
        together = by_batch.setdefault(place, [])
        together.append(event)
        if len(together) == len(batches[place]):
            yield together


def event_of(sent: Sent) -> EventRaised:
    event = sent.envelope.task_message.event
    assert isinstance(event, EventRaised)
    return event


def play(recorded: RecordedEntity) -> Left:
    """Give the entity its messages, and its function's recorded results; what fails as a whole is given again."""
    left, script = Left(), iter(recorded.batches)
    for events in deliveries(recorded):
        while not played(recorded, left, events, script):
            pass
    assert next(script, None) is None
    return left


def played(recorded: RecordedEntity, left: Left, events: list[EventRaised], script: Any) -> bool:
    now = max(time_of(event) for event in events)
    entity = InstanceId(recorded.instance_id)
    work = receive(left.started, events, now=now, rules=RULES)
    result: EntityResult | None = None
    if work.operations:
        left.contexts.append(batch_text(work.batch(EntityId.of(entity))))
        try:
            result = answered(next(script).returned, len(work.operations))
        except BatchFailedError as error:
            left.failures.append(str(error))
            return False
    settled = settle(work, result, entity, now=now, new_guid=CountedIds().guid, rules=RULES)
    execution = ExecutionId(recorded.rows[0]["ExecutionId"])
    left.rows = rows_of(entity, execution, settled.state, now)
    left.custom_status = settled.custom_status
    left.messages.extend(settled.outbox)
    return True


def time_of(event: EventRaised) -> Instant:
    """When it is delivered: a delayed one a little early, as recorded."""
    due = delivery_time(event.name)
    return due.plus(-EARLY) if due else event.timestamp


def answered(returned: object, count: int) -> EntityResult:
    if returned is None:
        raise BatchFailedError("it raised")
    return read_result(returned, count)


@pytest.mark.parametrize("recorded", ENTITIES)
def test_the_function_is_given_the_recorded_text(recorded: RecordedEntity) -> None:
    assert play(recorded).contexts == [batch.context for batch in recorded.batches]


@pytest.mark.parametrize("recorded", ENTITIES)
def test_the_rows_are_the_recorded_ones(recorded: RecordedEntity) -> None:
    left = play(recorded)
    ours = [
        history_row.encode(row, ExecutionId(recorded.rows[0]["ExecutionId"])) for row in left.rows
    ]
    assert [untimed(row) for row in ours] == [untimed(written(row)) for row in recorded.rows]


def untimed(columns: Any) -> dict[str, Any]:
    return {**plain_columns(columns, is_decision=True)}


@pytest.mark.parametrize("recorded", ENTITIES)
def test_the_status_is_the_recorded_one(recorded: RecordedEntity) -> None:
    left = play(recorded)
    theirs = written(recorded.columns)
    ours = instance_row.checkpoint_columns(
        left.rows,
        execution=ExecutionId(str(theirs["ExecutionId"])),
        custom_status=left.custom_status,
        task_hub="TestHub",
        now=Instant(0),
    )
    assert list(ours) == list(theirs)
    ours, theirs = plain_columns(ours), plain_columns(theirs)
    assert ours.pop("CreatedTime")
    assert theirs.pop("CreatedTime")
    assert ours == theirs


@pytest.mark.parametrize("recorded", ENTITIES)
def test_the_answers_are_the_recorded_ones(recorded: RecordedEntity) -> None:
    left = play(recorded)
    theirs = [s for s in recorded.sent if not delivery_time(event_of(s).name)]
    assert [plain_message(m.message) for m in left.messages] == [
        plain_message(s.envelope.task_message) for s in theirs
    ]
    assert all(m.not_before is None for m in left.messages)
    assert {s.visibility_timeout_s for s in theirs} <= {None}


FAILS = {
    "@counter@crash": "it raised",
    "@counter@astext": "must return a valid JSON schema",
    "@counter@short": "0 results for 1 operations",
}


@pytest.mark.parametrize("recorded", ENTITIES)
def test_what_fails_as_a_whole_is_given_again_and_says_why(recorded: RecordedEntity) -> None:
    left = play(recorded)
    expected = FAILS.get(recorded.instance_id)
    assert len(left.failures) == (1 if expected else 0)
    assert not expected or expected in left.failures[0]
    assert len(set(left.contexts)) == len(left.contexts) - len(left.failures), "the same batch"


def test_a_delayed_signal_that_comes_too_early_is_sent_on_for_the_rest_of_its_delay() -> None:
    """The real product sends it without a delay, over and over: 119 times in this recording."""
    [recorded] = entities("entity_scheduled_signal")
    first, again = recorded.received[:2]
    event = event_of(first)
    due = delivery_time(event.name)
    assert due is not None
    assert len(recorded.received) == 120
    now = due.plus(-timedelta(seconds=0.9))
    entity = InstanceId(recorded.instance_id)
    work = receive(None, [event], now=now, rules=RULES)
    assert not work.operations
    settled = settle(work, None, entity, now=now, new_guid=CountedIds().guid, rules=RULES)
    [message] = settled.outbox
    assert plain_message(message.message) == plain_message(again.envelope.task_message)
    assert again.visibility_timeout_s == 0
    assert message.not_before == due


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ('{"entityExists":true,"entityState":"1","results":[],"signals":[]}', "0 results for 1"),
        ('"text"', "returned str"),
        ("text", "returned str"),
        (None, "returned NoneType"),
        ({"results": [None], "signals": []}, "'results'"),
        ({"results": [{"result": {}}], "signals": []}, "'result'"),
        ({"results": [{"result": "1"}]}, "'signals'"),
        ({"entityState": [], "results": [{"result": "1"}], "signals": []}, "'entityState'"),
    ],
)
def test_a_result_that_the_host_cannot_take_fails_the_batch(returned: object, text: str) -> None:
    with pytest.raises(BatchFailedError, match=text):
        read_result(encode_result(returned), 1)


def test_plain_values_in_a_result_are_taken_for_their_text() -> None:
    result = read_result(
        encode_result(
            '{"entityExists":1,"entityState":5,"results":[{"isError":false,"result":true}],"signals":'
            '[{"target":{"name":"Other","key":"k"},"name":"add","input":"1"}],"more":0}'
        ),
        1,
    )
    assert (result.exists, result.state, result.results[0].result) == (True, "5", "True")
    assert (result.signals[0].name, result.signals[0].operation) == ("Other", "add")


def test_every_recorded_entity_is_compared() -> None:
    assert len(ENTITIES) == 13
    assert sum(len(p.values[0].batches) for p in ENTITIES) > 20
