"""What hosts may print: of a store that goes away one line, and one when it is back; no stack trace, and no defect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.hosts import Log

LOST = "cannot reach the store"
BACK = "answers again after"
TRACE = "Traceback (most recent call last)"
"""The app's own errors are printed with their places, but without this line, as the real host does."""
DEFECTS = (TRACE, "cannot be read", "was never retrieved", "Unclosed", "is no activity request")


@dataclass
class Told:
    """Lines of all hosts together."""

    lines: int = 0
    lost: int = 0
    back: int = 0
    traces: int = 0

    def read(self, log: Log) -> Iterator[str]:
        """Count one log; yields what must not stand in it."""
        text = log.text
        lost, back = text.count(LOST), text.count(BACK)
        self.lost += lost
        self.back += back
        self.traces += text.count(TRACE)
        if lost > log.losses:
            yield f"{log.path.name}: tells of {lost} lost stores, and there were {log.losses}"
        if back not in (lost, lost - 1):
            yield f"{log.path.name}: tells of {lost} lost stores, and of {back} that are back"
        for number, line in enumerate(text.splitlines(), start=1):
            self.lines += 1
            if any(defect in line for defect in DEFECTS):
                yield f"{log.path.name}, line {number}: {line}"
