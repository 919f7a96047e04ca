"""`func`, for programs that expect Azure Functions Core Tools: the same words, done by this program.

`durable func-shim DIR` writes an executable of that name; it runs this module. Exit codes are those of `func`: 0, or 1
for any error. Source: reference functions-host.md 6 and 9.
"""

from __future__ import annotations

import site
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import typer

from emulator import config
from emulator.cli import commands
from emulator.commands.endings import FAILED, MISUSED
from emulator.commands.reload import beginning
from emulator.errors import ConfigError

CORE_TOOLS_VERSION: Final = "4.14.0"
"""The version whose behaviour is copied; programs ask for it."""
RUNTIME_VERSION: Final = "4.1052.0"
_USER_LOG_LEVEL: Final = "AzureFunctionsJobHost__logging__logLevel__Function"
_TRUTHS: Final = {"true": True, "false": False}

_WITH_VALUE: Final = {
    "--port": "--port",
    "-p": "--port",
    "--address": "--address",
    "--cors": "--cors",
}
"""Options that `durable start` has, too."""
_SWITCHES: Final = {
    "--verbose": "--verbose",
    "--enableauth": "--enable-auth",
    "--cors-credentials": "--cors-credentials",
}
_IGNORED_WITH_VALUE: Final = frozenset(
    {"--timeout", "-t", "--runtime", "--language-worker", "--json-output-file"}
)
_IGNORED_SWITCHES: Final = frozenset(
    {
        "--no-build",
        "--dotnet-isolated-debug",
        "--enable-json-output",
        "--offline",
        "--debug",
        "--pause-on-error",
        "--python",
        "--node",
        "--javascript",
        "--csharp",
        "--typescript",
    }
)
_REFUSED: Final = frozenset({"--usehttps", "--cert", "--password"})

HELP: Final = """Azure Functions Core Tools, as far as durable-functions-emulator stands in for them

Usage: func start [--port N] [--address IP] [--cors ORIGINS] [--functions A B ...] [--verbose] [--enableAuth]
       func host start ...       the same
       func durable COMMAND ...  start-new, get-instances, get-runtime-status, get-history, raise-event, terminate,
                                 rewind, purge-history, delete-task-hub
       func settings list        names of the app's settings
       func --version

Everything else that `func` knows (init, new, pack, azure, ...) needs the real Core Tools.
"""


@dataclass(slots=True)
class Start:
    """What `func start` was asked for.

    Attributes:
        arguments: the same for `durable start`.
        root: folder to change to.
        user_log_level: of the app's own log lines.
    """

    arguments: list[str] = field(default_factory=list[str])
    functions: list[str] = field(default_factory=list[str])
    root: str | None = None
    user_log_level: str | None = None


def read_start(words: Sequence[str]) -> Start:
    """Translate the options of `func start`.

    Raises:
        ConfigError: one is not known, lacks its value, or cannot be had here.
    """
    found = Start()
    rest = _split(words)
    while rest:
        word = rest.pop(0)
        name = word.lower() if word.startswith("--") else word
        if not (_takes(name, word, rest, found) or _ignores(name, word, rest)):
            raise ConfigError(f"Error: unknown argument {word}\n\n{HELP}")
    if found.functions:
        found.arguments += ["--functions", ",".join(found.functions)]
    return found


def _takes(name: str, word: str, rest: list[str], found: Start) -> bool:
    """Whether an option means something here."""
    if name in _WITH_VALUE:
        found.arguments += [_WITH_VALUE[name], _value(word, rest)]
    elif name in _SWITCHES:
        found.arguments += [_SWITCHES[name]] if _switch(rest) else []
    elif name in ("--script-root", "--prefix"):
        found.root = _value(word, rest)
    elif name == "--user-log-level":
        found.user_log_level = _value(word, rest)
    elif name == "--functions":
        while rest and not rest[0].startswith("-"):
            found.functions += [part for part in rest.pop(0).split(",") if part]
    else:
        return False
    return True


def _ignores(name: str, word: str, rest: list[str]) -> bool:
    """Whether an option is known and has no effect here."""
    if name in _REFUSED:
        raise ConfigError(f"{word}: HTTPS is not offered here; call the host over http")
    if name in _IGNORED_WITH_VALUE:
        _value(word, rest)
    elif name in _IGNORED_SWITCHES:
        _switch(rest)
    else:
        return False
    return True


def _split(words: Sequence[str]) -> list[str]:
    """`--name=value` as two words."""
    parts: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        parts += [name, value] if word.startswith("--") and equals else [word]
    return parts


def _value(option: str, rest: list[str]) -> str:
    if not rest:
        raise ConfigError(f"Error: {option} needs a value\n\n{HELP}")
    return rest.pop(0)


def _switch(rest: list[str]) -> bool:
    """Whether a switch is on: bare, or followed by true or false."""
    if rest and rest[0].lower() in _TRUTHS:
        return _TRUTHS[rest.pop(0).lower()]
    return True


# --- commands -----------------------------------------------------------------------------------------------------


def main(words: Sequence[str]) -> int:
    """Run `func` with these words; its exit code."""
    beginning()
    match [word.lower() for word in words[:2]]:
        case ["--version"] | ["-v"]:
            typer.echo(CORE_TOOLS_VERSION)
            return 0
        case [] | ["--help", *_] | ["-h", *_] | ["help", *_]:
            typer.echo(HELP, nl=False)
            return 0
        case ["start", *_]:
            return _guarded(lambda: _start(words[1:]))
        case ["host", "start"]:
            return _guarded(lambda: _start(words[2:]))
        case ["durable", *_]:
            return _durable(list(words[1:]))
        case ["settings", "list"]:
            return _guarded(_settings)
        case _:
            typer.echo(f"Error: unknown argument {' '.join(words)}\n\n{HELP}", err=True)
            return FAILED


def _guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except ConfigError as error:
        typer.echo(str(error), err=True)
        return FAILED


def _start(words: Sequence[str]) -> int:
    start = read_start(words)
    root = config.find_root(Path(start.root or "."))
    level = start.user_log_level or config.process_environment().get("FUNCTIONS_USER_LOG_LEVEL")
    if level:
        config.set_default(_USER_LOG_LEVEL, level)
    use_environment(root, config.process_environment().get("VIRTUAL_ENV"))
    typer.echo(
        f"\nAzure Functions Core Tools\nCore Tools Version:       {CORE_TOOLS_VERSION} (durable-functions-emulator)\n"
        f"Function Runtime Version: {RUNTIME_VERSION}\n"
    )
    return _durable(["start", str(root), *start.arguments])


def use_environment(root: Path, active: str | None) -> None:
    """Let the app find the packages of its environment, behind this program's own.

    An active environment counts, else the one in the app's folder; only one of this Python's version can be used.
    """
    folder = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for home in filter(None, (active, str(root / ".venv"))):
        packages = Path(home) / "lib" / folder / "site-packages"
        if packages.is_dir():
            site.addsitedir(str(packages))
            return


def _durable(words: list[str]) -> int:
    """Run one of our own commands; every error is 1."""
    try:
        commands(words)(words, prog_name="func")
    except SystemExit as end:
        return FAILED if end.code == MISUSED else int(end.code or 0)
    return 0


def _settings() -> int:
    settings = config.load(Path(), config.Flags(), {})
    typer.echo("App Settings:")
    for name in settings.app.values:
        typer.echo(f" -> Name: {name}\n    Value: *****\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
