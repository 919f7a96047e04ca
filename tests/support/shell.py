"""The command line in this process: each call is one command, from its arguments to its exit code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from emulator.cli import commands
from tests.support.hosts import Place, isolated


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands on the hub of an app at a place."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder
        self.place = place

    @property
    def target(self) -> tuple[str, ...]:
        return ("--app", str(self.folder), "--storage", self.place.storage)

    async def says(
        self, *arguments: str, code: int = 0, target: tuple[str, ...] | None = None
    ) -> Said:
        """Run a command that must end with this code."""
        given = self.target if target is None else target
        said = await asyncio.to_thread(
            run, [*arguments, *given], self.place.environment, self.folder
        )
        assert said.code == code, said
        return said

    async def json(self, *arguments: str, code: int = 0) -> Any:
        """The JSON that a command prints; nothing else may be there."""
        return (await self.says(*arguments, "--json", code=code)).json


def run(arguments: list[str], environment: Mapping[str, str], folder: Path) -> Said:
    with isolated(folder):
        result = CliRunner().invoke(commands(arguments), arguments, env=dict(environment))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)
