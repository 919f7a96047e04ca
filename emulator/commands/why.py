"""`durable why`: what an instance waits for, since when, and what would help."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from emulator import config
from emulator.commands.output import age, second, status_text
from emulator.commands.store import OpenHub, app_environment, on_hub
from emulator.core.entity_messages import is_entity_id
from emulator.core.feed import Feed
from emulator.core.instant import Instant
from emulator.core.waiting import Finding, Situation, awaited_events, explain
from emulator.errors import ConfigError
from emulator.hub.inspection import situation_of
from emulator.settings import Settings

app = typer.Typer()


@app.command("why")
@on_hub()
async def why(
    hub: OpenHub,
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Instance id.")],
    *,
    replay: Annotated[
        bool,
        typer.Option(
            help="Load the app and replay the orchestrator, to tell which events it awaits."
        ),
    ] = True,
) -> None:
    """Tell what an instance waits for, and the command that would help."""
    record = await hub.record(instance)
    situation = await situation_of(hub.hub, record, hub.clock.now(), hub_flag=hub.flags)
    if replay and situation.events and not is_entity_id(instance):
        situation = _replayed(hub, situation)
    findings = explain(situation)
    now = situation.now
    hub.out.result(
        {
            "instanceId": instance,
            "runtimeStatus": record.status,
            "findings": [_members(finding, now) for finding in findings],
        },
        Group(*_lines(situation, findings)),
    )


def _replayed(hub: OpenHub, situation: Situation) -> Situation:
    """With the events that the orchestrator waits for, if the app can be loaded."""
    try:
        return replace(situation, awaited=_awaited(hub.settings, situation))
    except ConfigError as error:
        hub.out.note(
            f"the app could not be loaded, so the names of awaited events are not known: {error}"
        )
        return situation


def _awaited(settings: Settings, situation: Situation) -> tuple[str, ...] | None:
    from emulator.compose import load_orchestrators

    if not config.is_app(settings.app.root):
        return None
    with app_environment(settings):
        orchestrators = load_orchestrators(settings)
        name = situation.record.name
        if name.lower() not in {known.lower() for known in orchestrators.names}:
            return None
        feed = Feed()
        for event in situation.events:
            feed.add(event)
        execution = orchestrators.open(name)
        turn = execution.advance(feed.events)
        execution.close()
    actions = [action for step in turn.steps for action in step.actions]
    return awaited_events(actions, feed.events)


def _members(finding: Finding, now: Instant) -> dict[str, object]:
    return {
        "cause": finding.cause,
        "text": finding.text,
        "subject": finding.subject,
        "since": finding.since.text() if finding.since is not None else None,
        "ageSeconds": now.minus(finding.since).total_seconds() if finding.since else None,
        "due": finding.due.text() if finding.due is not None else None,
        "queue": finding.queue,
        "dequeueCount": finding.dequeue_count,
        "cure": finding.cure,
    }


def _lines(situation: Situation, findings: list[Finding]) -> list[RenderableType]:
    record = situation.record
    heading = Text(f"{record.instance_id} ({record.name}) is ")
    heading.append_text(status_text(str(record.status)))
    heading.append(f", last changed at {second(record.last_updated_at)}")
    lines: list[RenderableType] = [heading]
    for finding in findings:
        since = f" (for {age(finding.since, situation.now)})" if finding.since is not None else ""
        line = Text("  • ")
        line.append(f"{finding.cause}: ", style="bold").append(f"{finding.text}{since}")
        lines.append(line)
        if finding.cure:
            lines.append(Text(f"      → {finding.cure}", style="green"))
    return lines
