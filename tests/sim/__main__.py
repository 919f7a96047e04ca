"""`python -m tests.sim --seed N --seeds M`: tell the stories of M seeds from N on; print what fails, shrunk."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor

from tests.sim.simulation import Outcome, imagine, shrink, tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--no-shrink", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    failed = calls = commits = told = 0
    with ProcessPoolExecutor(arguments.workers) as pool:
        for outcome in pool.map(run, seeds, chunksize=5):
            told += 1
            calls += outcome.calls
            commits += outcome.commits
            if outcome.violations:
                failed += 1
                report(outcome, shrinks=not arguments.no_shrink)
    took = time.monotonic() - began
    print(
        f"{told} seeds, {failed} failed; {calls} storage calls, {commits} commits, {took:.0f}s",
        flush=True,
    )
    return 1 if failed else 0


def run(seed: int) -> Outcome:
    warnings.simplefilter("ignore")
    return tell(imagine(seed))


def report(outcome: Outcome, *, shrinks: bool) -> None:
    print(f"seed {outcome.story.seed} FAILED", *outcome.violations[:5], sep="\n  ", flush=True)
    if shrinks:
        smallest = shrink(outcome, print)
        print("least story:", smallest.story)
        print("  violates:", *smallest.violations[:5], sep="\n    ", flush=True)


if __name__ == "__main__":
    sys.exit(main())
