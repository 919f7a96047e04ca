"""Hypothesis strategies for values of the core and the wire."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from emulator.core import events as e
from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.messages import TaskMessage
from emulator.core.status import RuntimeStatus
from emulator.wire.event_table import SPECS, EventSpec, Kind
from emulator.wire.queue_message import Envelope

_MAX_TICKS = Instant.parse("9999-12-31T23:59:59.9999999Z")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
json_texts = st.sampled_from(["1", "false", '{"a":[1,2,"\u00e9"]}', "[true]"])
instants = st.integers(MIN_INSTANT, _MAX_TICKS).map(Instant)
instance_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map(
    InstanceId
)
execution_ids = st.uuids().map(lambda u: ExecutionId(u.hex))
tags = st.dictionaries(texts.filter(lambda t: t != "$type"), texts, max_size=3)
int32s = st.integers(-(2**31), 2**31 - 1)
targets = st.builds(
    e.OrchestrationInstance, instance_id=instance_ids, execution_id=st.none() | execution_ids
)
parents = st.builds(
    e.ParentInstance,
    name=texts,
    instance=targets,
    task_schedule_id=int32s,
    version=st.none() | texts,
)
traces = st.builds(
    e.TraceContext,
    trace_parent=st.none() | texts,
    trace_state=st.none() | texts,
    id=st.none() | texts,
    span_id=st.none() | texts,
    activity_start_time=st.none() | instants.map(Instant.text),
)
failures = st.recursive(
    st.builds(
        e.FailureDetails,
        error_type=st.none() | texts,
        error_message=st.none() | texts,
        stack_trace=st.none() | texts,
        inner_failure=st.none(),
        is_non_retriable=st.booleans(),
    ),
    lambda inner: st.builds(
        e.FailureDetails,
        error_type=texts,
        error_message=texts,
        stack_trace=texts,
        inner_failure=inner,
        is_non_retriable=st.booleans(),
    ),
    max_leaves=3,
)

_BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: texts,
    Kind.NUMBER: int32s,
    Kind.FLAG: st.booleans(),
    Kind.TIME: instants,
    Kind.STATUS: st.sampled_from(RuntimeStatus),
    Kind.TAGS: tags,
    Kind.INSTANCE: targets,
    Kind.PARENT: parents,
    Kind.TRACE: traces,
    Kind.FAILURE: failures,
    Kind.RAW: json_texts,
}
_ALWAYS_SET = (Kind.NUMBER, Kind.FLAG, Kind.TIME, Kind.STATUS, Kind.INSTANCE, Kind.RAW)


def _event(spec: EventSpec) -> st.SearchStrategy[e.HistoryEvent]:
    members = {
        member.attribute: _BY_KIND[member.kind]
        if member.kind in _ALWAYS_SET or member.name == "Name"
        else st.none() | _BY_KIND[member.kind]
        for member in (*spec.before, *spec.members)
    }
    return st.builds(
        spec.cls, event_id=int32s, is_played=st.booleans(), timestamp=instants, **members
    )


def events() -> st.SearchStrategy[e.HistoryEvent]:
    """Any history event."""
    return st.one_of([_event(spec) for spec in SPECS])


def envelopes() -> st.SearchStrategy[Envelope]:
    """Any queue message that is not a reference to a blob."""
    return st.builds(
        Envelope,
        activity_id=st.uuids().map(str),
        task_message=st.builds(
            TaskMessage, event=events(), target=targets, context_tags=st.none() | tags
        ),
        compressed_blob_name=st.none() | texts,
        sequence_number=st.integers(0, 2**62),
        episode=st.none() | int32s,
        sender=st.none() | targets,
        trace_context=st.none() | texts,
    )
