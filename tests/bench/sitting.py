"""Everything that one run has measured, and what has failed meanwhile."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.bench.counts import Counts
from tests.bench.idle import Idle
from tests.bench.measure import Result, Stored
from tests.bench.memory import Curve, Growth
from tests.bench.scale import Scale

T = TypeVar("T")


@dataclass
class Sitting:
    """One run. Times are seconds; `peers` by number of the round."""

    results: list[Result] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    peers: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    growth: Growth | None = None
    curves: list[Curve] = field(default_factory=list)
    idle: list[Idle] = field(default_factory=list)
    scales: list[Scale] = field(default_factory=list)
    cold_s: list[float] = field(default_factory=list)
    import_s: list[float] = field(default_factory=list)
    durable_import_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def result(self, name: str, store: str) -> Result | None:
        """Of one workload on one store, if it has a round."""
        for each in self.results:
            if (each.workload.name, each.store) == (name, store) and each.rounds:
                return each
        return None

    async def attempt(self, name: str, work: Awaitable[T]) -> T | None:
        """The outcome of a measurement; one that fails is noted, and the others go on."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - whatever a host, a store or a peer does wrong
            self.failures.append(f"{name}: {_first(error)}")
            traceback.print_exception(error)
            sys.stderr.flush()
            return None


def _first(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}"
