"""`durable`: arguments, signals and exit codes.

Exit codes: 0 done or stopped on request, 1 an error, 2 a wrong flag, setting or file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from emulator import config, product_version
from emulator.commands.endings import execute
from emulator.commands.reload import AVAILABLE, beginning
from emulator.commands.threads import leaving_threads

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
            help="warn or strict: tell where Azure would do something else, or fail such an instance or request."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Run this many processes that share the port and the work."
        ),
    ] = 1,
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
    reload: Annotated[
        bool,
        typer.Option(
            help="Begin anew when the app's code, host.json or a function.json changes; not with --workers."
        ),
    ] = True,
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
    if workers == 1:
        from emulator.commands.serve import serve

        execute(serve(app_folder, flags, run, input, reloads=reload and AVAILABLE))
    else:
        from emulator.commands.workers import supervise

        execute(supervise(app_folder, flags, run, input, workers))


def main() -> None:
    """Entry point."""
    beginning()
    with leaving_threads():
        commands(sys.argv[1:])()
