"""`python -m tests.chaos --minutes M --hosts N --seed S`: see the package."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from tests.chaos.hosts import HostFailedError
from tests.chaos.run import Chaos

VIOLATIONS_MAX = 50
"""So many are printed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long trouble lasts")
    parser.add_argument("--hosts", type=int, default=3, help="host processes")
    parser.add_argument("--seed", type=int, default=1, help="of what is done, when and to whom")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run without fault")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    chaos = Chaos(folder, hosts=arguments.hosts, seed=arguments.seed, minutes=arguments.minutes)
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes, {arguments.hosts} hosts")
    failures = run(chaos)
    if failures:
        print(*failures, f"The logs are in {folder}", sep="\n")
        return 1
    if arguments.keep:
        print(f"The logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return 0


def run(chaos: Chaos) -> list[str]:
    """Let it happen, and print the figures; what has failed."""
    failures: list[str] = []
    try:
        asyncio.run(chaos.run())
    except* HostFailedError as group:
        failures += ["Given up:", *map(str, leaves(group))]
    if failures:
        return failures
    print(report(chaos))
    return chaos.checkers.violations[:VIOLATIONS_MAX]


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of groups."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def report(chaos: Chaos) -> str:
    """The figures, one a line."""
    figures, count, told = chaos.figures, chaos.trouble.counts, chaos.figures.told
    kinds = ", ".join(f"{name} {number}" for name, number in sorted(figures.ended.items()))
    lines = (
        f"hosts: SIGKILL {count['kill']}, SIGTERM {count['stop']}, SIGSTOP past the lease {count['hold up']}, "
        f"connections cut {count['cut']}; {sum(len(slot.logs) for slot in chaos.slots)} processes in all",
        f"Azurite: stopped and started {count['outage']}, held up {count['freeze']}",
        f"instances accepted {figures.accepted.total()}, ended {figures.ended.total()}: {kinds}",
        f"client: {chaos.client.retries} retries, {len(chaos.client.repeated)} instances steered twice "
        f"because an answer was lost, {figures.begun_again} begun again by a start that came late",
        f"activities: {sum(chaos.effects.runs.values())} runs, {chaos.repeats} of them repeats",
        f"slowest instance {figures.slowest_s:.1f} s ({figures.slowest}), "
        f"longest recovery {figures.recovery_s:.1f} s, at rest after {figures.rest_s:.1f} s",
        f"messages left {figures.messages_left}",
        f"histories compared while they grew {figures.histories_read}",
        f"logs: {told.lines} lines, store lost {told.lost}, store back {told.back}, "
        f"stack traces {told.traces}",
        f"violations {len(chaos.checkers.violations)}",
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
