"""How commands end: exit codes, and messages on standard error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final, NoReturn

import typer

from emulator.errors import ConfigError, EmulatorError

FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130
"""Exit codes: an error of the command; a wrong flag, setting or file; Ctrl-C."""


def execute(work: Coroutine[Any, Any, None]) -> None:
    """Run a command's work; what goes wrong becomes a message and an exit code."""
    try:
        asyncio.run(work)
    except ConfigError as error:
        fail(str(error), MISUSED)
    except EmulatorError as error:
        fail(str(error), FAILED)
    except KeyboardInterrupt:
        fail("", INTERRUPTED)


def fail(text: str, code: int) -> NoReturn:
    """End the program with a message on standard error."""
    if text:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    raise typer.Exit(code)
