"""What is run, how it is steered from outside, and how it must end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from emulator.core.status import RuntimeStatus

LARGE = "z" * 70_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that is done from outside, `after` seconds after the step before it.

    `what` is raise, signal, suspend, resume, terminate, put_right or rewind.
    """

    what: str
    after: float = 1.0
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One instance and what is expected of it."""

    name: str
    orchestrator: str
    input: object = None
    steps: tuple[Step, ...] = ()
    status: RuntimeStatus = RuntimeStatus.COMPLETED
    output: object = None
    ledger: tuple[int, ...] | None = None
    """What the entity `Ledger` of the instance's id must hold, in any order if it came from outside."""
    output_is_text: bool = False
    """The output is no JSON but a failure's text: only its beginning is compared."""
    repeats: bool = False
    """Whether operations of its entity, which its output lists, may come again when a process dies between sending and
    storing, as with the real product: then each counts where it came first."""

    def expects(self, output: str | None, instance: str) -> bool:
        if isinstance(self.output, str):
            wanted = self.output.replace("{id}", instance)
        else:
            wanted = json.loads(json.dumps(self.output).replace("{id}", instance))
        if self.output_is_text:
            return (output or "").startswith(str(wanted))
        try:
            ended_with = json.loads(output) if output is not None else None
        except json.JSONDecodeError:
            return False
        return (firsts(ended_with) if self.repeats else ended_with) == wanted


def firsts(values: object) -> object:
    """A list without what stands in it before; anything else as it is."""
    return [*dict.fromkeys(values)] if isinstance(values, list) else values


def _raise(value: object, after: float = 1.0) -> Step:
    return Step(what="raise", after=after, text=json.dumps(value))


def _signal(value: int, after: float = 1.0) -> Step:
    return Step(what="signal", after=after, text=json.dumps(json.dumps(value)))


SCENARIOS = (
    Scenario(name="chain", orchestrator="chain", output=["{id}/0", "{id}/1", "{id}/2"]),
    Scenario(name="fan-out", orchestrator="fan_out", output=5),
    Scenario(name="timer", orchestrator="timer", output="{id}/after"),
    Scenario(
        name="events",
        orchestrator="events",
        steps=(_raise(1), _raise(2, 60.0), _raise(3, 0.0)),
        output=[1, 2, 3],
    ),
    Scenario(name="approval", orchestrator="approval", steps=(_raise("yes"),), output="yes"),
    Scenario(name="parent", orchestrator="parent", output=5),
    Scenario(
        name="eternal",
        orchestrator="eternal",
        steps=(_raise(1), _raise(10, 0.0), _raise(100, 60.0), _raise(1000, 3.0)),
        output=1111,
    ),
    Scenario(name="eternal-wide", orchestrator="eternal_wide", steps=(_raise(1),), output=7),
    Scenario(name="countdown", orchestrator="countdown", output="zero"),
    Scenario(name="retry", orchestrator="retry", output="at last"),
    Scenario(name="retry-child", orchestrator="retry_child", output="caught"),
    Scenario(
        name="failing",
        orchestrator="failing",
        status=RuntimeStatus.FAILED,
        output="Orchestrator function 'failing' failed: Activity function 'broken' failed:",
        output_is_text=True,
    ),
    Scenario(
        name="steered",
        orchestrator="steered",
        steps=(Step(what="suspend"), _raise("late", 60.0), Step(what="resume")),
        output="late",
    ),
    Scenario(
        name="endless",
        orchestrator="endless",
        steps=(Step(what="terminate", text="enough"),),
        status=RuntimeStatus.TERMINATED,
        output="enough",
        output_is_text=True,
    ),
    Scenario(
        name="mended",
        orchestrator="mended",
        steps=(Step(what="put_right"), Step(what="rewind", text="again")),
        output=["{id}/first", "mended"],
    ),
    Scenario(
        name="mended-parent",
        orchestrator="mended_parent",
        steps=(Step(what="put_right"), Step(what="rewind", text="again")),
        output=["{id}-child/first", "mended"],
    ),
    Scenario(
        name="signals",
        orchestrator="listener",
        steps=(_signal(1), _signal(2, 0.0), _signal(3, 60.0), _raise("done", 60.0)),
        output="done",
        ledger=(1, 2, 3),
    ),
    Scenario(
        name="large",
        orchestrator="large",
        input={"text": LARGE},
        steps=(_raise(LARGE),),
        output=[70_000, 70_000, LARGE + "x" * 70_000],
    ),
    Scenario(
        name="large-eternal",
        orchestrator="large_eternal",
        input={"text": LARGE, "count": 0},
        output=LARGE + "yyy",
    ),
)
ENTRIES = Scenario(
    name="entries",
    orchestrator="entries",
    output=[1, 2, 3, 4],
    ledger=(1, 2, 3, 4),
    repeats=True,
)
"""An orchestration that signals and calls an entity. Apart from the others, so that seeds keep their stories."""
BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, ENTRIES)}
QUICK = {
    "control_queue_visibility_timeout": timedelta(seconds=10),
    "work_item_queue_visibility_timeout": timedelta(seconds=10),
    "handover_visibility_timeout": timedelta(seconds=5),
}
"""Settings under which what a dead host held is back before its partitions are taken over."""
