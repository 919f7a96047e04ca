"""Messages in, batches and state out: the scheduler of an entity, without a store or a function."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from emulator.core.calls import EntityResult, EntitySignal, OperationResult
from emulator.core.entity import EntityRules, Scheduler, Settled, Work, receive, rows_of, settle
from emulator.core.entity_messages import (
    EntityId,
    Request,
    Stamp,
    adjusted_delivery,
    answer_text,
    client_signal,
    delivery_time,
    read_request,
    release_text,
    request_event,
)
from emulator.core.events import EventRaised, ExecutionStarted
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.errors import DecodeError
from tests.support.clocks import BEGINNING, CountedIds

ME = InstanceId("@counter@a")
NOW = BEGINNING
RULES = EntityRules()
Json = Any


def at(seconds: float) -> Instant:
    return NOW.plus(timedelta(seconds=seconds))


def stamp(seconds: float) -> Stamp:
    return Stamp(at(seconds), is_utc=True)


def event(name: str, text: str | None = None) -> EventRaised:
    return EventRaised(timestamp=NOW, name=name, input=text)


def signal(operation: str) -> EventRaised:
    """By a client."""
    return event("op", client_signal(operation, None, request_id=operation))


def sent(
    operation: str,
    seconds: float,
    after: float | None = None,
    *,
    parent: str = "o",
    execution: str | None = "e1",
) -> EventRaised:
    """A call by an orchestration, labelled."""
    labels = {"timestamp": stamp(seconds)}
    if after is not None:
        labels["predecessor"] = stamp(after)
    request = Request(
        operation=operation, id=operation, parent=parent, parent_execution=execution, **labels
    )
    return event("op", request.text())


def lock(seconds: float, *entities: str, parent: str = "o", position: int = 0) -> EventRaised:
    request = Request(
        operation=None,
        id=f"lock of {parent}",
        parent=parent,
        parent_execution="e1",
        timestamp=stamp(seconds),
        lock_set=tuple(EntityId.of(f"@counter@{key}") for key in entities),
        position=position,
    )
    return event("op", request.text())


def release(owner: str) -> EventRaised:
    return event("release", release_text(owner, "any"))


class Entity:
    """An entity whose operations all succeed and leave how many there were."""

    def __init__(self, rules: EntityRules = RULES) -> None:
        self.rules = rules
        self.started: ExecutionStarted | None = None
        self.now = NOW
        self.done: list[list[str]] = []
        self.outbox: list[tuple[str, str]] = []
        self.work = Work.of(None)

    def get(self, *events: EventRaised) -> Settled:
        self.work = receive(self.started, events, now=self.now, rules=self.rules)
        self.done.append([str(o.operation) for o in self.work.operations])
        settled = settle(
            self.work,
            self._result(),
            ME,
            now=self.now,
            new_guid=CountedIds().guid,
            rules=self.rules,
        )
        row = rows_of(ME, ExecutionId("x"), settled.state, self.now)[1]
        assert isinstance(row, ExecutionStarted)
        self.started = row
        for outbound in settled.outbox:
            raised = outbound.message.event
            assert isinstance(raised, EventRaised)
            self.outbox.append((outbound.message.target.instance_id, raised.name))
        return settled

    def _result(self) -> EntityResult | None:
        if not self.work.operations:
            return None
        results = [OperationResult(is_error=False, result="1") for _ in self.work.operations]
        count = sum(map(len, self.done))
        return EntityResult(exists=True, state=str(count), results=tuple(results))

    @property
    def stored(self) -> Json:
        assert self.started is not None
        return json.loads(self.started.input or "")


# --- order and duplicates -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """What is sent, delivery by delivery, and what is done each time."""

    name: str
    given: Sequence[Sequence[EventRaised]]
    done: Sequence[Sequence[str]]


LATER = timedelta(minutes=31).total_seconds()
ORDERS = (
    Order("in order", [[sent("1", 1), sent("2", 2, 1)]], [["1", "2"]]),
    Order("overtaken in a batch", [[sent("2", 2, 1), sent("1", 1)]], [["1", "2"]]),
    Order("overtaken", [[sent("2", 2, 1)], [sent("1", 1)]], [[], ["1", "2"]]),
    Order(
        "overtaken twice",
        [[sent("3", 3, 2)], [sent("2", 2, 1)], [sent("1", 1)]],
        [[], [], ["1", "2", "3"]],
    ),
    Order("delivered twice", [[sent("1", 1), sent("1", 1)], [sent("1", 1)]], [["1"], []]),
    Order(
        "an older one that never came before",
        [[sent("2", 2)], [sent("1", 1)]],
        [["2"], []],
    ),
    Order(
        "senders do not wait for each other",
        [[sent("b2", 2, 1, parent="b"), sent("a1", 1, parent="a")], [sent("b1", 1, parent="b")]],
        [["a1"], ["b1", "b2"]],
    ),
    Order("clients are not sorted", [[signal("2"), signal("1"), signal("2")]], [["2", "1", "2"]]),
    Order(
        "another execution of the sender begins anew",
        [[sent("3", 3, 2)], [sent("1", 1, execution="e2")]],
        [[], ["3", "1"]],
    ),
    Order(
        "sent again, with labels of their own, by one who died before it had sent all",
        [[sent("1", 1), sent("3", 3, 2)], [sent("1", 11), sent("3", 13, 12)], [sent("2", 12, 11)]],
        [["1"], ["1"], ["2", "3"]],
    ),
    Order(
        "what is beyond the window is waited for no longer",
        [[sent("2", 2, 1)], [sent("9", LATER + 10, parent="b")]],
        [[], ["2", "9"]],
    ),
    Order(
        "what comes from before the window is done at once",
        [[sent("9", LATER + 10, parent="b")], [sent("1", 1)], [sent("1", 1)]],
        [["9"], ["1"], ["1"]],
    ),
)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_requests_are_done_in_the_order_of_their_sender(order: Order) -> None:
    entity = Entity()
    for events in order.given:
        entity.get(*events)
    assert entity.done == [list(names) for names in order.done]


def test_a_window_of_zero_turns_the_sorter_off() -> None:
    entity = Entity(EntityRules(reorder_window=timedelta(0)))
    entity.get(sent("2", 2, 1), sent("1", 1), sent("1", 1))
    assert entity.done == [["2", "1", "1"]]
    assert entity.stored["sorter"] == {}


def test_what_is_held_back_is_kept_in_the_state() -> None:
    entity = Entity()
    entity.get(sent("2", 2, 1))
    held = json.loads(sent("2", 2, 1).input or "")
    del held["$type"]
    last = {"Last": "0001-01-01T00:00:00", "ExecutionId": "e1"}
    buffered = {stamp(2).text: held}
    assert entity.stored["sorter"]["ReceivedFromInstance"] == {"o": {**last, "Buffered": buffered}}
    entity.get(sent("1", 1))
    assert entity.stored["sorter"]["ReceivedFromInstance"] == {
        "o": {"Last": stamp(2).text, "ExecutionId": "e1", "Buffered": {}}
    }


def test_a_silent_sender_is_forgotten_when_the_window_moves() -> None:
    entity = Entity()
    entity.get(sent("1", 1))
    entity.get(sent("2", LATER + 10, parent="b"))
    assert list(entity.stored["sorter"]["ReceivedFromInstance"]) == ["b"]
    assert entity.stored["sorter"]["ReceiveHorizon"] == stamp(LATER + 10 - 1800).text


def test_the_window_moves_only_after_ten_seconds() -> None:
    entity = Entity()
    entity.get(sent("1", 1))
    first = entity.stored["sorter"]["ReceiveHorizon"]
    entity.get(sent("2", 11, 1))
    assert entity.stored["sorter"]["ReceiveHorizon"] == first
    entity.get(sent("3", 11.1, 11))
    assert entity.stored["sorter"]["ReceiveHorizon"] == stamp(11.1 - 1800).text


# --- locks --------------------------------------------------------------------------------------------------------


def test_a_locked_entity_serves_its_owner_only_and_the_others_afterwards() -> None:
    entity = Entity()
    entity.get(signal("before"), lock(1, "a"), signal("after"))
    assert entity.done[-1] == ["before"]
    assert entity.outbox == [("o", "lock of o")]
    assert (entity.stored["lockedBy"], len(entity.stored["queue"])) == ("o", 1)
    entity.get(signal("other"), sent("mine", 2, 1))
    assert entity.done[-1] == ["mine"]
    entity.get(release("someone else"))
    assert entity.done[-1] == []
    settled = entity.get(release("o"))
    assert entity.done[-1] == ["after", "other"]
    assert settled.custom_status == '{"entityExists":true}'
    assert "lockedBy" not in entity.stored


def test_the_status_of_a_locked_entity_tells_by_whom_and_how_many_wait() -> None:
    entity = Entity()
    entity.get(lock(1, "a"))
    settled = entity.get(signal("x"), signal("y"))
    assert settled.custom_status == '{"queueSize":2,"lockedBy":"o"}'
    assert settled.state.startswith('{"queue":[{"op":"x","signal":true,"id":"x","Timestamp":')


def test_a_lock_is_forwarded_to_the_next_entity_of_the_set_and_answered_by_the_last() -> None:
    entity = Entity()
    settled = entity.get(lock(1, "a", "b"))
    [message] = settled.outbox
    raised = message.message.event
    assert isinstance(raised, EventRaised)
    assert (message.message.target.instance_id, raised.name) == ("@counter@b", "op")
    assert read_request(raised.input).position == 1
    last = Entity()
    settled = last.get(lock(1, "z", "a", position=1))
    [message] = settled.outbox
    answer = message.message.event
    assert isinstance(answer, EventRaised)
    assert message.message.target.execution_id == "e1"
    assert (answer.name, answer.input) == (
        "lock of o",
        answer_text("Lock Acquisition Completed"),
    )
    assert last.stored["sorter"] == {}, "a forwarded request is not sorted"


def test_a_second_lock_waits_in_the_queue_until_the_first_is_released() -> None:
    entity = Entity()
    entity.get(lock(1, "a", parent="p"), lock(1, "a", parent="q"))
    assert entity.outbox == [("p", "lock of p")]
    entity.get(release("p"))
    assert entity.outbox[1:] == [("q", "lock of q")]
    assert entity.stored["lockedBy"] == "q"


# --- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_that_is_full_is_stored_before_the_entity_goes_on() -> None:
    entity = Entity(EntityRules(batch_size_max=2))
    settled = entity.get(*map(signal, "abcde"))
    assert entity.done == [["a", "b"]]
    assert entity.outbox == [(ME, "continue")]
    assert entity.stored["suspended"] is True
    assert settled.custom_status == '{"entityExists":true,"queueSize":3}'
    entity.get(signal("f"))
    assert entity.done[-1] == [], "it waits for its own message"
    entity.get(event("continue"))
    entity.get(event("continue"))
    assert entity.done[-2:] == [["c", "d"], ["e", "f"]]
    assert "suspended" not in entity.stored


def test_an_entity_whose_own_message_was_lost_goes_on_after_ten_seconds() -> None:
    entity = Entity(EntityRules(batch_size_max=1))
    entity.get(signal("a"), signal("b"))
    entity.now = at(10)
    entity.get(signal("c"))
    entity.now = at(20.1)
    entity.get(signal("d"))
    assert entity.done == [["a"], [], ["b"]]


def test_an_event_of_any_other_name_only_wakes_it() -> None:
    entity = Entity()
    entity.get(event("Approval", "5"))
    assert entity.done == [[]]
    assert entity.stored == {"sorter": {}}


@pytest.mark.parametrize(
    "text", [None, "null", "5", "{", '{"op":"x"}', '{"id":"x","Timestamp":"soon"}']
)
def test_a_message_that_is_no_operation_is_told_and_does_not_stop_the_others(
    text: str | None,
) -> None:
    entity = Entity()
    entity.get(event("operate", text), signal("x"))
    assert entity.done == [["x"]]
    [told] = entity.work.unreadable
    assert told.startswith("event 'operate': ")


# --- delayed operations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "expected"),
    [(0.09, "done"), (-5, "done"), (0.11, at(0.11)), (86400 * 6, at(86400 * 6))],
)
def test_a_delayed_operation_is_done_when_due_and_else_sent_on(due: float, expected: Json) -> None:
    request = Request(operation="later", id="1", is_signal=True, parent="o", due=stamp(due))
    entity = Entity()
    settled = entity.get(event(request_event(at(due)), request.text()))
    if expected == "done":
        assert entity.done == [["later"]]
        assert not settled.outbox
    else:
        [again] = settled.outbox
        assert entity.outbox == [(ME, request_event(expected))]
        assert again.not_before == expected
        assert read_request(again.message.event.input) == request  # type: ignore[union-attr]


def test_a_delay_beyond_what_the_store_can_do_goes_in_slices() -> None:
    due = at(86400 * 10)
    slices = {"max_delay": timedelta(days=6), "delay_slice": timedelta(days=3)}
    assert adjusted_delivery(due, NOW, **slices) == at(86400 * 3)
    assert adjusted_delivery(due, at(86400 * 3), **slices) == at(86400 * 6)
    assert adjusted_delivery(due, at(86400 * 6), **slices) == due


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("op@2026-11-24T12:00:01.0000000Z", at(1)),
        ("op", None),
        ("op@soon", None),
        ("operate@2026-11-24T12:00:01Z", None),
    ],
)
def test_the_name_of_an_event_tells_when_it_is_to_be_delivered(
    name: str, due: Instant | None
) -> None:
    assert delivery_time(name) == due


# --- results ------------------------------------------------------------------------------------------------------


def test_callers_are_answered_and_signals_are_not() -> None:
    entity = Entity()
    entity.get(sent("call", 1), signal("signal"))
    assert entity.outbox == [("o", "call")]


def test_an_error_is_an_answer_and_the_state_stays_as_the_function_left_it() -> None:
    work = receive(None, [sent("bad", 1)], now=NOW, rules=RULES)
    result = EntityResult(
        exists=True, state="7", results=(OperationResult(is_error=True, result='"boom"'),)
    )
    settled = settle(work, result, ME, now=NOW, new_guid=CountedIds().guid, rules=RULES)
    [message] = settled.outbox
    assert message.message.event.input == answer_text('"boom"', is_error=True)  # type: ignore[union-attr]
    assert settled.state.startswith('{"exists":true,"state":"7","sorter":')


def test_an_entity_signals_another_and_labels_what_it_sends() -> None:
    signals = [EntitySignal(name="Other", key="K", operation="add", input="1")] * 2
    result = EntityResult(
        exists=True,
        state="1",
        results=(OperationResult(is_error=False, result="null"),),
        signals=tuple(signals),
    )
    work = receive(None, [signal("x")], now=NOW, rules=RULES)
    settled = settle(work, result, ME, now=NOW, new_guid=CountedIds().guid, rules=RULES)
    first, second = (read_request(m.message.event.input) for m in settled.outbox)  # type: ignore[union-attr]
    assert {m.message.target.instance_id for m in settled.outbox} == {"@other@K"}
    assert (first.parent, first.parent_execution, first.request_time) == (ME, None, None)
    assert first.timestamp.text == NOW.text()
    assert (second.timestamp, second.predecessor) == (first.timestamp.next_tick(), first.timestamp)
    assert json.loads(settled.state)["sorter"] == {
        "LastSentToInstance": {"@other@K": second.timestamp.text},
        "SendHorizon": at(-1800).text(),
    }


def test_a_state_that_cannot_be_read_is_not_touched() -> None:
    for text in ("{", "5", '{"queue":[{}]}', '{"sorter":{"ReceiveHorizon":"soon"}}'):
        with pytest.raises(DecodeError):
            Scheduler.read(text)


STATES = (
    '{"sorter":{}}',
    '{"exists":true,"state":"\\"é\\"","sorter":{}}',
    '{"exists":true,"state":"1","queue":[{"op":"add","signal":true,"input":"10","id":"9935f93d","Timestamp":'
    '"0001-01-01T00:00:00","Predecessor":"0001-01-01T00:00:00"}],"lockedBy":"lock","suspended":true,"sorter":'
    '{"LastSentToInstance":{"@b@c":"2026-11-24T02:08:47.955577Z"},"ReceivedFromInstance":{"lock":{"Last":'
    '"2026-11-24T02:08:47.955577","ExecutionId":"f5","Buffered":{}},"@x@y":{"Last":"0001-01-01T00:00:00"}},'
    '"ReceiveHorizon":"2026-11-24T01:38:47.9186444Z","SendHorizon":"2026-11-24T01:38:47.9186444Z"}}',
)


@pytest.mark.parametrize("text", STATES)
def test_a_stored_state_is_written_again_as_it_was_read(text: str) -> None:
    assert Scheduler.read(text).text() == text


def test_an_entity_id_is_read_off_the_id_of_its_scheduler() -> None:
    entity = EntityId.of("@Counter@a@b")
    assert (entity.name, entity.key, entity.instance_id) == ("counter", "a@b", "@counter@a@b")
