"""The commands of `func durable`, with its flags and its texts.

Two differences on purpose: the default hub is the one that the app runs on (there it is `DurableFunctionsHub`), and an
instance that is not there is an error wherever the real command would send a message to nobody. Source: reference
functions-host.md 6.7.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from emulator.commands.arguments import instant, payload, statuses
from emulator.commands.store import Needs, OpenHub, on_hub
from emulator.core.instance import InstanceQuery, InstanceRecord
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.json_text import indented
from emulator.core.status import STATUS_NUMBERS, TERMINAL, RuntimeStatus
from emulator.errors import ConfigError, EmulatorError, InstanceConflictError
from emulator.hub.census import leases_of, owners
from emulator.hub.directory import hub_names
from emulator.hub.purge import purge_instances
from emulator.wire.event_json import spec_of, to_members

TOP_DEFAULT: Final = 10
TERMINATE_LIMIT_S: Final = 30.0
REWIND_LIMIT_S: Final = 3.0
_LOOK_AGAIN_S: Final = 0.2
_NO_TIME: Final = "0001-01-01T00:00:00"

app = typer.Typer()

IdOption = Annotated[str, typer.Option("--id", help="Instance id.")]
ReasonOption = Annotated[str | None, typer.Option(help="Reason, kept with the instance.")]
AfterOption = Annotated[str | None, typer.Option(help="Only instances created from then on (UTC).")]
BeforeOption = Annotated[str | None, typer.Option(help="Only instances created until then (UTC).")]
StatusOption = Annotated[
    str | None, typer.Option(help='Only these states, such as "completed failed".')
]


@app.command("start-new")
@on_hub(Needs.NOTHING)
async def start_new(
    hub: OpenHub,
    *,
    function_name: Annotated[str, typer.Option(help="Orchestrator to start.")],
    id: Annotated[str | None, typer.Option("--id", help="Instance id; a new one.")] = None,  # noqa: A002 - the flag
    input: Annotated[  # noqa: A002 - the flag
        str | None, typer.Option(help="A text, or @FILE with JSON.")
    ] = None,
) -> None:
    """Start an orchestration."""
    text = payload(input, "--input", "input")
    try:
        instance = await hub.client.start(function_name, input=text, instance_id=id)
    except InstanceConflictError as error:
        raise EmulatorError(f"Could not start new instance '{id}'. {error}") from error
    moment = hub.clock.now().to_datetime()
    hub.out.result(
        {"id": instance, "functionName": function_name, "taskHub": hub.hub.name},
        f"Started '{function_name}' at {_invariant(moment)}. Instance ID: '{instance}'.",
    )


@app.command("get-instances")
@on_hub()
async def get_instances(
    hub: OpenHub,
    *,
    created_after: AfterOption = None,
    created_before: BeforeOption = None,
    runtime_status: StatusOption = None,
    top: Annotated[int, typer.Option(min=1, help="Instances of one page.")] = TOP_DEFAULT,
    continuation_token: Annotated[str | None, typer.Option(help="Of the page before.")] = None,
) -> None:
    """List instances, one page at a time."""
    where = _query(created_after, created_before, runtime_status)
    page = await hub.client.query(where, top=top, continuation=continuation_token)
    states = [orchestration_state(record) for record in page.records]
    hub.out.result(
        {"instances": states, "continuationToken": page.continuation},
        f"{indented(states)}\nContinuation token for next set of results: '{page.continuation or ''}'",
    )


@app.command("get-runtime-status")
@on_hub()
async def get_runtime_status(
    hub: OpenHub,
    *,
    id: IdOption,  # noqa: A002 - the flag
    show_input: Annotated[str | None, typer.Option(metavar="true|false")] = None,
    show_output: Annotated[str | None, typer.Option(metavar="true|false")] = None,
) -> None:
    """Show the status of one instance."""
    shows_input, shows_output = (
        _truth(show_input, "--show-input"),
        _truth(show_output, "--show-output"),
    )
    record = await hub.client.get(id)
    if record is None:
        hub.out.result(None, f"Could not find an orchestration instance with id '{id}'")
        return
    state = orchestration_state(record, input=shows_input, output=shows_output)
    hub.out.result(state, indented(state))


@app.command("get-history")
@on_hub()
async def get_history(hub: OpenHub, *, id: IdOption) -> None:  # noqa: A002 - the flag
    """Show the history of one instance."""
    await hub.record(id)
    events = sorted(await hub.client.history(id), key=lambda event: event.timestamp)
    shown = [{**to_members(event), "EventType": spec_of(event).name} for event in events]
    if hub.out.as_json:
        hub.out.result(shown)
    else:
        hub.out.plain(indented(shown), end="")


@app.command("raise-event")
@on_hub()
async def raise_event(
    hub: OpenHub,
    *,
    id: IdOption,  # noqa: A002 - the flag
    event_name: Annotated[str | None, typer.Option(help="Name of the event; a new one.")] = None,
    event_data: Annotated[str | None, typer.Option(help="A text, or @FILE with JSON.")] = None,
) -> None:
    """Send an event to an instance."""
    data = payload(event_data, "--event-data", "event data")
    name = event_name if event_name is not None else f"Event_{hub.ids.hex32()}"
    record = await hub.record(id)
    if record.status in TERMINAL:
        hub.out.note(f"instance '{id}' has ended ({record.status}): the event will be discarded")
    await hub.client.raise_event(id, name, data)
    hub.out.result({"id": id, "eventName": name}, f"Raised event '{name}' to instance '{id}'.")


@app.command("terminate")
@on_hub()
async def terminate(
    hub: OpenHub,
    *,
    id: IdOption,  # noqa: A002 - the flag
    reason: ReasonOption = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the end.")
    ] = TERMINATE_LIMIT_S,
) -> None:
    """Terminate an instance and wait until it has ended."""
    record = await hub.client.get(id)
    if record is None:
        hub.out.result(
            {"id": id, "terminated": False},
            f"Failed to find instance '{id}'. No instance was terminated.",
        )
        return
    await hub.client.terminate(id, reason)
    if not hub.out.as_json:
        hub.out.plain(
            f"Sent a termination message to instance '{id}'. Waiting up to {wait:g} seconds for the orchestration to "
            "be terminated..."
        )
    after = await hub.client.wait(
        id, limit=timedelta(seconds=wait), interval=timedelta(seconds=_LOOK_AGAIN_S)
    )
    if after is None or after.status not in TERMINAL:
        raise EmulatorError(
            f"instance '{id}' has not ended within {wait:g} seconds. The message stays in its queue until a host reads "
            f"it: is one running? `durable why {id} {hub.flags}` tells"
        )
    hub.out.result(
        {"id": id, "terminated": after.status is RuntimeStatus.TERMINATED, "status": after.status},
        f"Successfully terminated '{id}'"
        if after.status is RuntimeStatus.TERMINATED
        else f"Instance '{id}' had ended before: {after.status}",
    )


@app.command("rewind")
@on_hub()
async def rewind(hub: OpenHub, *, id: IdOption, reason: ReasonOption = None) -> None:  # noqa: A002 - the flag
    """Let a failed instance go on from its last success."""
    before = await hub.record(id)
    await hub.client.rewind(id, reason)
    if not hub.out.as_json:
        hub.out.plain(f"Rewind message sent to instance '{id}'. Retrieving new status now...")
    deadline = hub.clock.monotonic() + REWIND_LIMIT_S
    after = await hub.record(id)
    while after.status is before.status and hub.clock.monotonic() < deadline:
        await asyncio.sleep(_LOOK_AGAIN_S)
        after = await hub.record(id)
    hub.out.result(
        {"id": id, "before": before.status, "after": after.status},
        f"Status before rewind: {before.status}\nStatus after rewind: {after.status}",
    )


@app.command("purge-history")
@on_hub(destroys=True)
async def purge_history(
    hub: OpenHub,
    *,
    created_after: AfterOption = None,
    created_before: BeforeOption = None,
    runtime_status: StatusOption = None,
) -> None:
    """Delete instances with their histories; without a filter, all of them."""
    where = _query(created_after, created_before, runtime_status)
    live = where.statuses - TERMINAL
    if live:
        raise ConfigError(
            f"--runtime-status: {', '.join(sorted(live))} cannot be purged; use completed, terminated, canceled, failed"
        )
    hub.guard("delete instances")
    numbers = itertools.count(1)
    with hub.out.progress("Deleting instances") as progress:
        purged = await purge_instances(hub.hub, where, lambda _: progress(next(numbers)))
    after, before = (
        where.created_from or MIN_INSTANT,
        where.created_to or hub.clock.now(),
    )
    named = ",".join(str(s) for s in sorted(where.statuses))
    matched = f" and whose runtime status matched one of the following: [{named}]" if named else ""
    hub.out.result(
        {"instancesDeleted": purged.instances, "rowsDeleted": purged.rows},
        f"Purged orchestration history for all instances created between '{_invariant(after.to_datetime())}' and "
        f"'{_invariant(before.to_datetime())}'{matched}\n"
        f"Instances deleted: {purged.instances}\nRows deleted: {purged.rows}",
    )


@app.command("delete-task-hub")
@on_hub(destroys=True)
async def delete_task_hub(hub: OpenHub) -> None:
    """Delete a task hub with everything in it."""
    hub.guard(f"delete task hub {hub.hub.name}")
    working = owners(await leases_of(hub.hub, hub.clock.now()))
    if working:
        hub.out.note(
            f"a host works on it ({', '.join(working)}) and will make it again; stop the host first"
        )
    with hub.out.progress("Deleting queues, tables and containers") as progress:
        await hub.hub.delete(progress)
    if hub.out.as_json:
        hub.out.result({"taskHub": hub.hub.name, "deleted": True})
    else:
        hub.out.plain(f"Task hub '{hub.hub.name}' successfully deleted.", end="")


@app.command("get-task-hub-names")
@on_hub(Needs.STORE)
async def get_task_hub_names(hub: OpenHub) -> None:
    """List the task hubs of a store."""
    names = await hub_names(hub.storage)
    hub.out.result(list(names), "\n".join(names) or f"No task hub on {hub.storage.description}.")


def _query(after: str | None, before: str | None, status: str | None) -> InstanceQuery:
    return InstanceQuery(
        created_from=instant(after, "--created-after"),
        created_to=instant(before, "--created-before"),
        statuses=statuses(status, "--runtime-status"),
    )


def _truth(text: str | None, flag: str) -> bool:
    lowered = (text or "false").lower()
    if lowered not in ("true", "false"):
        raise ConfigError(f"{flag}: {text!r} is neither true nor false")
    return lowered == "true"


def _invariant(moment: datetime) -> str:
    """A time in .NET's invariant culture."""
    return f"{moment:%m/%d/%Y %H:%M:%S}"


def orchestration_state(
    record: InstanceRecord,
    *,
    input: bool = True,  # noqa: A002 - the member's name
    output: bool = True,
) -> dict[str, object]:
    """The members of DurableTask.Core's OrchestrationState, in its order."""
    return {
        "ScheduledStartTime": _time(record.scheduled_start),
        "CompletedTime": _time(record.completed_at) or _NO_TIME,
        "CompressedSize": 0,
        "CreatedTime": record.created_at.text(),
        "Input": record.input if input else None,
        "LastUpdatedTime": record.last_updated_at.text(),
        "Name": record.name,
        "OrchestrationInstance": {
            "InstanceId": record.instance_id,
            "ExecutionId": record.execution_id,
        },
        "OrchestrationStatus": STATUS_NUMBERS[record.status],
        "Output": record.output if output else None,
        "ParentInstance": None,
        "Size": 0,
        "Status": record.custom_status,
        "Tags": dict(record.tags) if record.tags else None,
        "Version": record.version,
        "Generation": record.generation,
        "FailureDetails": None,
    }


def _time(instant_or_none: Instant | None) -> str | None:
    return None if instant_or_none is None else instant_or_none.text()
