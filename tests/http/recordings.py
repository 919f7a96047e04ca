"""What stood between the recorded exchanges: set-ups, unrecorded requests, moments, and deliberate differences.

Steps are texts: `METHOD PATH [BODY]`, sent below the management prefix; `until PATH WORD`, which asks until the answer
holds the word (or has it as its status); `mark NAME`, a moment that recorded times stand for, with two seconds of
clock on either side; `token RECORDED PATH`, whose answer's token stands for the recorded one; `row ID COLUMN=VALUE`
(twice at most), a change to an Instances row by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "localhost:7071"


@dataclass(frozen=True)
class Recording:
    """One file: its host, and what comes before an exchange (by name, or by index where names repeat)."""

    hub: Mapping[str, Any] = field(default_factory=dict[str, Any])
    http: Mapping[str, Any] = field(default_factory=dict[str, Any])
    before: Mapping[str | int, tuple[str, ...]] = field(
        default_factory=dict[str | int, tuple[str, ...]]
    )
    during: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Steps while the exchange has not been answered."""
    times: Mapping[str, str] = field(default_factory=dict[str, str])
    """Recorded times in requests -> marks."""
    seeded_by: int | None = None
    """Index of a list whose rows are there from the start."""


def _start(name: str, instance: str, body: str = "") -> str:
    return f"POST orchestrators/{name}/{instance} {body}"


def _done(name: str, instance: str, body: str = "", word: str = "Completed") -> tuple[str, str]:
    return _start(name, instance, body), f"until instances/{instance} {word}"


def _running(instance: str, body: str = "", name: str = "WaitForEvent") -> tuple[str, str]:
    return _done(name, instance, body, "Running")


def _terminated(instance: str, reason: str) -> tuple[str, ...]:
    return (
        *_running(instance),
        f"POST instances/{instance}/terminate{reason}",
        f"until instances/{instance} Terminated",
    )


def _signal(name: str, key: str, op: str, body: str) -> tuple[str, str]:
    return f"POST entities/{name}/{key}?op={op} {body}", f"until entities/{name}/{key} 200"


_START_IDS = {
    "status by raw path for id with space": "a%20b",
    "status by raw path for id with newline": "a%0Ab",
    "status by statusQueryGetUri for id with braces": "a%7Bb%7D",
    "status by raw path for id with dollar": "a$b",
}

_TERMINATIONS = {
    "terminated, reason starts with a number": ("term", "42%20is%20the%20answer"),
    "terminated, reason true%20story": ("term-true", "true%20story"),
    "terminated, reason null%20pointer": ("term-null", "null%20pointer"),
    "terminated, reason %7B%22a%22%3A1%7D": ("term-json", "%7B%22a%22%3A1%7D"),
    "terminated, reason %22q%22": ("term-quoted", "%22q%22"),
    "terminated, reason ": ("term-empty", ""),
    "terminated, reason %20%20": ("term-blank", "%20%20"),
    "terminated, reason %7Bbroken": ("term-brace", "%7Bbroken"),
    "terminated, reason 'x'%20y": ("term-single", "'x'%20y"),
    "terminated, reason 2024-01-02T03:04:05Z": ("term-date", "2024-01-02T03:04:05Z"),
    "terminated, reason /*c*/": ("term-comment", "/*c*/"),
    "terminated, reason NaN": ("term-nan", "NaN"),
    "terminated, reason undefined": ("term-undefined", "undefined"),
}

RECORDINGS: Mapping[str, Recording] = {
    "query": Recording(
        before={
            "list all": (
                "mark t0",
                *_done("HelloSequence", "q1-completed", '{"a":1}'),
                "mark t1",
                *_done("Fails", "q2-failed", '"x"', "Failed"),
                *_running("q3-running", "[1,2]"),
                *_running("q4-suspended"),
                "POST instances/q4-suspended/suspend?reason=r",
                "until instances/q4-suspended Suspended",
                *_terminated("q5-terminated", "?reason=because"),
                *_signal("Counter", "qk", "add", "5"),
                "mark t2",
            ),
            "list top=2 page 2": ("token cTItZmFpbGVk instances?top=2",),
        },
        times={
            "2026-11-24T01%3A56%3A07.000Z": "t0",
            "2026-11-24T01:56:07.000Z": "t0",
            "2026-11-24T01%3A56%3A09.638Z": "t1",
            "2026-11-24T01:56:09.638": "t1",
            "Tue%2C%2024%20Nov%202026%2001%3A56%3A09%20GMT": "t1",
            "2026-11-24T01:56:13.077Z": "t2",
        },
    ),
    "start": Recording(
        before={
            "status after body true": _done("Echo", "s-true", "true"),
            "start existing running": _running("s-run"),
            "start existing suspended": (
                "POST instances/s-run/suspend",
                "until instances/s-run Suspended",
            ),
            "start existing terminated": (
                "POST instances/s-run/terminate",
                "until instances/s-run Terminated",
            ),
            "start existing pending (other hub)": (
                "POST orchestrators/Echo/s-pend?taskHub=OtherHub 1",
            ),
            "status version": ("POST orchestrators/Echo/s-ver?version=1.0 1",),
            **{
                name: (f"POST orchestrators/Echo/{path} 1", f"until instances/{path} Completed")
                for name, path in _START_IDS.items()
            },
        },
    ),
    "wait_mode": Recording(
        during={
            "terminated while waiting": (
                "until instances/w15 Running",
                "POST instances/w15/terminate?reason=stop",
            ),
            "suspended while waiting": (
                "until instances/w16 Running",
                "POST instances/w16/suspend",
            ),
        },
    ),
    "status": Recording(
        before={
            "completed (no query)": _done("HelloSequence", "hello", '"World"'),
            "failed ?returnInternalServerErrorOnFailure=true": _done(
                "Fails", "failed", '"x"', "Failed"
            ),
            "failed directly": _done("FailsDirect", "failed-direct", word="Failed"),
            "fan out": _done("FanOut", "fan"),
            "running": _running("running", '{"k":"v"}'),
            "suspended": ("POST instances/running/suspend?reason=pause%20it",),
            "suspended, event raised": ('POST instances/running/raiseEvent/Go "while suspended"',),
            "resumed and completed": ("POST instances/running/resume?reason=go%20on",),
            **{
                name: _terminated(instance, f"?reason={reason}")
                for name, (instance, reason) in _TERMINATIONS.items()
            },
            "custom status object": _running("custom", name="CustomStatus"),
            "custom status text": ("POST instances/custom/raiseEvent/Go 1",),
            "timer of 1 s, completed at once (fired early)": _done("ShortTimer", "timer"),
            "parent": _done("Parent", "parent", "1"),
            "parent of failing child": _done("ParentFails", "parentf", "1", "Failed"),
            "parent waiting for child (open SubOrchestrationInstanceCreated)": (
                *_running("parentw", "1", "ParentWaits"),
                "until instances/parentw-child Running",
            ),
            "parent after child was terminated": (
                "POST instances/parentw-child/terminate?reason=child%20stopped",
            ),
            "open TaskScheduled": _running("slow", name="SlowActivity"),
            "terminated with open activity": ("POST instances/slow/terminate?reason=x",),
            "continue as new, finished": (_start("CounterCAN", "can"),),
            "large output (70000 characters)": (_start("LargeOutput", "large"),),
            "dates and special characters in output": (_start("DateOut", "dates"),),
            "entity calls and lock in history": _done("CallsEntity", "callsent"),
            "failed entity call": _done("EntityFails", "entfail", word="Failed"),
            "calls an unknown activity": (_start("Unhandled", "unknownact"),),
            "pending": ('POST orchestrators/Echo/pending?taskHub=OtherHub {"p":1}',),
            "canceled (row edited by hand)": ("row pending RuntimeStatus=Canceled",),
            "continued as new (row edited by hand)": ("row pending RuntimeStatus=ContinuedAsNew",),
            "stored output is not JSON (row edited by hand)": (
                "row pending RuntimeStatus=Completed Output=plain text, not json",
            ),
            "stored output is JSON and trailing text (row edited by hand)": (
                'row pending Output={"a":1} trailing',
            ),
        },
    ),
    "raise_event": Recording(
        before={
            "JSON event": (*_running("e1"), *_running("e2"), *_running("e3"), *_running("e4")),
            **{
                f"body {kind}": _running(f"ev-{kind}")
                for kind in (
                    "null",
                    "string",
                    "array",
                    "number",
                    "date",
                    "python",
                    "unicode",
                    "bigint",
                )
            },
            "pending instance": ("POST orchestrators/Echo/ep?taskHub=OtherHub 1",),
            "failed instance": _done("Fails", "ef", '"x"', "Failed"),
            "terminated instance": (
                "POST instances/e4/terminate?reason=x",
                "until instances/e4 Terminated",
            ),
            "event to an entity scheduler id": _signal("Counter", "callsent", "add", "1"),
        },
    ),
    "lifecycle": Recording(
        before={
            "resume running": _running("l1", '{"in":1}'),
            "terminate without reason": _running("l2", '{"in":1}'),
            "terminate suspended": (
                *_running("l3", '{"in":1}'),
                "POST instances/l3/suspend",
                "until instances/l3 Suspended",
            ),
            "terminate completed": _done("HelloSequence", "l4", '"x"'),
            "terminate failed": _done("Fails", "l5", '"x"', "Failed"),
            "history before rewind": _done("FailsUntilFixed", "l6", '"x"', "Failed"),
            "rewind failed without reason": _done("FailsUntilFixed", "l7", '"x"', "Failed"),
            "resume pending": ("POST orchestrators/Echo/lp?taskHub=OtherHub 1",),
            "terminate an entity": _signal("Counter", "term", "add", "1"),
            "suspend an entity": ("until instances/@counter@term Terminated",),
        },
    ),
    "purge": Recording(
        before={
            "purge completed": _done("HelloSequence", "p1", '"x"'),
            "purge failed": _done("Fails", "p2", '"x"', "Failed"),
            "purge running": _running("p3"),
            "purge suspended": ("POST instances/p3/suspend", "until instances/p3 Suspended"),
            "purge terminated": (
                "POST instances/p3/terminate",
                "until instances/p3 Terminated",
            ),
            "purge pending": ("POST orchestrators/Echo/p4?taskHub=OtherHub 1",),
            "purge parent": _done("Parent", "p5", "1"),
            "purge instance with a blob": _done("LargeOutput", "p6"),
            "purge entity by instance id": _signal("Counter", "purge", "add", "1"),
            "list before": (
                "mark t",
                *_done("HelloSequence", "f1"),
                *_done("HelloSequence", "f2"),
                *_done("Fails", "f3", word="Failed"),
                *_running("f4"),
                *_terminated("f5", ""),
                *_signal("Counter", "f", "add", "1"),
            ),
            "list after Running": ("DELETE instances?createdTimeFrom=<t>",),
            "list before no status": (
                *_running("f6"),
                *_done("HelloSequence", "f7"),
                *_signal("Counter", "f7", "add", "1"),
            ),
            "filter: Running and Completed": (
                *_running("f8"),
                *_done("HelloSequence", "f9", '"x"'),
            ),
            "filter: unknown status name": _done("HelloSequence", "f10", '"x"'),
        },
        times={"2026-11-24T02:01:55.416Z": "t"},
    ),
    "purge_year1": Recording(seeded_by=23),
    "entities": Recording(
        before={
            "state of trail": (
                'POST entities/Store/trail?op=set {"a":1} x',
                "until entities/Store/trail 200",
            ),
            # In the recording the signal to %2B went to the key with the blank.
            "signal key with slash-encoded": (
                "until entities/Counter/a%2Bb 200",
                "DELETE instances/@counter@a%2Bb",
                "POST entities/Counter/a%20b?op=add 1",
            ),
            "get key with percent": _signal("Counter", "a%25b", "add", "1"),
            # Nothing but the .NET client can send a signal for later.
            "get after the scheduled signal": _signal("Counter", "sched", "add", "3"),
            "list lastOperationTimeFrom": ("mark t", *_signal("Counter", "late", "add", "1")),
        },
        times={"2026-11-24T02:08:43.594Z": "t"},
    ),
    "misc": Recording(
        before={
            "POST makePrimary": (
                *_done("HelloSequence", "m1", '"x"'),
                *_running("m2"),
            ),
        },
    ),
    "no_app_lease": Recording(hub={"use_app_lease": False}),
    "store_inputs": Recording(
        hub={"store_inputs_in_history": True},
        before={
            0: (
                *_done("HelloSequence", "i1", '"w"'),
                *_done("Parent", "i2", "1"),
                *_running("i3", name="SlowActivity"),
                *_done("Fails", "i4", "1", "Failed"),
            )
        },
    ),
    "use_forwarded_host": Recording(
        http={"use_forwarded_host": True}, before={"status running": _running("fw4")}
    ),
    "timezone_new_york": Recording(
        http={"time_zone": "America/New_York"},
        before={
            0: ("mark t", *_done("HelloSequence", "t1", '"x"')),
            "list createdTimeTo without zone, local digits (now)": ("mark now",),
            "entity list": _signal("Counter", "k", "add", "1"),
            "open timer": _running("t2", name="LongTimer"),
        },
        times={
            "2026-11-24T02:27:15.451": "t",
            "2026-11-23T21:27:15.921": "t",
            "2026-11-23T21:27:17.924": "now",
            "2026-11-24T02:27:17.928": "now",
        },
    ),
    "anystate": Recording(
        hub={"overridable_states": "AnyState"},
        before={
            "start over completed": _done("Echo", "a1", '"first"'),
            "start over running": _running("a2", '"first"'),
            "start over suspended": (
                *_running("a3", '"first"'),
                "POST instances/a3/suspend",
                "until instances/a3 Suspended",
            ),
            "start over running with an open activity": _running("a4", '"first"', "SlowActivity"),
            "restart running with same id": _running("a5", '"first"'),
            "start over terminated": _terminated("a7", "?reason=x"),
        },
    ),
    "admin_prefix": Recording(http={"management_urls": "admin"}),
    "versioning": Recording(hub={"default_version": "2.0"}),
    "versioning_fail": Recording(hub={"default_version": "2.0", "version_failure": "Fail"}),
    "rpc_listener": Recording(),
    "payloads": Recording(
        before={
            "WaitForCompletion completed": _done("Echo", "wc", '{"a":1}'),
            "WaitForCompletion failed": _done("Fails", "wf", '"x"', "Failed"),
            "WaitForCompletion deadline": _running("wr", '"x"'),
            "client StartNew existing running": _running("cs2"),
            "WaitForCompletion terminated": (
                "POST instances/wr/terminate?reason=bye",
                "until instances/wr Terminated",
            ),
        },
    ),
}

WAITING = frozenset(
    {"WaitForEvent", "CustomStatus", "SlowActivity", "ParentWaits", "LongTimer", "ShortTimer"}
)
"""Orchestrators that stay Running."""


# --- deliberate differences ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """Why some exchanges of a file are answered otherwise, and how.

    With `instead`, the answer is the recorded one with these parts replaced; without, it is another one altogether,
    which stands in own_answers.json.
    """

    file: str
    names: tuple[str, ...]
    reason: str
    instead: tuple[tuple[str, str], ...] = ()


_TWICE = "the Python SDK encodes inputs that it hands on a second time"
_PADDED = "years are padded: the Python client sends such dates, and newer releases take them"
_PLUS = "%2B is a plus sign: the links for such an id would lead to another instance"
_TEXT = "text that the real writer cannot write, or writes as no JSON, is shown as text"
_DOTNET = "the .NET client checks names and ids before it calls; no client of Python apps does"
_NO_LOCKS = "the Python SDK has no critical sections"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "status",
        ("child",),
        _TWICE,
        (('"input":"in"', r'"input":"\"in\""'), (r'"Input":"\"in\""', r'"Input":"\"\\\"in\\\"\""')),
    ),
    Difference(
        "purge", ("child after purge of parent",), _TWICE, (('"input":"in"', r'"input":"\"in\""'),)
    ),
    Difference(
        "status",
        ("continue as new, finished",),
        _TWICE,
        (('"input":3', '"input":"3"'), ('"Input":"3"', r'"Input":"\"3\""')),
    ),
    Difference(
        "store_inputs",
        ("history with stored inputs",),
        _TWICE,
        tuple(
            (rf'"Input":"[\"{city}\"]"', rf'"Input":"[\"\\\"{city}\\\"\"]"')
            for city in ("Tokyo", "Seattle", "London")
        ),
    ),
    Difference(
        "store_inputs",
        ("parent with stored inputs",),
        _TWICE,
        ((r'"Input":"\"in\""', r'"Input":"\"\\\"in\\\"\""'),),
    ),
    Difference(
        "store_inputs",
        ("open activity with stored input",),
        _TWICE,
        (('"Input":"[1]"', r'"Input":"[\"1\"]"'),),
    ),
    Difference(
        "store_inputs",
        ("failed activity with stored input",),
        _TWICE,
        ((r'"Input":"[\"x\"]"', r'"Input":"[\"\\\"x\\\"\"]"'),),
    ),
    Difference("status", ("terminated, reason /*c*/",), _TEXT),
    Difference(
        "entities",
        ("scheduler status of a JSON object state",),
        "the state is the text that the Python SDK made, with its blanks",
        ((r"{\"a\":1,\"d\":\"2024", r"{\"a\": 1, \"d\": \"2024"),),
    ),
    Difference(
        "entities",
        ("scheduler after delete",),
        "the Python SDK leaves a state of null where it deletes",
        (
            ('{"sorter":{}}', '{"state":"null","sorter":{}}'),
            (r"{\"sorter\":{}}", r"{\"state\":\"null\",\"sorter\":{}}"),
        ),
    ),
    Difference(
        "entities",
        ("scheduler after delete of missing",),
        "the Python SDK leaves a state of null where it deletes",
        (('{"sorter":{}}', '{"state":"null","sorter":{}}'),),
    ),
    Difference(
        "entities",
        (
            "scheduler while locked",
            "get while locked",
            "scheduler while locked with a queued signal",
            "get while locked, signal queued",
            "get after release",
            "history of the lock holder",
        ),
        _NO_LOCKS,
    ),
    Difference("status", ("entity calls and lock in history",), _NO_LOCKS),
    Difference(
        "status",
        ("failed entity call",),
        "the Python SDK sends an input of null, and the failure is Python's",
    ),
    Difference(
        "status",
        ("terminated, reason undefined",),
        _TEXT,
        (('"output":undefined', '"output":"undefined"'),),
    ),
    Difference("start", ("status by raw path for id with dot",), _TEXT),
    Difference(
        "status",
        ("calls an unknown activity",),
        "the Python protocol leaves such a call Running for ever; the failure text says so",
    ),
    Difference(
        "start",
        (
            "start id with plus-encoded",
            "status by raw path for id with plus-encoded",
        ),
        _PLUS,
    ),
    Difference(
        "rpc_listener",
        ("start id with plus-encoded", "status by raw path for id with plus-encoded"),
        _PLUS,
    ),
    Difference("purge", ("filter: everything left over so far, year 1",), _PADDED),
    Difference(
        "purge_year1",
        (
            "purge createdTimeFrom=1-01-01T00:00:00Z createdTimeTo=2021-01-01",
            "purge createdTimeFrom=1-01-02T00:00:00Z createdTimeTo=2021-01-01",
            "purge createdTimeFrom=12-03-04T00:00:00Z createdTimeTo=2021-01-01",
        ),
        _PADDED,
    ),
    Difference(
        "purge",
        ("filter: only Running named",),
        "a filter of live states alone does not delete everything",
    ),
    Difference(
        "raise_event",
        ("status after other case",),
        "the Python SDK compares the names of events with their case; the .NET one does not",
    ),
    Difference(
        "payloads",
        (
            "CreateCheckStatusResponse, webhook URL not configured",
            "durableClient binding JSON, webhook URL not configured",
        ),
        "this host always has an address",
    ),
    Difference(
        "payloads",
        (
            "client StartNew unknown function (validates)",
            "client StartNew id with @",
            "client StartNew id with slash",
            "client StartNew id of 257 characters",
            "client SignalEntity unknown entity",
            "client SignalEntity key with slash",
        ),
        _DOTNET,
    ),
)


def answered_otherwise(file: str) -> dict[str, str]:
    """Exchanges of a file that have another answer altogether, and that answer, as Normaliser makes it."""
    held = json.loads((Path(__file__).parent / "own_answers.json").read_text())
    own = {name: "\n".join(lines) for name, lines in held.get(file, {}).items()}
    named = {name for d in DIFFERENCES if d.file == file and not d.instead for name in d.names}
    assert named == set(own), f"{file}: a reason without an answer, or the reverse"
    return own


def replaced_in(file: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Parts of recorded answers that are others here, by exchange."""
    return {
        name: d.instead for d in DIFFERENCES if d.file == file and d.instead for name in d.names
    }
