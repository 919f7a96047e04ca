"""From facts about this machine, an app and its hub to findings, each with its cure. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from emulator.core.waiting import POISON_DEQUEUE_COUNT
from emulator.hub.census import QueueState
from emulator.hub.soundness import Unreadable

PYTHON_TESTED: Final = ((3, 11), (3, 12), (3, 13))
SDK: Final = "azure-functions-durable"
WORKER_PACKAGE: Final = "azure-functions"


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    topic: str
    level: Level
    text: str
    cure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found. None means that it was not looked at, or is not there.

    Attributes:
        packages: version by name, None for one that is not installed.
        node, azurite: what was found, or why nothing was.
        taken_ports: who listens on the ports that matter, by what they are for.
        app_problem: why there are no settings.
        app_failures: functions that cannot run, and warnings of the app.
        own_environment: a virtual environment in the app's folder that is not the one this runs in.
        store_problem: why the store could not be opened.
        unreadable: rows of the hub that nobody can read.
        leased_otherwise: the hub's queues are dealt out another way than host.json says.
        by_table: what host.json says: useTablePartitionManagement.
        partitions, partitions_wanted: control queues that the hub has, and those that host.json asks for.
    """

    python: tuple[int, int, int]
    packages: Mapping[str, str | None]
    node: str | None = None
    node_problem: str | None = None
    azurite: str | None = None
    ports: Mapping[str, tuple[int, bool]] = field(default_factory=dict[str, tuple[int, bool]])
    app: str | None = None
    app_problem: str | None = None
    app_functions: int | None = None
    app_failures: tuple[str, ...] = ()
    worker_runtime: str | None = None
    own_environment: str | None = None
    requirements: str | None = None
    store: str | None = None
    store_problem: str | None = None
    needs_azurite: bool = False
    hub: str | None = None
    hubs: tuple[str, ...] = ()
    queues: tuple[QueueState, ...] = ()
    workers: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    leased_otherwise: bool = False
    by_table: bool = True
    partitions: int = 0
    partitions_wanted: int = 0


def diagnose(facts: Facts) -> list[Check]:
    """All checks, in the order in which one would put things right."""
    return [
        *_python(facts),
        *_packages(facts),
        *_node(facts),
        *_app(facts),
        *_ports(facts),
        *_store(facts),
        *_layout(facts),
        *_rows(facts),
        *_messages(facts),
    ]


def _python(facts: Facts) -> Iterator[Check]:
    version = ".".join(map(str, facts.python))
    if facts.python[:2] in PYTHON_TESTED:
        yield Check(topic="python", level=Level.OK, text=f"Python {version}")
        return
    tested = ", ".join(f"{major}.{minor}" for major, minor in PYTHON_TESTED)
    yield Check(
        topic="python",
        level=Level.WARNING,
        text=f"Python {version} is not one of those that this program is tested with ({tested})",
        cure=f"make a virtual environment with Python {PYTHON_TESTED[-2][0]}.{PYTHON_TESTED[-2][1]}",
    )


def _packages(facts: Facts) -> Iterator[Check]:
    for name, version in facts.packages.items():
        if version is None:
            yield Check(
                topic="packages",
                level=Level.ERROR,
                text=f"{name} is not installed here",
                cure=f"pip install '{name}<2'" if name == SDK else f"pip install {name}",
            )
        elif name == SDK and not version.startswith("1."):
            yield Check(
                topic="packages",
                level=Level.ERROR,
                text=f"{name} {version} speaks another protocol than the 1.x that is supported here",
                cure=f"pip install '{name}<2'",
            )
        else:
            yield Check(topic="packages", level=Level.OK, text=f"{name} {version}")


def _node(facts: Facts) -> Iterator[Check]:
    if facts.node is not None:
        yield Check(topic="node", level=Level.OK, text=f"Node {facts.node}")
        installed = facts.azurite is not None
        yield Check(
            topic="azurite",
            level=Level.OK,
            text=f"Azurite {facts.azurite} is installed"
            if installed
            else "Azurite is not installed yet; it is when it is first needed",
        )
    elif facts.node_problem is not None:
        level = Level.ERROR if facts.needs_azurite else Level.WARNING
        yield Check(
            topic="node",
            level=level,
            text=facts.node_problem,
            cure="pip install 'durable-functions-emulator[azurite]', or install Node 22 or newer",
        )


def _app(facts: Facts) -> Iterator[Check]:
    if facts.app_problem is not None:
        yield Check(
            topic="app",
            level=Level.ERROR,
            text=facts.app_problem,
            cure="run this in the folder of a function app, or name it with --app",
        )
        return
    runtime = facts.worker_runtime
    if runtime is not None and runtime.lower() != "python":
        yield Check(
            topic="app",
            level=Level.ERROR,
            text=f"FUNCTIONS_WORKER_RUNTIME is {runtime!r}; only python runs here",
            cure='set "FUNCTIONS_WORKER_RUNTIME": "python" in the Values of local.settings.json',
        )
    for failure in facts.app_failures:
        yield Check(
            topic="app", level=Level.ERROR, text=failure, cure="repair what the message names"
        )
    if facts.app_functions == 0 and not facts.app_failures:
        yield Check(
            topic="app",
            level=Level.WARNING,
            text=f"{facts.app} has no functions",
            cure="add a function_app.py with an app object, or folders with function.json",
        )
    elif facts.app_functions:
        yield Check(
            topic="app", level=Level.OK, text=f"{facts.app}: {facts.app_functions} functions"
        )
    if facts.own_environment is not None:
        yield Check(
            topic="app",
            level=Level.WARNING,
            text=f"the app has an environment of its own ({facts.own_environment}), and this program runs in another: "
            "packages of the app may be missing",
            cure=f"{facts.own_environment} -m pip install durable-functions-emulator, and run `durable` from there",
        )
    if facts.requirements is not None and SDK not in facts.requirements.lower().replace("_", "-"):
        yield Check(
            topic="app",
            level=Level.WARNING,
            text=f"requirements.txt does not name {SDK}: the app runs here, and fails in Azure",
            cure=f"add a line {SDK} to requirements.txt",
        )


def _ports(facts: Facts) -> Iterator[Check]:
    for purpose, (port, is_taken) in facts.ports.items():
        if not is_taken:
            yield Check(topic="ports", level=Level.OK, text=f"port {port} ({purpose}) is free")
        elif purpose == "host" and not facts.workers:
            yield Check(
                topic="ports",
                level=Level.WARNING,
                text=f"port {port} ({purpose}) is taken by another program",
                cure="end that program, or use durable start --port N",
            )
        else:
            yield Check(topic="ports", level=Level.OK, text=f"port {port} ({purpose}) is in use")


def _store(facts: Facts) -> Iterator[Check]:
    if facts.store_problem is not None:
        cure = "durable start starts Azurite; or python -m azurite" if facts.needs_azurite else None
        yield Check(
            topic="store",
            level=Level.ERROR,
            text=facts.store_problem,
            cure=cure or "name another store with --storage, or correct the connection setting",
        )
    elif facts.store is not None:
        hubs = ", ".join(facts.hubs) or "none yet"
        yield Check(topic="store", level=Level.OK, text=f"{facts.store}; task hubs: {hubs}")


def _layout(facts: Facts) -> Iterator[Check]:
    if facts.leased_otherwise:
        ways = ("by a table", "by leases on blobs")
        ours, theirs = ways if facts.by_table else ways[::-1]
        yield Check(
            topic="hub",
            level=Level.WARNING,
            text=f"the control queues of task hub {facts.hub} are dealt out {theirs}, and a host with this host.json "
            f"would do so {ours} (useTablePartitionManagement: {_json(facts.by_table)}). Hosts of both ways do not see "
            "each other, and would read the same queues",
            cure=f"set useTablePartitionManagement to {_json(not facts.by_table)} "
            "(host.json, extensions.durableTask.storageProvider), or stop the other hosts before durable start",
        )
    if facts.partitions != facts.partitions_wanted:
        yield Check(
            topic="hub",
            level=Level.ERROR,
            text=f"task hub {facts.hub} has {facts.partitions} control queues, and partitionCount in host.json is "
            f"{facts.partitions_wanted}. Which queue an instance's messages go to depends on that number: those of "
            "instances that were started before would be looked for elsewhere",
            cure=f"set partitionCount to {facts.partitions}, or name another hub (hubName)",
        )


def _json(flag: bool) -> str:
    return "true" if flag else "false"


def _rows(facts: Facts) -> Iterator[Check]:
    for row in facts.unreadable:
        yield Check(
            topic="rows",
            level=Level.ERROR,
            text=f"in table {row.table}: {row.reason}",
            cure="if a newer program wrote it, go on with that one; else correct the row, or delete all rows of that "
            "instance, with a storage tool",
        )


def _messages(facts: Facts) -> Iterator[Check]:
    if facts.hub is None:
        return
    for queue in facts.queues:
        for name, reason in queue.unreadable:
            yield Check(
                topic="messages",
                level=Level.ERROR,
                text=f"message {name} in {queue.name} cannot be read by anyone: {reason}",
                cure="find out who wrote it; it stays in the queue until it is deleted with a storage tool",
            )
        if queue.dequeue_count_max >= POISON_DEQUEUE_COUNT:
            yield Check(
                topic="messages",
                level=Level.ERROR,
                text=f"a message in {queue.name} was taken and given back {queue.dequeue_count_max} times",
                cure="see the log of the host for the reason; `durable why INSTANCE` shows whose message it is",
            )
    waiting = sum(queue.visible for queue in facts.queues)
    if waiting and not facts.workers:
        yield Check(
            topic="messages",
            level=Level.WARNING,
            text=f"{waiting} messages wait in task hub {facts.hub}, and no host works on it",
            cure="durable start, in the app's folder",
        )
    else:
        working = ", ".join(facts.workers) or "no host"
        yield Check(
            topic="messages", level=Level.OK, text=f"task hub {facts.hub}: {working} at work"
        )
