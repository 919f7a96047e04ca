"""Opens the hub that a command works on, and turns errors into messages and exit codes.

Which store and hub: those of the app in the folder (`--app`, the current one by default), as `durable start` would
choose them, unless flags name others. The partition count is taken from the queues that are there, since a message
in a queue that nobody reads is lost.
"""

from __future__ import annotations

import functools
import inspect
import logging
import shlex
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, cast

import typer

from emulator import config
from emulator.commands.endings import execute
from emulator.commands.output import Output
from emulator.core.entity_messages import is_entity_id
from emulator.core.instance import InstanceRecord
from emulator.engine.client import HubClient
from emulator.engine.clock import Clock, IdSource, SystemClock, SystemIds
from emulator.engine.courier import Courier
from emulator.errors import ConfigError, EmulatorError, InstanceNotFoundError
from emulator.hub.directory import hub_names, is_by_table
from emulator.hub.task_hub import TaskHub
from emulator.settings import Settings, StorageKind
from emulator.storage.ports import Storage
from emulator.wire.names import HubNames, validate_hub_name

P = ParamSpec("P")

AppOption = Annotated[
    Path, typer.Option("--app", metavar="DIR", help="Folder of the function app; the current one.")
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        help="embedded[:PATH], a connection string, or the name of a setting that holds one. Default: the app's own."
    ),
]
ConnectionOption = Annotated[
    str | None,
    typer.Option(
        "--connection-string-setting", help="Name of the setting with the connection string."
    ),
]
HubOption = Annotated[
    str | None, typer.Option("--task-hub-name", "--hub", help="Task hub. Default: the app's own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
RemoteOption = Annotated[
    bool,
    typer.Option(
        "--yes-this-is-not-local", help="Allow changes to a store that is not on this machine."
    ),
]
_COMMON: Final = (
    ("app", AppOption, Path()),
    ("storage", StorageOption, None),
    ("connection", ConnectionOption, None),
    ("task_hub", HubOption, None),
    ("as_json", JsonOption, False),
)
REMOTE_FLAG: Final = "--yes-this-is-not-local"


class Needs(StrEnum):
    """What must be there before a command can begin."""

    HUB = "hub"
    STORE = "store"
    NOTHING = "nothing"
    """An embedded store is made if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the common options say."""

    app: Path = Path()
    storage: str | None = None
    connection: str | None = None
    task_hub: str | None = None
    as_json: bool = False
    remote: bool = False


def _of_entities(instance_id: str) -> str:
    """Why an entity that was spoken to may not be there."""
    if not is_entity_id(instance_id):
        return ""
    return (
        ". An entity is there as soon as one operation has been run; if the log of the host says that its function "
        "failed as a whole, mend that"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHub:
    """An open store and one hub on it."""

    settings: Settings
    storage: Storage
    hub: TaskHub
    client: HubClient
    clock: Clock
    ids: IdSource
    out: Output
    remote: bool
    flags: str
    """How commands that are suggested name this hub and its store."""

    async def record(self, instance_id: str) -> InstanceRecord:
        """The status of an instance.

        Raises:
            InstanceNotFoundError: it is not there.
        """
        record = await self.client.get(instance_id)
        if record is None:
            raise InstanceNotFoundError(
                f"there is no instance {instance_id!r} in task hub {self.hub.name} on {self.storage.description}; "
                f"`durable instances list {self.flags}` shows what is there{_of_entities(instance_id)}"
            )
        return record

    def guard(self, what: str) -> None:
        """Refuse to destroy what is not on this machine without the flag that says so.

        Raises:
            ConfigError: the flag is missing.
        """
        guard(self.storage, what, allowed=self.remote)


def guard(storage: Storage, what: str, *, allowed: bool) -> None:
    """See OpenHub.guard."""
    if not allowed and not storage.is_local:
        raise ConfigError(
            f"this would {what} on {storage.description}, which is not on this machine. If that is what you want, "
            f"add {REMOTE_FLAG}"
        )


def on_hub(
    needs: Needs = Needs.HUB, *, destroys: bool = False
) -> Callable[[Callable[Concatenate[OpenHub, P], Awaitable[None]]], Callable[..., None]]:
    """Make a coroutine that works on a hub a command with the options that all of them have.

    Args:
        needs: what must be there.
        destroys: whether it takes the flag for stores that are not local.
    """

    def decorate(
        function: Callable[Concatenate[OpenHub, P], Awaitable[None]],
    ) -> Callable[..., None]:
        async def work(target: Target, arguments: dict[str, Any]) -> None:
            async with open_hub(target, needs) as opened:
                await cast(Any, function)(opened, **arguments)

        return _command(function, work, destroys=destroys)

    return decorate


def on_target(
    function: Callable[Concatenate[Target, P], Awaitable[None]],
) -> Callable[..., None]:
    """Make a coroutine that opens the store by itself, or not at all, a command with the same options."""

    async def work(target: Target, arguments: dict[str, Any]) -> None:
        await cast(Any, function)(target, **arguments)

    return _command(function, work, destroys=False)


def _command(
    function: Callable[..., Awaitable[None]],
    work: Callable[[Target, dict[str, Any]], Coroutine[Any, Any, None]],
    *,
    destroys: bool,
) -> Callable[..., None]:
    """A function as typer wants it: the options of `function` but its first parameter, and the common ones."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    options = [*_COMMON, ("remote", RemoteOption, False)] if destroys else _COMMON
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=value)
        for name, kind, value in options
    ]

    @functools.wraps(function)
    def command(**arguments: Any) -> None:  # noqa: ANN401 - whatever typer has parsed
        target = Target(**{p.name: arguments.pop(p.name) for p in common})
        execute(work(target, arguments))

    shown: Any = command
    shown.__signature__ = inspect.Signature([*own, *common])
    shown.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
    return command


def load_settings(target: Target) -> Settings:
    """The settings that the common options stand for.

    Raises:
        ConfigError: there is no app in the folder, or a flag, file or setting is wrong.
    """
    if target.storage and target.connection:
        raise ConfigError(
            "--storage and --connection-string-setting both name the store; use one of them"
        )
    flags = config.Flags(storage=target.storage or target.connection, start_azurite=False)
    settings = config.load(
        target.app, flags, config.process_environment(), needs_app=target.storage is None
    )
    if target.task_hub:
        name = validate_hub_name(target.task_hub, "--task-hub-name")
        settings = replace(settings, hub=replace(settings.hub, hub_name=name))
    return settings


@contextmanager
def app_environment(settings: Settings) -> Generator[None]:
    """The app's settings are in the environment, and what it logs is not shown, while a command looks at its code."""
    logging.disable(logging.ERROR)
    try:
        config.apply_environment(settings)
        yield
    finally:
        logging.disable(logging.NOTSET)


@asynccontextmanager
async def open_hub(target: Target, needs: Needs = Needs.HUB) -> AsyncGenerator[OpenHub]:
    """Open the store that the options mean, and find the hub in it.

    Raises:
        ConfigError: options or store are not usable.
        EmulatorError: the hub must be there and is not.
    """
    settings = load_settings(target)
    async with open_storage(settings, creates=needs is Needs.NOTHING) as storage:
        clock, ids = SystemClock(), SystemIds()
        hub = await _find_hub(storage, settings, ids, needs)
        client = HubClient(hub, Courier(hub, clock, ids), clock=clock, ids=ids)
        yield OpenHub(
            settings=settings,
            storage=storage,
            hub=hub,
            client=client,
            clock=clock,
            ids=ids,
            out=Output(as_json=target.as_json),
            remote=target.remote,
            flags=_flags(target, hub.name),
        )


def _flags(target: Target, hub_name: str) -> str:
    """The options that lead another command to the same hub. A connection string is not repeated: it holds a key."""
    parts: list[str] = []
    if target.app != Path():
        parts += ["--app", str(target.app)]
    if target.storage and "=" not in target.storage:
        parts += ["--storage", target.storage]
    if target.connection:
        parts += ["--connection-string-setting", target.connection]
    return shlex.join([*parts, "--task-hub-name", hub_name])


@asynccontextmanager
async def open_storage(settings: Settings, *, creates: bool = False) -> AsyncGenerator[Storage]:
    """Open the store of some settings.

    Args:
        creates: whether an embedded store may be made if there is none.

    Raises:
        ConfigError: it cannot be opened, or lives in another process.
    """
    from emulator.compose import make_storage

    chosen = settings.storage
    if chosen.kind is StorageKind.MEMORY:
        raise ConfigError(
            "a memory store lives in its host's process and nobody else can look into it; run the host with "
            "--storage embedded, or ask its management API"
        )
    if chosen.kind is StorageKind.EMBEDDED and not creates and not cast(Path, chosen.path).exists():
        raise ConfigError(
            f"there is no embedded store {chosen.path}: no host has run on it yet. Start the app with `durable "
            "start`, or name another store with --storage"
        )
    storage = make_storage(chosen, SystemClock(), SystemIds())
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


async def _find_hub(storage: Storage, settings: Settings, ids: IdSource, needs: Needs) -> TaskHub:
    wanted = settings.hub.hub_name
    known = await hub_names(storage)
    name = next((name for name in known if name.lower() == wanted.lower()), None)
    if name is None and needs is Needs.HUB:
        listed = f"it has {', '.join(known)}" if known else "it has none"
        raise EmulatorError(
            f"there is no task hub {wanted} on {storage.description}; {listed}. Name one with --task-hub-name, or "
            "the app's folder with --app"
        )
    hub_settings = replace(settings.hub, hub_name=name or wanted)
    queues = await storage.queues.list_queues(f"{hub_settings.hub_name.lower()}-control-")
    if queues:
        hub_settings = replace(hub_settings, partition_count=len(queues))
    by_table = await is_by_table(storage, HubNames(hub_settings.hub_name))
    if by_table is not None:
        hub_settings = replace(hub_settings, use_table_partition_management=by_table)
    return TaskHub(storage, hub_settings, ids.hex32)
