"""`durable func-shim`: writes a `func` that runs emulator.func."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.endings import MISUSED, fail

app = typer.Typer()


@app.command("func-shim")
def func_shim(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write `func` into.")],
) -> None:
    """Write an executable `func` that runs this program, for suites that drive `func start`."""
    script, windows = folder / "func", folder / "func.cmd"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m emulator.func "$@"\n')
        script.chmod(0o755)
        windows.write_text(f'@"{sys.executable}" -m emulator.func %*\r\n')
    except OSError as error:
        fail(f"{script} cannot be written: {error}. Name a folder that can be written", MISUSED)
    typer.echo(f"Wrote {script} and {windows.name}. Put {folder} first on PATH.")
