"""`durable`: arguments, signals and exit codes.

Exit codes: 0 done or stopped on request, 1 an error, 2 a wrong flag, setting or file.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import typer

from emulator import config
from emulator.commands.endings import execute

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
THREAD_END_S: Final = 0.05
"""How long a thread may take to notice that nothing is left to do."""

_app = typer.Typer(
    name="durable",
    help="Runs Durable Functions apps on this machine, on the storage layout of the real provider.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@_app.callback(invoke_without_command=True)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True)
    ] = False,
) -> None:
    """The program's own options."""
    if version:
        from emulator.compose import product_version

        typer.echo(product_version())
        raise typer.Exit


def commands(words: Sequence[str]) -> typer.Typer:
    """The commands among which `words` choose. `start` must be quick, so it does not load the others."""
    if list(words[:1]) != ["start"]:
        _add_others()
    return _app


@cache
def _add_others() -> None:
    from emulator.commands import doctor, func, hub, instances, keys, mirror, why

    for group in (mirror.app, instances.app, why.app, keys.app, hub.app, doctor.app, func.app):
        _app.add_typer(group)


@_app.command()
def start(  # noqa: PLR0913 - each argument is an option of the command line
    app_folder: Annotated[
        Path, typer.Argument(metavar="APP", help="Folder of the function app.")
    ] = Path(),
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", help="TCP port; 0 takes any free one. Default 7071."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Address to listen on. Default 127.0.0.1.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="memory, embedded[:PATH], a connection string, or the name of a setting that holds one. "
            "Default: AzureWebJobsStorage if it is set, else embedded."
        ),
    ] = None,
    azurite: Annotated[
        bool, typer.Option(help="Start Azurite when UseDevelopmentStorage=true and nobody listens.")
    ] = True,
    cors: Annotated[
        str | None, typer.Option(help="Origins that browsers may call from, or *.")
    ] = None,
    cors_credentials: Annotated[
        bool, typer.Option("--cors-credentials", help="Browsers may send credentials.")
    ] = False,
    management_urls: Annotated[
        str | None, typer.Option(help="Scheme of management links: auto, webhooks or admin.")
    ] = None,
    functions: Annotated[
        str | None, typer.Option(help="Run only these functions; names separated by commas.")
    ] = None,
    enable_auth: Annotated[
        bool, typer.Option(help="Ask for keys, as in Azure; `durable keys list` shows them.")
    ] = False,
    always_replay: Annotated[
        bool, typer.Option(help="Run orchestrators from their start at every episode.")
    ] = False,
    parity: Annotated[
        str | None,
        typer.Option(
            help="warn or strict: tell where Azure would do something else, or fail such an instance."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Once ready, run this orchestration and print its status; the host stays up.",
        ),
    ] = None,
    input: Annotated[  # noqa: A002 - the flag
        str | None, typer.Option(metavar="JSON", help="Input of --run, or @FILE that holds it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what the host does.")] = False,
) -> None:
    """Run a function app until interrupted."""
    flags = config.Flags(
        port=port,
        address=address,
        storage=storage,
        verbose=verbose,
        start_azurite=azurite,
        cors=cors,
        cors_credentials=cors_credentials,
        management_urls=management_urls,
        always_replay=always_replay,
        parity=parity,
        enable_auth=enable_auth,
        functions=tuple(filter(None, (functions or "").split(","))) if functions else None,
    )
    execute(_serve(app_folder, flags, run, input))


async def _serve(
    folder: Path, flags: config.Flags, run_name: str | None, run_input: str | None
) -> None:
    # Nearly all that is made until the host is up stays, so that looking for garbage among it is time lost.
    gc.disable()
    from emulator.commands.run_once import check_run, read_run, run_until
    from emulator.compose import running_host
    from emulator.console import configure_logging, describe, exposure_warning

    run = read_run(run_name, run_input)
    environment = config.process_environment()
    settings = config.load(folder, flags, environment)
    configure_logging(verbose=flags.verbose, levels=settings.log_levels)
    # The SDK says so of every event that comes before the orchestrator waits for it, which is nothing to worry about.
    warnings.filterwarnings("ignore", message="Potential duplicate Task completion")
    config.apply_environment(settings)
    os.chdir(settings.app.root)
    for notice in settings.notices:
        _say(notice)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, _on_signal, stop, loop)
    async with running_host(settings, environment=environment, say=_say) as host:
        gc.freeze()
        gc.enable()
        config.tell_port(settings, host.server.port)
        for warning in (*host.app.warnings, *host.routes.warnings):
            _say(f"Warning: {warning}")
        for failure in (*host.app.failures, *host.routes.failures):
            _say(failure.message)
        if run is not None:
            check_run(run, host)
        _say("Worker process started and initialized.")
        _say(describe(host))
        _say(f"Host lock lease acquired by instance ID '{settings.hub.worker_id}'.")
        exposure = exposure_warning(settings.http)
        if exposure is not None:
            _warn(exposure)
        _say(f"Ready on http://{settings.http.address}:{host.server.port}. Press Ctrl-C to stop.")
        if run is not None:
            await run_until(stop, run, host, _say)
        await stop.wait()
        _say("Stopping: running work may end, everything else is given back.")
    _say("Stopped.")


def _on_signal(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    """The first signal drains; a second one, of either kind, ends at once."""
    stop.set()
    for number in STOP_SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


def _warn(text: str) -> None:
    """Say something that cannot be missed, on both streams: one of them may go to a file."""
    for stream in (sys.stdout, sys.stderr):
        colour, plain = ("\x1b[1;37;41m", "\x1b[0m") if stream.isatty() else ("", "")
        stream.write(f"\n{colour}{text}{plain}\n\n")
        stream.flush()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Entry point."""
    try:
        commands(sys.argv[1:])()
    except SystemExit as end:
        _leave_threads(end)
        raise


def _leave_threads(end: SystemExit) -> None:
    """End the process although user code still runs in threads: the interpreter would wait for them for ever.

    What they were doing has been given back, and is done again by whoever comes next.
    """
    others = [t for t in threading.enumerate() if t is not threading.main_thread()]
    for thread in others:
        thread.join(THREAD_END_S)
    if any(thread.is_alive() and not thread.daemon for thread in others):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
