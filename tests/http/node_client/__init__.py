"""The client of the npm package durable-functions, driven from Python: one call at a time, in a Node of its own."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from azurite import find_node, npm_ci

_HERE = Path(__file__).resolve().parent
ANSWER_WITHIN_S = 60
UNDEFINED = {"$undefined": True}
"""What JavaScript has where an argument is left out."""


class NodeClientError(Exception):
    """The client threw; the message is that of its Error."""


def date(value: datetime) -> dict[str, str]:
    """A Date, as an argument."""
    return {"$date": value.isoformat()}


def entity(name: str, key: str) -> dict[str, list[str]]:
    """An EntityId, as an argument."""
    return {"$entity": [name, key]}


class NodeClient:
    """Methods have the names and arguments that they have in JavaScript."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, method: str, *arguments: object) -> Any:
        """What a method gives, None for undefined.

        Raises:
            NodeClientError: it threw.
        """
        await self._send(json.dumps({"method": method, "arguments": arguments}))
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line = await self._process.stdout.readline()
        assert line, "the client has ended; its stderr says why"
        outcome = json.loads(line)
        if "error" in outcome:
            raise NodeClientError(outcome["error"])
        return outcome.get("value")

    async def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def bind(self, binding: str) -> None:
        """Make the client of a binding."""
        await self._send(binding)


def installed(environment: Mapping[str, str]) -> Sequence[str]:
    """The command that runs the client; npm installs its packages if they are not there.

    Raises:
        AzuriteError: there is no Node, or npm failed.
    """
    node = find_node(environment)
    entry = _HERE / "node_modules/durable-functions/package.json"
    with (_HERE / "package.json").open() as held:
        # the workers of a run may come here at the same time
        fcntl.flock(held, fcntl.LOCK_EX)
        if not entry.exists():
            npm_ci(node, environment, _HERE, what="the JavaScript client", entry=entry)
    return (str(node.node), str(_HERE / "calls.js"))


@asynccontextmanager
async def node_client(
    command: Sequence[str], binding: str, hostname: str
) -> AsyncIterator[NodeClient]:
    """A client of the host that a binding's text tells of.

    Args:
        hostname: WEBSITE_HOSTNAME, as the host gives it to a worker.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "WEBSITE_HOSTNAME": hostname},
    )
    try:
        client = NodeClient(process)
        await client.bind(binding)
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
