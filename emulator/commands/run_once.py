"""`durable start --run NAME`: one instance on a host that has just come up, and its outcome on the screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.commands.arguments import file_text
from emulator.core.json_text import compact, indented, quote
from emulator.errors import ConfigError, EmulatorError
from emulator.host.binding_api import TriggerKind
from emulator.http.bodies import status_object

if TYPE_CHECKING:  # the commands that run no host need not load one
    from emulator.compose import Host

LOOK_EVERY: Final = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to start: an orchestrator's name and its input as stored; None for no input."""

    name: str
    input: str | None


def read_run(name: str | None, text: str | None) -> Run | None:
    """The flags --run and --input; None if nothing is to be run.

    The input is stored the way the client of the app's SDK stores it, as JSON text inside a JSON string.

    Raises:
        ConfigError: there is an input for nothing, or it is no JSON.
    """
    if name is None:
        if text is not None:
            raise ConfigError("--input is for the orchestration that --run names; add --run NAME")
        return None
    if text is None:
        return Run(name=name, input=None)
    content = file_text(text[1:], "--input", "input") if text.startswith("@") else text
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"--input: {content[:60]!r} is no JSON ({error}); write a text in quotes of its own: '\"text\"'"
        ) from error
    return Run(name=name, input=quote(compact(value)))


def check_run(run: Run, host: Host) -> None:
    """See that the app has the orchestrator.

    Raises:
        ConfigError: it has not; names those that it has.
    """
    known = [f.spec.durable_name for f in host.app.of_kind(TriggerKind.ORCHESTRATION)]
    if run.name.lower() not in {name.lower() for name in known}:
        listed = ", ".join(known) or "none"
        raise ConfigError(
            f"--run: {host.settings.app.root} has no orchestrator {run.name!r}; it has {listed}"
        )


async def run_until(stop: asyncio.Event, run: Run, host: Host, say: Callable[[str], None]) -> None:
    """Run it and print its status, and return when it has ended or the host is told to stop."""
    async with asyncio.TaskGroup() as group:
        stopped = group.create_task(stop.wait(), name="stop")
        work = group.create_task(_run(run, host, say), name=f"--run {run.name}")
        await asyncio.wait({stopped, work}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        work.cancel()


async def _run(run: Run, host: Host, say: Callable[[str], None]) -> None:
    try:
        instance_id = await host.client.start(run.name, input=run.input)
        say(f"Started {run.name}, instance {instance_id}.")
        record = await host.client.wait(instance_id, limit=timedelta.max, interval=LOOK_EVERY)
    except EmulatorError as error:
        say(f"--run {run.name}: {error}")
        return
    if record is None:
        say(f"--run {run.name}: somebody has deleted instance {instance_id}")
        return
    say(indented(status_object(record, show_input=True)))
