"""One running Azurite."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azurite.install import AzuriteError, Node, find_node, install

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three services listen."""

    blob: int = 10000
    queue: int = 10001
    table: int = 10002

    def __iter__(self) -> Iterator[int]:
        """Blob, queue, table."""
        return iter((self.blob, self.queue, self.table))

    @classmethod
    def free(cls) -> Ports:
        """Three ports that nobody listens on now."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return cls(*(each.getsockname()[1] for each in sockets))


def is_listening(port: int) -> bool:
    """Whether someone accepts connections on a loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


class Azurite:
    """A server process of ours: started, waited for, and ended with us at the latest."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        ports: Ports | None = None,
        location: Path | None = None,
    ) -> None:
        """Describe the server; start() starts it.

        Args:
            environment: of the process.
            ports: free ones if not given.
            location: folder that keeps its data; in memory if not given.
        """
        self._environment = environment
        self.ports = ports if ports is not None else Ports.free()
        self._location = location
        self._process: subprocess.Popen[bytes] | None = None
        self._output: tempfile.SpooledTemporaryFile[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def connection_string(self) -> str:
        """What a storage connection setting has to be."""
        base = "http://127.0.0.1"
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={base}:{self.ports.blob}/{ACCOUNT};"
            f"QueueEndpoint={base}:{self.ports.queue}/{ACCOUNT};"
            f"TableEndpoint={base}:{self.ports.table}/{ACCOUNT};"
        )

    async def start(self) -> None:
        """Start the process and wait until all three services answer.

        Raises:
            AzuriteError: Node or Azurite is missing, a port is taken, or it died; with the cause and the cure.
        """
        taken = [port for port in self.ports if is_listening(port)]
        if taken:
            raise AzuriteError(
                f"Azurite cannot listen on port {taken[0]}: another program does. End that program, or point "
                "AzureWebJobsStorage at it if it is a storage emulator"
            )
        node = find_node(self._environment)
        entry = await asyncio.to_thread(install, node, self._environment)
        self._spawn(node, entry)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await self._is_ready():  # noqa: ASYNC110 - another process
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError as error:
            await self.stop()
            raise AzuriteError(
                f"Azurite did not answer within {READY_TIMEOUT_S:.0f} seconds: {self._said()}"
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self, *, patience_s: float = STOP_TIMEOUT_S) -> None:
        """End the process: politely, then by force. Safe to call twice.

        Args:
            patience_s: how long it may take to write its data, of which force loses the last seconds.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(patience_s):
                while process.poll() is None:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            process.kill()
        finally:
            process.wait()
        if self._output is not None:
            self._output.close()
            self._output = None

    def _spawn(self, node: Node, entry: Path) -> None:
        command = [
            str(node.node),
            str(entry),
            "--silent",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]
        for service, port in zip(("blob", "queue", "table"), self.ports, strict=True):
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        if self._location is None:
            command.append("--inMemoryPersistence")
        else:
            self._location.mkdir(parents=True, exist_ok=True)
            command += ["--location", str(self._location)]
        self._output = tempfile.SpooledTemporaryFile(max_size=0)  # noqa: SIM115 - closed in stop()
        self._process = subprocess.Popen(
            command,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            start_new_session=True,
        )

    async def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise AzuriteError(f"Azurite ended with code {code} as it started: {self._said()}")
        for port in self.ports:
            if not await _answers(port):
                return False
        return True

    def _said(self) -> str:
        if self._output is None:
            return "it said nothing"
        self._output.seek(0)
        text = self._output.read().decode(errors="replace").strip()
        return "\n".join(text.splitlines()[-8:]) or "it said nothing"


async def _answers(port: int) -> bool:
    """Whether an HTTP server answers there."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(
            b"GET /devstoreaccount1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        return (await reader.read(5)).startswith(b"HTTP")
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _die_with_parent() -> None:
    """In the child: ask the kernel to end it when its parent is gone, however that ended."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
