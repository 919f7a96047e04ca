"""`durable start`: an app on a host in this process until a signal comes, and what is said of it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import warnings
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from socket import socket
from types import FrameType
from typing import TYPE_CHECKING, Final

from emulator import config
from emulator.commands import reload
from emulator.errors import EmulatorError
from emulator.settings import Settings, StorageKind

if TYPE_CHECKING:  # the commands that run no host need not load one
    from emulator.compose import Host

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
STOPPING: Final = "Stopping: running work may end, everything else is given back."
STOPPED: Final = "Stopped."


async def serve(
    folder: Path,
    flags: config.Flags,
    run_name: str | None,
    run_input: str | None,
    *,
    reloads: bool,
) -> None:
    """Run a host, and an orchestration if one is named, until a signal comes; then drain it.

    Args:
        reloads: begin anew when the app's files change. What cannot be begun then waits for the next change.

    Raises:
        EmulatorError: flags, app, store or port are not usable.
    """
    collect_no_garbage()
    first = reload.beginning()
    stop = stop_on_signal()
    sockets = first.taken_over()
    run = (run_name, run_input) if first.sockets is None else (None, None)
    try:
        change, sockets = await _serve(folder, flags, run, stop, sockets, reloads=reloads)
    except EmulatorError as error:
        has_been_up = any(each.fileno() < 0 for each in sockets)  # then they were closed
        if first.sockets is None or has_been_up:
            raise
        sys.stderr.write(f"{error}\nWaiting for a change of the app's files.\n")
        sys.stderr.flush()
        watch = reload.Watch(config.root_if_any(folder), since_ns=first.at_ns)
        change = await watch.change_or(stop)
    if change is not None:
        from emulator.console import write_now

        write_now()
        first.again(sockets)
    say(STOPPED)


async def _serve(
    folder: Path,
    flags: config.Flags,
    named: tuple[str | None, str | None],
    stop: asyncio.Event,
    inherited: tuple[socket, ...],
    *,
    reloads: bool,
) -> tuple[Path | None, tuple[socket, ...]]:
    """One host; the file that ended it, if one did, and its listening sockets then."""
    from emulator.commands.run_once import check_run, read_run, run_until
    from emulator.compose import running_host

    run = read_run(*named)
    settings, environment = prepare(folder, flags, say)
    # what is inherited is kept, for the case that the app cannot be begun
    given = tuple(each.dup() for each in inherited)
    starting = running_host(settings, environment=environment, say=say, sockets=given)
    async with up_unless(stop, starting) as host:
        if host is None:
            return None, ()
        for each in inherited:
            each.close()
        collect_garbage()
        if run is not None:
            check_run(run, host)
        introduce(host, say)
        warn_if_exposed(settings)
        say(readiness(settings, host.server.port))
        if run is not None:
            await run_until(stop, run, host, say)
        if reloads:
            change = await _watch(settings).change_or(stop)
        else:
            await stop.wait()
            change = None
        sockets = host.server.listening() if change is not None else ()
        say(STOPPING if change is None else _changed(change, settings))
    return change, sockets


def _watch(settings: Settings) -> reload.Watch:
    app = settings.app
    since_ns = reload.beginning().at_ns
    return reload.Watch(app.root, app.watched_files, app.watched_folders, since_ns)


def _changed(file: Path, settings: Settings) -> str:
    """What is said when a file makes a new beginning necessary; the words are those of the real host."""
    emptied = settings.storage.kind is StorageKind.MEMORY
    return (
        f"File change of type 'Changed' detected for '{file}'\n"
        "Host configuration has changed. Signaling restart"
        + (". What the memory store holds is gone" if emptied else "")
    )


@asynccontextmanager
async def up_unless(
    stop: asyncio.Event, starting: AbstractAsyncContextManager[Host]
) -> AsyncGenerator[Host | None]:
    """A host once it is up; None if it is told to stop before, which it may wait for as long as another has its hub."""
    limit = asyncio.timeout(None)

    def end(_: object) -> None:
        limit.reschedule(0)

    async with AsyncExitStack() as stack:
        told = asyncio.ensure_future(stop.wait())
        host: Host | None = None
        try:
            async with limit:
                told.add_done_callback(end)
                try:
                    host = await stack.enter_async_context(starting)
                finally:
                    told.remove_done_callback(end)
                    told.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
        yield host


def collect_no_garbage() -> None:
    """Nearly all that is made until the host is up stays, so that looking for garbage among it is time lost."""
    gc.disable()


def collect_garbage() -> None:
    """From now on, in what is made from now on."""
    gc.freeze()
    gc.enable()


def prepare(
    folder: Path, flags: config.Flags, tell: Callable[[str], None]
) -> tuple[Settings, Mapping[str, str]]:
    """Make this process one that runs the app: its settings, logging, environment and folder.

    Raises:
        ConfigError: a file, flag or setting is wrong.
    """
    from emulator.console import configure_logging

    environment = config.process_environment()
    settings = config.load(folder, flags, environment)
    configure_logging(verbose=flags.verbose, levels=settings.log_levels)
    # The SDK says so of every event that comes before the orchestrator waits for it, which is nothing to worry about.
    warnings.filterwarnings("ignore", message="Potential duplicate Task completion")
    config.apply_environment(settings)
    os.chdir(settings.app.root)
    for notice in settings.notices:
        tell(notice)
    return settings, environment


def introduce(host: Host, tell: Callable[[str], None]) -> None:
    """Tell user code where the host listens, and people what it runs."""
    from emulator.console import describe

    config.tell_port(host.settings, host.server.port)
    deviations = (*host.app.deviations, *host.routes.deviations)
    for warning in (*host.app.warnings, *(found.message for found in deviations)):
        tell(f"Warning: {warning}")
    for failure in (*host.app.failures, *host.routes.failures):
        tell(failure.message)
    if not (host.app.functions or host.app.failures or host.app.disabled or host.app.warnings):
        tell(
            f"No job functions found in {host.settings.app.root}: write a function_app.py, or folders with a "
            "function.json"
        )
    tell("Worker process started and initialized.")
    tell(describe(host))
    tell(f"Host lock lease acquired by instance ID '{host.settings.hub.worker_id}'.")


def readiness(settings: Settings, port: int, more: str = "") -> str:
    """The line that says where the host answers."""
    return f"Ready on http://{settings.http.address}:{port}. {more}Press Ctrl-C to stop."


def stop_on_signal() -> asyncio.Event:
    """Set when the process is told to stop. A second signal, of either kind, ends it at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell_loop(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(_on_signal, stop, loop)

    for number in STOP_SIGNALS:
        try:
            loop.add_signal_handler(number, _on_signal, stop, loop)
        except NotImplementedError:  # the loops of Windows hear of no signals
            signal.signal(number, tell_loop)
    return stop


def _on_signal(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    from emulator.console import write_at_once

    write_at_once()
    stop.set()
    for number in STOP_SIGNALS:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


def warn_if_exposed(settings: Settings) -> None:
    """Say that a host is open to the network, on both streams: one of them may go to a file."""
    from emulator.console import exposure_warning

    text = exposure_warning(settings.http)
    if text is None:
        return
    for stream in (sys.stdout, sys.stderr):
        colour, plain = ("\x1b[1;37;41m", "\x1b[0m") if stream.isatty() else ("", "")
        stream.write(f"\n{colour}{text}{plain}\n\n")
        stream.flush()


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
