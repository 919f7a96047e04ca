"""`durable instances`: look at instances, follow them, and pause or restart them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from emulator.commands.arguments import instant, statuses
from emulator.commands.endings import FAILED, fail
from emulator.commands.output import age, second, shortened, status_text, table
from emulator.commands.store import OpenHub, on_hub
from emulator.core.events import HistoryEvent
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.instant import Instant
from emulator.core.status import TERMINAL, RuntimeStatus
from emulator.http.bodies import history_objects, status_object
from emulator.wire.event_json import spec_of

TOP_DEFAULT: Final = 100
INTERVAL_DEFAULT_S: Final = 1.0
_INTERVAL_MIN_S: Final = 0.05

app = typer.Typer(
    name="instances", help="List, show, watch, pause and restart instances.", no_args_is_help=True
)

IdArgument = Annotated[str, typer.Argument(metavar="INSTANCE", help="Instance id.")]
StatusOption = Annotated[
    str | None, typer.Option("--status", help='Only these states, such as "running failed".')
]
PrefixOption = Annotated[str | None, typer.Option(help="Only ids that begin so.")]
IntervalOption = Annotated[
    float, typer.Option(min=_INTERVAL_MIN_S, help="Seconds between two looks.")
]


@app.command("list")
@on_hub()
async def list_instances(
    hub: OpenHub,
    *,
    status: StatusOption = None,
    prefix: PrefixOption = None,
    created_after: Annotated[str | None, typer.Option(help="Created from then on (UTC).")] = None,
    created_before: Annotated[str | None, typer.Option(help="Created until then (UTC).")] = None,
    entities: Annotated[bool, typer.Option(help="Entities, too.")] = True,
    top: Annotated[int, typer.Option(min=1, help="At most so many.")] = TOP_DEFAULT,
) -> None:
    """List instances, by id."""
    where = InstanceQuery(
        created_from=instant(created_after, "--created-after"),
        created_to=instant(created_before, "--created-before"),
        statuses=statuses(status, "--status"),
        prefix=prefix or None,
        exclude_entities=not entities,
    )
    with hub.out.progress("Reading instances") as progress:
        records, has_more = await _first(hub, where, top, progress)
    hub.out.result(
        [status_object(record, show_input=True) for record in records],
        _listing(records, hub.clock.now()) if records else "No instance.",
    )
    if has_more:
        hub.out.note(f"there are more than {top}; --top shows more of them")


async def _first(
    hub: OpenHub, where: InstanceQuery, count: int, progress: Callable[[int], None]
) -> tuple[list[InstanceRecord], bool]:
    """The first instances that match, and whether there may be more. A page may be short without being the last.

    Args:
        progress: told of the number of instances read so far.
    """
    records: list[InstanceRecord] = []
    continuation: str | None = None
    while True:
        page = await hub.client.query(where, top=count - len(records), continuation=continuation)
        records.extend(page.records)
        progress(len(records))
        continuation = page.continuation
        if continuation is None or len(records) >= count:
            return records, continuation is not None


def _listing(records: Sequence[InstanceRecord], now: Instant) -> RenderableType:
    return table(
        ("INSTANCE", "FUNCTION", "STATUS", "CREATED", "UPDATED", "CUSTOM STATUS"),
        [
            (
                record.instance_id,
                record.name,
                status_text(str(record.status)),
                second(record.created_at),
                f"{age(record.last_updated_at, now)} ago",
                shortened(record.custom_status, 40),
            )
            for record in records
        ],
    )


@app.command("show")
@on_hub()
async def show(
    hub: OpenHub,
    instance: IdArgument,
    *,
    history: Annotated[bool, typer.Option(help="With what has happened to it.")] = True,
) -> None:
    """Show one instance with its history."""
    record = await hub.record(instance)
    events = await hub.client.history(instance) if history else ()
    shown = history_objects(events, show_input=True, show_output=True) if history else None
    hub.out.result(
        status_object(record, show_input=True, history=shown), Group(*_details(record, events))
    )


def _details(record: InstanceRecord, events: Sequence[HistoryEvent]) -> list[RenderableType]:
    facts: list[tuple[str, str | Text]] = [
        ("Instance", record.instance_id),
        ("Function", record.name + (f" {record.version}" if record.version else "")),
        ("Status", status_text(str(record.status))),
        ("Created", record.created_at.text()),
        ("Updated", record.last_updated_at.text()),
        ("Execution", record.execution_id or ""),
        ("Input", record.input or ""),
        ("Custom status", record.custom_status or ""),
        ("Output", record.output or ""),
    ]
    parts: list[RenderableType] = [table(("", ""), [fact for fact in facts if fact[1]])]
    if events:
        rows = [
            (e.timestamp.text(), spec_of(e).name, _task(e), shortened(_what(e), 80)) for e in events
        ]
        parts += ["", table(("TIME", "EVENT", "TASK", "WHAT"), rows)]
    return parts


def _task(event: HistoryEvent) -> str:
    for attribute in ("task_scheduled_id", "timer_id", "event_id"):
        number: object = getattr(event, attribute, None)
        if isinstance(number, int) and number >= 0:
            return str(number)
    return ""


def _what(event: HistoryEvent) -> str:
    """Name and payload of an event, whichever it has."""
    found: list[str] = []
    for attribute in ("name", "instance_id", "fire_at", "input", "result", "reason", "data"):
        value: object = getattr(event, attribute, None)
        if isinstance(value, Instant):
            found.append(value.text())
        elif isinstance(value, str) and value:
            found.append(value)
    return "  ".join(found)


@app.command("watch")
@on_hub()
async def watch(
    hub: OpenHub,
    instance: Annotated[
        str | None, typer.Argument(metavar="INSTANCE", help="Instance id; all if none is given.")
    ] = None,
    *,
    status: StatusOption = None,
    prefix: PrefixOption = None,
    top: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    interval: IntervalOption = INTERVAL_DEFAULT_S,
) -> None:
    """Follow one instance to its end, or all of them until interrupted.

    Exit code of a followed instance: 0 if it completed, 1 if it ended in another way.
    """
    if instance is None:
        where = InstanceQuery(statuses=statuses(status, "--status"), prefix=prefix or None)
        await _watch_all(hub, where, top, interval)
    else:
        await _watch_one(hub, instance, interval)


async def _watch_one(hub: OpenHub, instance: str, interval: float) -> None:
    last: tuple[object, ...] = ()
    while True:
        record = await hub.record(instance)
        seen = (record.status, record.custom_status, record.last_updated_at)
        if seen != last:
            last = seen
            custom = f"  {shortened(record.custom_status)}" if record.custom_status else ""
            output = f"  {record.output or ''}" if record.status in TERMINAL else ""
            line = Text(f"{record.last_updated_at.text()}  ")
            line.append_text(status_text(str(record.status))).append(f"{custom}{output}")
            hub.out.result(status_object(record, show_input=True), line)
        if record.status in TERMINAL:
            break
        await asyncio.sleep(interval)
    if record.status is not RuntimeStatus.COMPLETED:
        fail("", FAILED)


async def _watch_all(hub: OpenHub, where: InstanceQuery, top: int, interval: float) -> None:
    with Live(console=hub.out.console, auto_refresh=False) as live:
        while True:
            records, _ = await _first(hub, where, top, lambda _: None)
            if hub.out.as_json:
                hub.out.result([status_object(record, show_input=True) for record in records])
            else:
                live.update(_listing(records, hub.clock.now()), refresh=True)
            await asyncio.sleep(interval)


# --- steering -----------------------------------------------------------------------------------------------------

ReasonOption = Annotated[str | None, typer.Option(help="Reason, kept with the instance.")]


@app.command("suspend")
@on_hub()
async def suspend(hub: OpenHub, instance: IdArgument, *, reason: ReasonOption = None) -> None:
    """Let an instance do nothing until it is resumed."""
    await hub.record(instance)
    await hub.client.suspend(instance, reason)
    hub.out.result({"id": instance, "sent": "suspend"}, f"Asked '{instance}' to pause.")


@app.command("resume")
@on_hub()
async def resume(hub: OpenHub, instance: IdArgument, *, reason: ReasonOption = None) -> None:
    """Let a suspended instance go on."""
    await hub.record(instance)
    await hub.client.resume(instance, reason)
    hub.out.result({"id": instance, "sent": "resume"}, f"Asked '{instance}' to go on.")


@app.command("restart")
@on_hub()
async def restart(
    hub: OpenHub,
    instance: IdArgument,
    *,
    new_id: Annotated[
        bool, typer.Option("--new-id/--same-id", help="Under an id of its own, or the same.")
    ] = True,
) -> None:
    """Start the same function with the same input again."""
    await hub.record(instance)
    started = await hub.client.restart(instance, new_id=new_id)
    hub.out.result({"id": started}, f"Started '{started}'.")
