"""The plots of the report: SVG whose text changes only where a figure does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.bench.host import STORES
from tests.bench.sitting import Sitting

STYLE = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9}
WIDTH_INCH, HEIGHT_INCH = 8, 4


def throughput(sitting: Sitting, file: Path) -> None:
    """Activities (or orchestrations without any) per second, by workload and store."""
    names = list(dict.fromkeys(each.workload.name for each in sitting.results))
    height = 0.8 / len(STORES)
    with _axes(file) as axes:
        for index, store in enumerate(STORES):
            found = [(names.index(r.workload.name), r) for r in sitting.results if r.store == store]
            found = [(place, r) for place, r in found if r.rounds]
            axes.barh(
                [place + index * height for place, _ in found],
                [r.median(lambda each: each.rate) * max(1, r.workload.n) for _, r in found],
                height,
                label=store,
            )
        axes.set_yticks([place + height for place in range(len(names))], names)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("activities, children, events or signals per second")
        axes.legend()


def memory(sitting: Sitting, file: Path) -> None:
    """The host's memory over time under each of the heavy loads."""
    with _axes(file) as axes:
        for curve in sitting.curves:
            axes.plot(*zip(*curve.points, strict=True), label=curve.name)
        axes.set_xlabel("seconds since the load began")
        axes.set_ylabel("memory of the host, MiB")
        axes.set_ylim(bottom=0)
        axes.legend()


@contextmanager
def _axes(file: Path) -> Iterator[Axes]:
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH_INCH, HEIGHT_INCH), layout="constrained")
        yield axes
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
