"""The workloads: what is started, how often, and how many at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Shape(StrEnum):
    """What the load generator does."""

    ORCHESTRATIONS = "orchestrations"
    EVENTS = "events"
    SIGNALS = "signals"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One row of the table.

    Attributes:
        n: activities, children, events or signals of one orchestration (or entity).
        count: orchestrations of one round; `in_flight` of them at a time.
        warm_up: orchestrations that are run before the clock starts.
        stores: where it is run.
    """

    name: str
    orchestrator: str
    n: int
    count: int
    in_flight: int
    shape: Shape = Shape.ORCHESTRATIONS
    warm_up: int = 20
    stores: tuple[str, ...] = ("memory", "sqlite", "azurite")

    @property
    def activities(self) -> int:
        """Activities of one orchestration."""
        return self.n if self.orchestrator in ("chain", "fan", "children") else 0

    def times(self, count: int) -> Workload:
        """The same with another number of orchestrations."""
        return replace(self, count=count)


def _in_turn_and_at_once(count: int) -> tuple[Workload, Workload]:
    """So many at 32 in flight, which only Azurite needs for a comparison, and all of them at once."""
    at_once = Workload(
        name=f"chain-3, {count} at once", orchestrator="chain", n=3, count=count, in_flight=count
    )
    in_turn = replace(at_once, name=f"chain-3, {count} in all", in_flight=32, stores=("azurite",))
    return in_turn, at_once


EMBEDDED = ("memory", "sqlite")
WORKLOADS: tuple[Workload, ...] = (
    Workload(name="chain-3", orchestrator="chain", n=3, count=600, in_flight=32),
    Workload(name="chain-5", orchestrator="chain", n=5, count=300, in_flight=32),
    Workload(name="fan-100", orchestrator="fan", n=100, count=20, in_flight=8, warm_up=2),
    Workload(name="fan-1000", orchestrator="fan", n=1000, count=1, in_flight=1, warm_up=1),
    Workload(
        name="fan-10000",
        orchestrator="fan",
        n=10_000,
        count=1,
        in_flight=1,
        warm_up=0,
        stores=EMBEDDED,
    ),
    Workload(name="chain-100", orchestrator="chain", n=100, count=4, in_flight=1, warm_up=1),
    Workload(
        name="chain-1000",
        orchestrator="chain",
        n=1000,
        count=1,
        in_flight=1,
        warm_up=0,
        stores=EMBEDDED,
    ),
    Workload(name="children-100", orchestrator="children", n=100, count=5, in_flight=2, warm_up=1),
    Workload(name="events", orchestrator="waits", n=1, count=200, in_flight=32, shape=Shape.EVENTS),
    Workload(
        name="entity-1000",
        orchestrator="counter",
        n=1000,
        count=1,
        in_flight=32,
        shape=Shape.SIGNALS,
        warm_up=0,
    ),
    Workload(name="chain-3 one at a time", orchestrator="chain", n=3, count=100, in_flight=1),
    *_in_turn_and_at_once(400),
    *_in_turn_and_at_once(1000),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
