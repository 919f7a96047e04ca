"""`durable hub`: look at a whole task hub, and carry it to a file or another store."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType

from emulator.commands.output import age, second, status_text, table
from emulator.commands.store import (
    Needs,
    OpenHub,
    Target,
    guard,
    load_settings,
    on_hub,
    open_storage,
)
from emulator.core.instant import Instant
from emulator.engine.courier import Courier
from emulator.engine.timers import remake_timers
from emulator.errors import ConfigError
from emulator.hub.census import Census, census, leases_of, owners
from emulator.hub.image import HubImage, LiveImage, Renaming, has_hub
from emulator.hub.stage import StageImage, write_stage
from emulator.hub.task_hub import TaskHub
from emulator.hub.transfer import Transferred, transfer
from emulator.storage.ports import Storage
from emulator.wire.names import HubNames, validate_hub_name

_NUMBERED: Final = re.compile(r"(\d\d)-.*\.json")

app = typer.Typer(
    name="hub", help="Show, export, import and copy a task hub.", no_args_is_help=True
)

ReplaceOption = Annotated[bool, typer.Option("--replace", help="Delete a hub of that name first.")]


# --- show ---------------------------------------------------------------------------------------------------------


@app.command("show")
@on_hub()
async def show(hub: OpenHub) -> None:
    """Show instances by state, queues with their messages, and who reads them."""
    now = hub.clock.now()
    with hub.out.progress("Counting instances") as progress:
        found = await census(hub.hub, now, progress)
    hub.out.result(_members(hub, found, now), Group(*_lines(hub, found, now)))


def _members(hub: OpenHub, found: Census, now: Instant) -> dict[str, object]:
    return {
        "taskHub": hub.hub.name,
        "store": hub.storage.description,
        "instances": found.instances,
        "queues": [
            {
                "name": queue.name,
                "visible": queue.visible,
                "hidden": queue.hidden,
                "oldestSeconds": now.minus(queue.oldest).total_seconds() if queue.oldest else None,
                "dequeueCountMax": queue.dequeue_count_max,
                "unreadable": [{"id": name, "reason": why} for name, why in queue.unreadable],
            }
            for queue in found.queues
        ],
        "partitions": [
            {
                "queue": lease.control_queue,
                "owner": lease.owner,
                "nextOwner": lease.next_owner,
                "isHeld": lease.is_held,
                "expiresAt": lease.expires_at.text() if lease.expires_at else None,
                "isDraining": lease.is_draining,
            }
            for lease in found.leases
        ],
        "workers": list(owners(found.leases)),
    }


def _lines(hub: OpenHub, found: Census, now: Instant) -> list[RenderableType]:
    leases = {lease.control_queue: lease for lease in found.leases}
    working = owners(found.leases)
    queues: list[tuple[str, ...]] = []
    for queue in found.queues:
        lease = leases.get(queue.name)
        owner = (lease.owner or "nobody") if lease is not None else ""
        until = second(lease.expires_at) if lease is not None and lease.expires_at else ""
        queues.append(
            (
                queue.name,
                str(queue.visible),
                str(queue.hidden),
                age(queue.oldest, now) if queue.oldest else "",
                str(queue.dequeue_count_max or ""),
                str(len(queue.unreadable) or ""),
                owner,
                until,
            )
        )
    states = [(status_text(status), str(count)) for status, count in found.instances.items()]
    return [
        f"Task hub {hub.hub.name} on {hub.storage.description}",
        f"Read by {', '.join(working)}" if working else "No host works on it.",
        "",
        table(("INSTANCES", ""), states) if states else "No instance.",
        "",
        table(
            (
                "QUEUE",
                "VISIBLE",
                "HIDDEN",
                "OLDEST",
                "DELIVERIES",
                "UNREADABLE",
                "OWNER",
                "UNTIL",
            ),
            queues,
        ),
    ]


# --- export, import, copy -----------------------------------------------------------------------------------------


@app.command("export")
@on_hub()
async def export(
    hub: OpenHub,
    path: Annotated[Path, typer.Argument(help="A file, or a folder for the next NN-STAGE.json.")],
    *,
    scenario: Annotated[str | None, typer.Option(help="Name of the scenario; the hub's.")] = None,
    stage: Annotated[str, typer.Option(help="Name of the stage.")] = "exported",
) -> None:
    """Write a hub to a JSON file: messages, rows with their types, and blobs."""
    file = _next_stage(path, stage) if path.is_dir() else path
    image = await _live(hub)
    try:
        with file.open("w", encoding="utf-8") as target, hub.out.progress("Writing") as progress:
            unseen = await write_stage(
                image,
                target,
                scenario=scenario or hub.hub.name.lower(),
                stage=stage,
                progress=progress,
            )
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error
    _warn_of_unseen(hub, unseen)
    hub.out.result(
        {"file": str(file), "messagesNotVisible": unseen},
        f"Wrote task hub {hub.hub.name} to {file}",
    )


def _next_stage(folder: Path, stage: str) -> Path:
    numbers = [int(m[1]) for m in map(_NUMBERED.fullmatch, (p.name for p in folder.iterdir())) if m]
    return folder / f"{max(numbers, default=0) + 1:02d}-{stage}.json"


@app.command("import")
@on_hub(Needs.NOTHING, destroys=True)
async def import_hub(
    hub: OpenHub,
    file: Annotated[Path, typer.Argument(help="A file that `durable hub export` wrote.")],
    *,
    name: Annotated[str | None, typer.Option("--as", help="Another name for the hub.")] = None,
    replace_: ReplaceOption = False,
) -> None:
    """Make a hub from a JSON file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    image = StageImage(text, str(file))
    chosen = validate_hub_name(name, "--as") if name else image.names.hub
    hub.guard(f"write task hub {chosen}")
    await _carry(hub, image, hub.storage, chosen, replaces=replace_)


@app.command("copy")
@on_hub(destroys=True)
async def copy(
    hub: OpenHub,
    *,
    to_storage: Annotated[
        str | None, typer.Option(help="Where to; the same store. In the form of --storage.")
    ] = None,
    to_hub: Annotated[str | None, typer.Option(help="Name of the copy; the same.")] = None,
    replace_: ReplaceOption = False,
) -> None:
    """Copy a hub to another store or another name; messages of open timers are made anew."""
    chosen = validate_hub_name(to_hub, "--to-hub") if to_hub else hub.hub.name
    image = await _live(hub)
    if to_storage is None:
        if chosen.lower() == hub.hub.name.lower():
            raise ConfigError("the copy would be the hub itself; use --to-hub or --to-storage")
        hub.guard(f"write task hub {chosen}")
        await _carry(hub, image, hub.storage, chosen, replaces=replace_)
        return
    target = load_settings(Target(app=hub.settings.app.root, storage=to_storage))
    async with open_storage(target, creates=True) as storage:
        guard(storage, f"write task hub {chosen}", allowed=hub.remote)
        same = storage.description == hub.storage.description
        if same and chosen.lower() == hub.hub.name.lower():
            raise ConfigError("--to-storage is the store that the hub lies in; use --to-hub, too")
        await _carry(hub, image, storage, chosen, replaces=replace_)


async def _live(hub: OpenHub) -> LiveImage:
    working = owners(await leases_of(hub.hub, hub.clock.now()))
    if working:
        hub.out.note(
            f"a host works on the hub ({', '.join(working)}): what it does meanwhile may be seen half. Stop it for an "
            "exact image"
        )
    image = LiveImage(hub.hub, holds=not working)
    await image.open()
    return image


async def _carry(
    hub: OpenHub, image: HubImage, storage: Storage, name: str, *, replaces: bool
) -> None:
    names = HubNames(name)
    partitions = sum("-control-" in queue for queue in image.queues())
    settings = replace(
        hub.settings.hub,
        hub_name=name,
        partition_count=partitions or hub.settings.hub.partition_count,
    )
    target = TaskHub(storage, settings, hub.ids.hex32)
    if await has_hub(storage, names):
        if not replaces:
            raise ConfigError(
                f"{storage.description} has a task hub {name} already; use --replace to delete it first, or another "
                "name"
            )
        with hub.out.progress("Deleting queues, tables and containers") as deleted:
            await target.delete(deleted)
    renaming = Renaming(image.names, names, storage.blobs.blob_url(names.large_messages, ""))
    with hub.out.progress("Copying") as progress:
        done = await transfer(image, storage, renaming, progress)
        timers = await remake_timers(target, Courier(target, hub.clock, hub.ids))
    _report(hub, storage, name, done, timers)


def _report(hub: OpenHub, storage: Storage, name: str, done: Transferred, timers: int) -> None:
    _warn_of_unseen(hub, max(0, done.unseen - timers))
    hub.out.result(
        {
            "taskHub": name,
            "store": storage.description,
            "rows": done.rows,
            "blobs": done.blobs,
            "messages": done.messages,
            "messagesNotVisible": done.unseen,
            "timersMadeAnew": timers,
        },
        f"Wrote task hub {name} to {storage.description}: {done.rows} rows, {done.blobs} blobs, "
        f"{done.messages} messages, {timers} timers",
    )


def _warn_of_unseen(hub: OpenHub, count: int) -> None:
    if count:
        hub.out.note(
            f"{count} messages are invisible (held by a host, or not due yet) and are left out. Those of timers are "
            "made anew by an import; for the others, stop the host and wait until their time-outs are over"
        )
