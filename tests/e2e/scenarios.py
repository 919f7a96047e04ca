"""What apps may rely on: scenario, what happens from outside, rows, status, output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ANY = object()
"""An output that is not looked at."""


@dataclass(frozen=True)
class Step:
    """Something that is done to the instance `at` seconds after its start."""

    at: float
    verb: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One orchestration from its start to its rest.

    Attributes:
        rows: notation of the history at the end (tests/support/histories.py).
        lasts: virtual seconds from the start to the end of the last episode; None if they do not matter.
        looks_at: when to look at an instance that is not to end.
        is_long: more real time than a test on a server may take.
        warns: the rules by which the real product would do something else, in the order of the warnings, with a blank
            between them.
        any_order: the rows of concurrent tasks may come in another order on a server.
    """

    name: str
    orchestrator: str
    rows: str
    input: Any = None
    status: str = "Completed"
    output: Any = ANY
    custom_status: Any = ANY
    steps: tuple[Step, ...] = ()
    lasts: float | None = None
    looks_at: float | None = None
    is_long: bool = False
    warns: str | None = None
    any_order: bool = False

    def __str__(self) -> str:
        return self.name


def raised(at: float, name: str, data: Any = None) -> Step:
    return Step(at, "raise_event", (name, data))


def terminated(at: float, reason: str | None = "enough") -> Step:
    return Step(at, "terminate", (reason,))


def suspended(at: float, reason: str | None = "wait") -> Step:
    return Step(at, "suspend", (reason,))


def resumed(at: float, reason: str | None = "go on") -> Step:
    return Step(at, "resume", (reason,))


def rewound(at: float, reason: str | None = "again") -> Step:
    return Step(at, "rewind", (reason,))


FAILED = "Failed"
CHAIN_3 = "ES TS#0(hello) | TC>0 TS#1(hello) | TC>1 TS#2(hello) | TC>2 EC#3(Completed)"
ONE_ECHO = "ES TS#0(echo) | TC>0 EC#1(Completed)"

VALUES: tuple[tuple[str, Any], ...] = (
    ("null", None),
    ("true", True),
    ("false", False),
    ("zero", 0),
    ("integer", 12345678901234567890),
    ("negative", -5),
    ("float", 1.5),
    ("empty-text", ""),
    ("text", "text"),
    ("quoted-text", 'say "hi"'),
    ("unicode", "\u00e9\u4e2d\U0001f600"),
    ("date-text", "2026-11-24T12:00:00Z"),
    ("empty-list", []),
    ("list", [1, "two", None, [3]]),
    ("empty-object", {}),
    ("object", {"a": {"b": [1, 2]}, "c": None}),
)
"""What inputs and results are made of."""

RESULTS = (
    *(
        Scenario(
            name=f"returns-{name}",
            orchestrator="returns",
            input=value,
            rows="ES EC#0(Completed)",
            output=value,
        )
        for name, value in VALUES
    ),
    *(
        Scenario(
            name=f"activity-{name}",
            orchestrator="calls",
            input=["echo", value],
            rows=ONE_ECHO,
            output=value,
        )
        for name, value in VALUES
    ),
    *(
        Scenario(
            name=f"child-{name}",
            orchestrator="parent",
            input=[["returns", value, None]],
            rows="ES SO#0(returns) | SC>0 EC#1(Completed)",
            output=[value],
        )
        for name, value in VALUES
    ),
    Scenario(
        name="returns-plainly",
        orchestrator="returns_plainly",
        input=[1],
        rows="ES EC#0(Completed)",
        output=[1],
    ),
)

CHAINS = (
    Scenario(
        name="chain-3",
        orchestrator="chain",
        input=["Tokyo", "Seattle", "London"],
        rows=CHAIN_3,
        output=["Hello Tokyo!", "Hello Seattle!", "Hello London!"],
    ),
    Scenario(name="chain-0", orchestrator="chain", input=[], rows="ES EC#0(Completed)", output=[]),
    Scenario(
        name="chain-40",
        orchestrator="chain",
        input=["x"] * 40,
        rows="ES TS#0(hello) | "
        + " | ".join(f"TC>{n} TS#{n + 1}(hello)" for n in range(39))
        + " | TC>39 EC#40(Completed)",
        output=["Hello x!"] * 40,
    ),
    Scenario(
        name="function-objects-and-coroutines",
        orchestrator="chain_by_function",
        rows="ES TS#0(echo) | TC>0 TS#1(hello_async) | TC>1 EC#2(Completed)",
        output=[1, "Hello again!"],
    ),
    Scenario(
        name="name-without-case",
        orchestrator="calls",
        input=["HELLO", "x"],
        rows="ES TS#0(HELLO) | TC>0 EC#1(Completed)",
        output="Hello x!",
    ),
    Scenario(
        name="durable-name-of-its-own",
        orchestrator="calls",
        input=["renamed_activity", 1],
        rows="ES TS#0(renamed_activity) | TC>0 EC#1(Completed)",
        output=["renamed", 1],
    ),
    Scenario(
        name="a-task-that-is-never-awaited-is-never-scheduled",
        orchestrator="never_awaited",
        rows=ONE_ECHO,
        output="kept",
    ),
    Scenario(
        name="ids-follow-the-order-of-awaiting",
        orchestrator="out_of_order",
        rows="ES TS#0(echo) | TC>0 TS#1(echo) | TC>1 EC#2(Completed)",
        output=["a", "b"],
    ),
    Scenario(
        name="ids-and-time-of-the-context",
        orchestrator="makes_ids",
        rows=ONE_ECHO,
        output=3,
    ),
    Scenario(
        name="large-results-travel",
        orchestrator="large_output",
        input=200_000,
        rows="ES TS#0(letters) | TC>0 EC#1(Completed)",
        output=200_000,
    ),
    Scenario(
        name="large-output",
        orchestrator="returns_large",
        input=100_000,
        rows="ES EC#0(Completed)",
        output="y" * 100_000,
    ),
)

FAILURES = (
    Scenario(
        name="uncaught-activity-failure",
        orchestrator="calls",
        input=["bad", "boom"],
        rows="ES TS#0(bad) | TF>0 EC#1(Failed)",
        status=FAILED,
    ),
    Scenario(
        name="caught-activity-failure",
        orchestrator="catches",
        input=["bad", "boom"],
        rows="ES TS#0(bad) | TF>0 EC#1(Completed)",
        output="Activity function 'bad' failed:  ValueError: boom",
    ),
    Scenario(
        name="failure-of-what-is-no-json",
        orchestrator="catches",
        input=["returns_bytes", None],
        rows="ES TS#0(returns_bytes) | TF>0 EC#1(Completed)",
    ),
    Scenario(
        name="compensation",
        orchestrator="compensates",
        rows="ES TS#0(bad) | TF>0 TS#1(echo) | TC>1 EC#2(Completed)",
        output="compensated",
    ),
    Scenario(
        name="raises-at-once",
        orchestrator="raises",
        input="now",
        rows="ES EC#0(Failed)",
        status=FAILED,
        output="Orchestrator function 'raises' failed: raised now",
    ),
    Scenario(
        name="raises-later",
        orchestrator="raises",
        input="later",
        rows="ES TS#0(echo) | TC>0 EC#1(Failed)",
        status=FAILED,
        output="Orchestrator function 'raises' failed: raised later",
    ),
    Scenario(
        name="raises-without-a-text",
        orchestrator="raises_empty",
        rows="ES TS#0(echo) | TC>0 EC#1(Failed)",
        status=FAILED,
        output="Orchestrator function 'raises_empty' failed: <class 'KeyError'>",
    ),
    Scenario(
        name="raises-in-a-plain-function",
        orchestrator="raises_plainly",
        rows="ES EC#0(Failed)",
        status=FAILED,
    ),
    Scenario(
        name="output-that-is-no-json",
        orchestrator="returns_what_is_no_json",
        rows="ES TS#0(echo) | TC>0 EC#1(Failed)",
        status=FAILED,
        output="Orchestrator function 'returns_what_is_no_json' failed: Object of type object is not JSON serializable",
    ),
    Scenario(
        name="yield-of-what-is-no-task",
        orchestrator="yields_nonsense",
        rows="ES EC#0(Failed)",
        status=FAILED,
    ),
    Scenario(
        name="unknown-orchestrator",
        orchestrator="nobody",
        rows="ES EC#0(Failed)",
        status=FAILED,
    ),
)

FANS = (
    *(
        Scenario(
            name=f"fan-{count}",
            orchestrator="fan_out",
            input=count,
            rows="ES "
            + " ".join(f"TS#{n}(echo)" for n in range(count))
            + " | "
            + " ".join(f"TC>{n}" for n in range(count))
            + f" EC#{count}(Completed)",
            output=list(range(count)),
            any_order=True,
        )
        for count in (1, 3, 10)
    ),
    Scenario(
        name="results-one-by-one",
        orchestrator="fan_out_slow",
        input=[2, 1, 3],
        rows="ES TS#0(slow) TS#1(slow) TS#2(slow) | TC>1 | TC>0 | TC>2 EC#3(Completed)",
        output=[2, 1, 3],
        lasts=3,
    ),
    Scenario(
        name="any-waits-for-the-loser-before-it-ends",
        orchestrator="any_of_slow",
        input=[3, 1],
        rows="ES TS#0(slow) TS#1(slow) | TC>1 | TC>0 EC#2(Completed)",
        output=1,
        lasts=3,
    ),
    Scenario(
        name="all-fails-fast-and-the-sibling-goes-on",
        orchestrator="all_with_a_failure",
        input=3,
        rows="ES TS#0(bad) TS#1(slow) | TF>0 TS#2(echo) | TC>2 | TC>1 EC#3(Completed)",
        output="undone",
        lasts=3,
        warns="starts-later",
    ),
    Scenario(
        name="any-then-all",
        orchestrator="any_then_all",
        rows="ES TS#0(slow) TS#1(slow) TS#2(slow) | TC>0 | TC>2 | TC>1 EC#3(Completed)",
        output=[1, [3, 2]],
        lasts=3,
    ),
    Scenario(
        name="all-of-any",
        orchestrator="all_of_any",
        rows="ES TS#0(slow) TS#1(slow) TS#2(slow) TS#3(slow) | TC>0 | TC>1 | TC>3 | TC>2 EC#4(Completed)",
        output=[1, 3],
        lasts=4,
    ),
    Scenario(
        name="any-of-all",
        orchestrator="any_of_all",
        rows="ES TS#0(slow) TS#1(slow) TS#2(slow) TS#3(slow) | TC>0 TC>2 | TC>1 | TC>3 EC#4(Completed)",
        output="left",
        lasts=4,
        any_order=True,
    ),
    Scenario(
        name="all-of-nothing",
        orchestrator="all_of_nothing",
        rows="ES EC#0(Completed)",
        output="went on",
    ),
    Scenario(
        name="any-of-nothing",
        orchestrator="any_of_nothing",
        rows="ES EC#0(Completed)",
        output="went on",
    ),
    Scenario(
        name="all-of-what-has-ended",
        orchestrator="all_twice",
        rows="ES TS#0(echo) TS#1(echo) TS#2(echo) | TC>0 TC>1 TC>2 EC#3(Completed)",
        output=[[0, 1, 2], [0, 1, 2]],
        any_order=True,
    ),
)

RETRIES = (
    Scenario(
        name="retry-without-a-failure",
        orchestrator="retries",
        input=[0, 3, 5000],
        rows="ES TS#0(flaky) | TC>0 EC#1(Completed)",
        output="attempt 1",
    ),
    Scenario(
        name="retry-after-one-failure",
        orchestrator="retries",
        input=[1, 3, 2000],
        rows="ES TS#0(flaky) | TF>0 TM#1 | FI>1 TS#2(flaky) | TC>2 EC#3(Completed)",
        output="attempt 2",
        lasts=2,
    ),
    Scenario(
        name="retry-after-two-failures",
        orchestrator="retries",
        input=[2, 3, 2000],
        rows="ES TS#0(flaky) | TF>0 TM#1 | FI>1 TS#2(flaky) | TF>2 TM#3 | FI>3 TS#4(flaky) | TC>4 EC#5(Completed)",
        output="attempt 3",
        lasts=4,
    ),
    Scenario(
        name="retries-exhausted-end-with-a-timer-at-once",
        orchestrator="retries",
        input=[9, 2, 2000],
        rows="ES TS#0(flaky) | TF>0 TM#1 | FI>1 TS#2(flaky) | TF>2 TM#3 | FI>3 EC#4(Failed)",
        status=FAILED,
        lasts=2,
    ),
    Scenario(
        name="retries-exhausted-and-caught",
        orchestrator="retries_caught",
        input=[9, 1, 2000],
        rows="ES TS#0(flaky) | TF>0 TM#1 | FI>1 EC#2(Completed)",
        output="Activity function 'flaky' failed:  RuntimeError: attempt 1",
        lasts=0,
    ),
    Scenario(
        name="retry-delays-of-an-hour",
        orchestrator="retries",
        input=[1, 2, 3_600_000],
        rows="ES TS#0(flaky) | TF>0 TM#1 | FI>1 TS#2(flaky) | TC>2 EC#3(Completed)",
        lasts=3600,
        is_long=True,
    ),
    Scenario(
        name="retries-in-parallel",
        orchestrator="retries_in_parallel",
        rows="ES TS#0(flaky) TS#1(flaky) TS#2(flaky) | TC>0 TF>1 TF>2 TM#3 TM#4 | FI>3 FI>4 TS#5(flaky) TS#6(flaky) | "
        "TC>5 TC>6 EC#7(Completed)",
        output=["attempt 1", "attempt 2", "attempt 2"],
        lasts=2,
        any_order=True,
    ),
    Scenario(
        name="retry-of-a-child",
        orchestrator="retries_a_child",
        input=[1, 3],
        rows="ES SO#0(flaky_child) | SF>0 TM#1 | FI>1 SO#2(flaky_child) | SC>2 EC#3(Completed)",
        output="attempt 2",
        lasts=1,
        warns="timers-early",
    ),
    Scenario(
        name="retry-of-a-child-exhausted",
        orchestrator="retries_a_child",
        input=[9, 2],
        rows="ES SO#0(flaky_child) | SF>0 TM#1 | FI>1 SO#2(flaky_child) | SF>2 TM#3 | FI>3 EC#4(Failed)",
        status=FAILED,
        lasts=1,
        warns="timers-early",
    ),
    Scenario(
        name="retry-options-without-an-attempt",
        orchestrator="retries",
        input=[0, 0, 1000],
        rows="ES EC#0(Failed)",
        status=FAILED,
    ),
)

TIMERS = (
    Scenario(
        name="timer",
        orchestrator="sleeps",
        input=2,
        rows="ES TM#0 | FI>0 EC#1(Completed)",
        output="slept",
        lasts=2,
    ),
    Scenario(
        name="timer-of-a-fraction",
        orchestrator="sleeps",
        input=0.25,
        rows="ES TM#0 | FI>0 EC#1(Completed)",
        lasts=0.25,
        warns="timers-early",
    ),
    Scenario(
        name="timer-in-the-past",
        orchestrator="sleeps",
        input=-60,
        rows="ES TM#0 | FI>0 EC#1(Completed)",
        lasts=0,
    ),
    Scenario(
        name="timer-of-a-day",
        orchestrator="sleeps",
        input=86_400,
        rows="ES TM#0 | FI>0 EC#1(Completed)",
        lasts=86_400,
        is_long=True,
    ),
    Scenario(
        name="timer-of-ten-days-in-slices",
        orchestrator="sleeps",
        input=10 * 86_400,
        rows="ES TM#0 | FI>0 TM#1 | FI>1 TM#2 | FI>2 EC#3(Completed)",
        output="slept",
        lasts=10 * 86_400,
        is_long=True,
    ),
    Scenario(
        name="timers-in-turn",
        orchestrator="sleeps_often",
        input=1,
        rows="ES TM#0 | FI>0 TM#1 | FI>1 TM#2 | FI>2 EC#3(Completed)",
        lasts=3,
        warns="timers-early",
    ),
    Scenario(
        name="two-timers-and-the-longer-is-cancelled",
        orchestrator="two_timers",
        input=[1, 5],
        rows="ES TM#0 TM#1 | FI>0 EC#2(Completed)",
        output="short",
        lasts=1,
        warns="timers-early",
    ),
    Scenario(
        name="time-does-not-go-back",
        orchestrator="keeps_time",
        rows="ES TM#0 | FI>0 EC#1(Completed)",
        output=True,
        lasts=10,
    ),
    Scenario(
        name="event-before-its-deadline",
        orchestrator="timer_against_event",
        input=20,
        steps=(raised(1, "approval", {"by": "x"}),),
        rows="ES TM#0 | ER(approval) EC#1(Completed)",
        output=["approved", {"by": "x"}],
        lasts=1,
    ),
    Scenario(
        name="deadline-before-the-event",
        orchestrator="timer_against_event",
        input=2,
        rows="ES TM#0 | FI>0 EC#1(Completed)",
        output=["too late"],
        lasts=2,
    ),
    Scenario(
        name="timer-that-is-not-cancelled-holds-the-end-back",
        orchestrator="timer_left_running",
        input=3,
        steps=(raised(1, "approval"),),
        rows="ES TM#0 | ER(approval) | FI>0 EC#1(Completed)",
        output="went on",
        lasts=3,
    ),
    Scenario(
        name="long-timer-cannot-be-cancelled",
        orchestrator="timer_against_event",
        input=10 * 86_400,
        steps=(raised(1, "approval"),),
        rows="ES TM#0 | ER(approval) | FI>0 EC#1(Completed)",
        lasts=3 * 86_400,
        is_long=True,
    ),
    Scenario(
        name="activity-before-its-deadline",
        orchestrator="timer_against_activity",
        input=[20, 1],
        rows="ES TM#0 TS#1(slow) | TC>1 EC#2(Completed)",
        output="done",
        lasts=1,
    ),
    Scenario(
        name="deadline-before-the-activity",
        orchestrator="timer_against_activity",
        input=[1, 3],
        rows="ES TM#0 TS#1(slow) | FI>0 | TC>1 EC#2(Completed)",
        output="too slow",
        lasts=3,
        warns="timers-early",
    ),
)

EVENTS = (
    *(
        Scenario(
            name=f"event-{name}",
            orchestrator="waits",
            input="go",
            steps=(raised(1, "go", value),),
            rows="ES | ER(go) EC#0(Completed)",
            output=value,
        )
        for name, value in VALUES
    ),
    Scenario(
        name="event-before-anyone-waits",
        orchestrator="works_then_waits",
        input=2,
        steps=(raised(1, "go", 5),),
        rows="ES TS#0(slow) | ER(go) | TC>0 EC#1(Completed)",
        output=5,
        lasts=2,
    ),
    Scenario(
        name="event-of-another-name",
        orchestrator="waits",
        input="go",
        steps=(raised(1, "other", 1), raised(2, "go", 2)),
        rows="ES | ER(other) | ER(go) EC#0(Completed)",
        output=2,
    ),
    Scenario(
        name="all-of-several-events",
        orchestrator="waits_for_all",
        input=["a", "b", "c"],
        steps=(raised(1, "c", 3), raised(2, "a", 1), raised(3, "b", 2)),
        rows="ES | ER(c) | ER(a) | ER(b) EC#0(Completed)",
        output=[1, 2, 3],
        lasts=3,
    ),
    Scenario(
        name="any-of-several-events",
        orchestrator="waits_for_any",
        input=["a", "b"],
        steps=(raised(1, "b"),),
        rows="ES | ER(b) EC#0(Completed)",
        output="b",
    ),
    Scenario(
        name="events-of-one-name-in-turn",
        orchestrator="waits_in_turn",
        input=3,
        steps=(raised(1, "go", 1), raised(2, "go", 2), raised(3, "go", 3)),
        rows="ES | ER(go) | ER(go) | ER(go) EC#0(Completed)",
        output=[1, 2, 3],
        lasts=3,
    ),
    Scenario(
        name="waits-for-ever",
        orchestrator="waits",
        input="go",
        rows="ES",
        status="Running",
        looks_at=2,
    ),
)

CHILDREN = (
    Scenario(
        name="children-in-turn-with-given-and-drawn-ids",
        orchestrator="parent",
        input=[["returns", 1, None], ["returns", 2, "a-child-of-its-own-name"]],
        rows="ES SO#0(returns) | SC>0 SO#1(returns) | SC>1 EC#2(Completed)",
        output=[1, 2],
    ),
    Scenario(
        name="children-at-once",
        orchestrator="parent_of_many",
        input=4,
        rows="ES SO#0(returns) SO#1(returns) SO#2(returns) SO#3(returns) | SC>0 SC>1 SC>2 SC>3 EC#4(Completed)",
        output=[0, 1, 2, 3],
        any_order=True,
    ),
    Scenario(
        name="child-that-fails",
        orchestrator="parent_catches",
        input=["raises", "now", None],
        rows="ES SO#0(raises) | SF>0 EC#1(Completed)",
        output="Orchestrator function 'raises' failed: raised now",
    ),
    Scenario(
        name="child-that-fails-uncaught",
        orchestrator="parent",
        input=[["raises", "now", None]],
        rows="ES SO#0(raises) | SF>0 EC#1(Failed)",
        status=FAILED,
    ),
    Scenario(
        name="child-knows-its-parent",
        orchestrator="parent",
        input=[["tells_its_parent", None, None]],
        rows="ES SO#0(tells_its_parent) | SC>0 EC#1(Completed)",
        output=["child-knows-its-parent"],
    ),
    Scenario(
        name="children-of-children",
        orchestrator="nests",
        input=4,
        rows="ES SO#0(nests) | SC>0 EC#1(Completed)",
        output=4,
    ),
    Scenario(
        name="child-that-continues-as-new",
        orchestrator="parent",
        input=[["counts_down", 2, None]],
        rows="ES SO#0(counts_down) | SC>0 EC#1(Completed)",
        output=["zero"],
    ),
)

CONTINUED = (
    Scenario(
        name="continue-as-new-behind-an-activity",
        orchestrator="counts_down",
        input=3,
        rows="ES OC EC#0(Completed)",
        output="zero",
    ),
    Scenario(
        name="continue-as-new-at-once",
        orchestrator="counts_down_at_once",
        input=5,
        rows="ES OC EC#0(Completed)",
        output="zero",
    ),
    Scenario(
        name="continue-as-new-behind-a-timer",
        orchestrator="polls",
        input=2,
        rows="ES OC TM#0 | FI>0 EC#1(Completed)",
        output="rested",
    ),
    Scenario(
        name="continue-as-new-takes-events-one-by-one",
        orchestrator="collects",
        input=[],
        steps=(raised(1, "item", "a"), raised(2, "item", "b"), raised(3, "item", "c")),
        rows="ES | ER(item) EC#0(Completed)",
        output=["a", "b", "c"],
    ),
    Scenario(
        name="continue-as-new-takes-events-that-came-together",
        orchestrator="collects",
        input=[],
        steps=(
            suspended(0.5),
            *(raised(1, "item", name) for name in "abc"),
            resumed(2),
        ),
        rows="ES ER(item) OC EC#0(Completed)",
        output=["a", "b", "c"],
        any_order=True,
    ),
    Scenario(
        name="continue-as-new-waits-for-open-tasks",
        orchestrator="continues_with_open_tasks",
        input=1,
        rows="ES OC EC#0(Completed)",
        output="all ended",
    ),
)

STATUS = (
    Scenario(
        name="custom-status",
        orchestrator="sets_status",
        input=[{"step": 1}, "two"],
        rows="ES TS#0(echo) | TC>0 TS#1(echo) | TC>1 EC#2(Completed)",
        custom_status="two",
    ),
    Scenario(
        name="custom-status-that-is-falsy-is-none",
        orchestrator="sets_status",
        input=["one", 0],
        rows="ES TS#0(echo) | TC>0 TS#1(echo) | TC>1 EC#2(Completed)",
        custom_status=None,
    ),
    Scenario(
        name="custom-status-of-16-KiB",
        orchestrator="sets_large_status",
        input=8_700,
        rows=ONE_ECHO,
        custom_status="s" * 8_700,
    ),
    Scenario(
        name="custom-status-beyond-16-KiB",
        orchestrator="sets_large_status",
        input=9_000,
        rows="ES EC#0(Failed)",
        status=FAILED,
        output="Orchestrator function 'sets_large_status' failed: The UTF-16 size of the JSON-serialized payload must "
        "not exceed 16 KB. The current payload size is 17 KB.",
    ),
    Scenario(
        name="knows-itself",
        orchestrator="knows_itself",
        rows=ONE_ECHO,
        output=["knows-itself", None, False],
    ),
)

STEERED = (
    Scenario(
        name="terminated-while-waiting",
        orchestrator="waits",
        input="go",
        steps=(terminated(1, "because"),),
        rows="ES | XT EC#0(Terminated)",
        status="Terminated",
        output="because",
    ),
    Scenario(
        name="terminated-without-a-reason",
        orchestrator="waits",
        input="go",
        steps=(terminated(1, None),),
        rows="ES | XT EC#0(Terminated)",
        status="Terminated",
    ),
    Scenario(
        name="terminated-with-an-activity-running",
        orchestrator="calls",
        input=["slow", 3],
        steps=(terminated(1),),
        rows="ES TS#0(slow) | XT EC#1(Terminated)",
        status="Terminated",
        output="enough",
        looks_at=4,
    ),
    Scenario(
        name="terminated-with-a-timer-running",
        orchestrator="sleeps",
        input=3,
        steps=(terminated(1),),
        rows="ES TM#0 | XT EC#1(Terminated)",
        status="Terminated",
        looks_at=4,
    ),
    Scenario(
        name="event-behind-the-end-is-dropped",
        orchestrator="waits",
        input="go",
        steps=(raised(1, "go", 1), raised(2, "go", 2)),
        rows="ES | ER(go) EC#0(Completed)",
        output=1,
        looks_at=3,
    ),
    Scenario(
        name="terminate-behind-the-end-is-dropped",
        orchestrator="returns",
        input=1,
        steps=(terminated(1),),
        rows="ES EC#0(Completed)",
        output=1,
        looks_at=2,
    ),
    Scenario(
        name="suspended",
        orchestrator="waits",
        input="go",
        steps=(suspended(1, "a pause"),),
        rows="ES | XS",
        status="Suspended",
        output="a pause",
        looks_at=2,
    ),
    Scenario(
        name="suspended-and-resumed",
        orchestrator="waits",
        input="go",
        steps=(suspended(1), resumed(2), raised(3, "go", 1)),
        rows="ES | XS | XR | ER(go) EC#0(Completed)",
        output=1,
    ),
    Scenario(
        name="event-while-suspended",
        orchestrator="waits",
        input="go",
        steps=(suspended(1), raised(2, "go", 7), resumed(3)),
        rows="ES | XS | ER(go) | XR EC#0(Completed)",
        output=7,
        lasts=3,
    ),
    Scenario(
        name="event-while-suspended-is-not-seen",
        orchestrator="waits",
        input="go",
        steps=(suspended(1), raised(2, "go", 7)),
        rows="ES | XS | ER(go)",
        status="Suspended",
        looks_at=3,
    ),
    Scenario(
        name="activity-result-while-suspended",
        orchestrator="any_then_all",
        steps=(suspended(0.5), resumed(2.5)),
        rows="ES TS#0(slow) TS#1(slow) TS#2(slow) | XS | TC>0 | TC>2 | XR | TC>1 EC#3(Completed)",
        output=[1, [3, 2]],
        lasts=3,
    ),
    Scenario(
        name="next-activity-waits-for-the-resume",
        orchestrator="works_then_waits",
        input=1,
        steps=(suspended(0.5), resumed(2), raised(3, "go", "on")),
        rows="ES TS#0(slow) | XS | TC>0 | XR | ER(go) EC#1(Completed)",
        output="on",
    ),
    Scenario(
        name="timer-while-suspended",
        orchestrator="sleeps",
        input=2,
        steps=(suspended(1), resumed(3)),
        rows="ES TM#0 | XS | FI>0 | XR EC#1(Completed)",
        output="slept",
        lasts=3,
    ),
    Scenario(
        name="terminated-while-suspended",
        orchestrator="waits",
        input="go",
        steps=(suspended(1), terminated(2, "over")),
        rows="ES | XS | XT EC#0(Terminated)",
        status="Terminated",
        output="over",
    ),
    Scenario(
        name="rewound",
        orchestrator="rewinds",
        input=1,
        steps=(rewound(1),),
        rows="ES TS#0(echo) | TC>0 GE#1 | GE GE#2 | GE TS#1(flaky) | TC>1 EC#2(Completed)",
        output=["kept", "attempt 2"],
    ),
    Scenario(
        name="rewound-twice",
        orchestrator="rewinds",
        input=2,
        steps=(rewound(1), rewound(2)),
        rows="ES TS#0(echo) | TC>0 GE#1 | GE GE#2 | GE GE#1 | GE GE#2 | GE TS#1(flaky) | TC>1 EC#2(Completed)",
        output=["kept", "attempt 3"],
    ),
    Scenario(
        name="rewound-with-a-failed-child",
        orchestrator="rewinds_a_child",
        input=1,
        steps=(rewound(1),),
        rows="ES SO#0(rewinds) | GE GE#1 | SC>0 EC#1(Completed)",
        output='["kept", "attempt 2"]',
    ),
)

REFUSED = (
    *(
        Scenario(
            name=f"call-of-an-unknown-{kind}",
            orchestrator="calls_what_is_not_there",
            input=kind,
            rows="ES EC#0(Failed)",
            status=FAILED,
        )
        for kind in ("activity", "child", "entity", "signal")
    ),
    Scenario(
        name="call-by-function-of-another-name",
        orchestrator="calls_by_function_of_another_name",
        rows="ES EC#0(Failed)",
        status=FAILED,
    ),
    Scenario(
        name="child-with-the-id-of-its-parent",
        orchestrator="starts_itself",
        rows="ES EC#0(Failed)",
        status=FAILED,
    ),
    *(
        Scenario(
            name=f"child-with-a-bad-id-{number}",
            orchestrator="starts_a_bad_id",
            input=bad,
            rows="ES EC#0(Failed)",
            status=FAILED,
        )
        for number, bad in enumerate(("@a@b", "a/b", "a\\b", "a#b", "a?b", "a\nb"))
    ),
)

PARITY = (
    Scenario(
        name="old-timer-awaited-again",
        orchestrator="waits_again_with_an_old_timer",
        steps=(raised(1, "go"),),
        rows="ES TM#0 | ER(go) | FI>0 EC#1(Completed)",
        output=1,
        lasts=3,
        warns="waits-for-ever",
    ),
    Scenario(
        name="one-early-event-for-two-waits",
        orchestrator="works_then_waits_twice",
        steps=(raised(1, "go", 5),),
        rows="ES TS#0(slow) | ER(go) | TC>0 EC#1(Completed)",
        output=[5, 5],
        lasts=2,
        warns="waits-for-ever",
    ),
    Scenario(
        name="two-early-events-for-two-waits",
        orchestrator="works_then_waits_twice",
        steps=(raised(0.5, "go", 1), raised(1, "go", 2)),
        rows="ES TS#0(slow) | ER(go) | ER(go) | TC>0 EC#1(Completed)",
        output=[2, 2],
        lasts=2,
        warns="early-events",
    ),
    Scenario(
        name="event-in-other-case",
        orchestrator="waits",
        input="Go",
        steps=(raised(1, "go", 1),),
        rows="ES | ER(go)",
        status="Running",
        looks_at=2,
        warns="event-name-case",
    ),
    Scenario(
        name="timer-cancelled-before-continue-as-new",
        orchestrator="cancels_and_continues",
        input=1,
        steps=(raised(1, "go", 1),),
        rows="ES OC EC#0(Completed)",
        output="rested",
        warns="event-twice",
    ),
    Scenario(
        name="timer-cancelled-beside-a-retry",
        orchestrator="cancels_beside_a_retry",
        steps=(raised(1, "go"),),
        rows="ES TM#0 TS#1(flaky) | TF>1 TM#2 | ER(go) TS#3(echo) | TC>3 | FI>2 TS#4(flaky) | TC>4 EC#5(Completed)",
        output="next",
        lasts=3,
        warns="other-ids",
    ),
    Scenario(
        name="failure-caught-beside-a-retry",
        orchestrator="fails_fast_beside_a_retry",
        rows="ES TS#0(bad) TS#1(flaky_later) | TF>0 TS#2(echo) | TC>2 | TF>1 TM#3 "
        "| FI>3 TS#4(flaky_later) | TC>4 EC#5(Completed)",
        output="next",
        lasts=3,
        warns="starts-later other-ids timers-early",
        any_order=True,
    ),
)

GROUPS: dict[str, tuple[Scenario, ...]] = {
    "results": RESULTS,
    "chains": CHAINS,
    "failures": FAILURES,
    "fans": FANS,
    "retries": RETRIES,
    "timers": TIMERS,
    "events": EVENTS,
    "children": CHILDREN,
    "continued": CONTINUED,
    "status": STATUS,
    "steered": STEERED,
    "parity": PARITY,
    "refused": REFUSED,
}
SCENARIOS: tuple[Scenario, ...] = tuple(s for group in GROUPS.values() for s in group)
