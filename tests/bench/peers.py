"""The programs that this one is measured against: they stand outside of the project and print JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azurite import Ports, is_listening
from azurite.install import azurite_home, find_node, install
from tests.bench import host

PEER_LOADS = frozenset(
    {("chain3", 100), ("chain3", 1000), ("chain5", 100), ("chain5", 1000), ("fan100", 1)}
    | {("fan100", 10), ("fan1000", 1), ("lat chain1", None), ("lat chain3", None)}
)
"""One repetition of the peer; its program makes three."""
READY_LIMIT_S = 20


@dataclass(frozen=True)
class Yardstick:
    """A folder of such programs: `floor_engine.py`, `peer_durabletask.py`, `wire_tap.mjs`."""

    folder: Path

    async def floor(self, *arguments: str) -> dict[str, Any]:
        """The fewest legal storage operations on Azurite, with nothing around them: one result.

        Args:
            arguments: of `floor_engine.py lean`: shape, n, count, options.
        """
        command = ("floor_engine.py", "lean", *arguments, "--reps", "1")
        lines = [line async for line in self._lines(self._with_node(), sys.executable, *command)]
        return lines[-1]

    async def peer(self) -> list[dict[str, Any]]:
        """The in-memory backend of the durabletask package: a line for each load, once."""
        found: list[dict[str, Any]] = []
        command = (sys.executable, "peer_durabletask.py", "bench")
        async with contextlib.aclosing(self._lines(host.environment(), *command)) as lines:
            async for line in lines:
                found.append(line)
                if {(each["load"], each.get("n")) for each in found} >= PEER_LOADS:
                    break
        return found

    @asynccontextmanager
    async def tap(self, connection: str) -> AsyncIterator[tuple[str, Path]]:
        """A recording proxy before an emulator: the connection string through it, and its record."""
        ports, tapped = _ports(connection), tuple(Ports.free())
        node = find_node(host.environment())
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "calls.jsonl"
            record.touch()
            pairs = [f"{new}={old}" for new, old in zip(tapped, ports, strict=True)]
            process = await asyncio.create_subprocess_exec(
                str(node.node), "wire_tap.mjs", str(record), *pairs, cwd=self.folder
            )
            try:
                async with asyncio.timeout(READY_LIMIT_S):
                    while not all(is_listening(port) for port in tapped):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                for old, new in zip(ports, tapped, strict=True):
                    connection = connection.replace(f":{old}/", f":{new}/")
                yield connection, record
            finally:
                process.kill()
                await process.wait()

    def _with_node(self) -> dict[str, str]:
        environment = host.environment()
        node = find_node(environment)
        install(node, environment)
        home = azurite_home(environment)
        return {**environment, "AZURITE_DIR": str(home), "NODE_BIN": str(node.node)}

    async def _lines(
        self, environment: dict[str, str], *command: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """What a program prints as JSON; it is ended when nobody wants more."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                if line.startswith(b"{"):
                    yield json.loads(line)
            if await process.wait():
                raise RuntimeError(f"{' '.join(command[1:])} ended with {process.returncode}")
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _ports(connection: str) -> tuple[int, ...]:
    """Blob, queue and table port of a connection string of an emulator."""
    found = {
        name: int(port) for name, port in re.findall(r"(\w+)Endpoint=[^;]*:(\d+)/", connection)
    }
    return found["Blob"], found["Queue"], found["Table"]
