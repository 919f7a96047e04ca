"""The programs that this one is measured against: they stand outside of the project and print JSON lines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azurite.install import azurite_home, find_node, install


@dataclass(frozen=True)
class Yardstick:
    """A folder of such programs: `floor_engine.py`, `peer_durabletask.py`."""

    folder: Path

    async def floor(self, shape: str, n: int, count: int, *options: str) -> dict[str, Any]:
        """The fewest legal storage operations on Azurite, with nothing around them: one result."""
        node = find_node(os.environ)
        install(node, os.environ)
        environment = {
            **os.environ,
            "AZURITE_DIR": str(azurite_home(os.environ)),
            "NODE_BIN": str(node.node),
        }
        lines = await self._run(
            environment,
            "floor_engine.py",
            "lean",
            shape,
            str(n),
            str(count),
            "--reps",
            "1",
            *options,
        )
        return lines[-1]

    async def peer(self) -> list[dict[str, Any]]:
        """The in-memory backend of the durabletask package: a line for each load."""
        return await self._run(dict(os.environ), "peer_durabletask.py", "bench")

    async def _run(self, environment: dict[str, str], *command: str) -> list[dict[str, Any]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{complained.decode()[-2000:]}")
        return [json.loads(line) for line in said.decode().splitlines() if line.startswith("{")]


async def import_seconds() -> float:
    """How long `python -c "import azure.functions"` takes: what no host of such apps can avoid."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import azure.functions")
    await process.wait()
    return loop.time() - began
