"""`durable start --workers N`: starts the processes, relays what they say, starts again those that die, and ends all.

This process runs no user code and answers no requests: it binds the port, which all workers accept from, owns Azurite
if that had to be started, and tells each worker what the others have put into queues and ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import socket, socketpair
from typing import Final, TextIO

from emulator import config
from emulator.commands.channel import Channel, Orders, opened
from emulator.commands.endings import FAILED, MISUSED
from emulator.commands.run_once import read_run
from emulator.commands.serve import (
    STOPPED,
    STOPPING,
    readiness,
    say,
    stop_on_signal,
    warn_if_exposed,
)
from emulator.errors import ConfigError, EmulatorError
from emulator.log import fields, get_logger
from emulator.settings import Settings, StorageKind

_log = get_logger(__name__)
READ_BYTES: Final = 65536
EARLY_S: Final = 20.0
"""A worker that dies younger than this has died at once."""
DEATHS_MAX: Final = 5
"""So many at-once deaths of a worker in a row are enough."""
LAST_WORDS_S: Final = 1.0
"""How long what a dead worker has printed is waited for; a process that it started may hold the pipe for ever."""
RESTART_FIRST_S: Final = 0.25
"""Before a worker is started again; twice as long after each further at-once death."""


class Restarts:
    """When a worker that died is started again."""

    def __init__(self) -> None:
        """It has not died yet."""
        self.early = 0

    def delay_after(self, lived_s: float) -> float | None:
        """Seconds to wait before the next start; None when it is to be given up."""
        self.early = self.early + 1 if lived_s < EARLY_S else 0
        if self.early >= DEATHS_MAX:
            return None
        return RESTART_FIRST_S * float(2 ** max(0, self.early - 1))


async def supervise(
    folder: Path, flags: config.Flags, run_name: str | None, run_input: str | None, count: int
) -> None:
    """Run an app in `count` processes until a signal comes; then drain them all.

    Raises:
        EmulatorError: flags, app, store or port are not usable, or a worker dies again and again.
    """
    read_run(run_name, run_input)
    environment = config.process_environment()
    settings = config.load(folder, flags, environment)
    _check(settings, count)
    from emulator.console import configure_logging
    from emulator.http.listening import bound
    from emulator.stores import azurite_if_needed

    configure_logging(verbose=flags.verbose, levels=settings.log_levels)
    stop = stop_on_signal()
    async with AsyncExitStack() as stack:
        azurite = settings.app.root / config.STATE_FOLDER / "azurite"
        await stack.enter_async_context(
            azurite_if_needed(settings.storage, azurite, environment, say)
        )
        sockets = await stack.enter_async_context(bound(settings.http))
        port = int(sockets[0].getsockname()[1])
        orders = Orders(
            number=1,
            folder=settings.app.root,
            flags=replace(flags, port=port, start_azurite=False),
            tells=True,
            run=(run_name, run_input),
            sockets=tuple(each.fileno() for each in sockets),
        )
        await _Team(settings, orders, sockets, count, stop).work(port)
    say(STOPPED)


def _check(settings: Settings, count: int) -> None:
    if settings.storage.kind is StorageKind.MEMORY:
        raise ConfigError(
            f"--workers {count}: a memory store lives in one process and cannot be shared; use --storage embedded, or "
            "leave --workers out"
        )
    if sys.platform == "win32":
        raise ConfigError(
            f"--workers {count} is not available on Windows. Start several hosts with ports of their own (--port) on "
            "the same store instead: they share the work as well"
        )


@dataclass(slots=True)
class _Member:
    """A worker, in its present life."""

    number: int
    restarts: Restarts = field(default_factory=Restarts)
    channel: Channel | None = None
    was_ready: bool = False


class _Team:
    def __init__(
        self,
        settings: Settings,
        orders: Orders,
        sockets: tuple[socket, ...],
        count: int,
        stop: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._orders = orders
        self._sockets = sockets
        self._members = [_Member(number) for number in range(1, count + 1)]
        self._stop = stop
        self._first_ready = asyncio.Event()
        self._port = 0
        self._is_alone = True
        self._announced = False
        self._failure: EmulatorError | None = None
        """Why all stop, if nobody asked for it."""

    async def work(self, port: int) -> None:
        """Start the first worker, whose app and settings are as good as the others'; then the others."""
        self._port = port
        async with asyncio.TaskGroup() as group:
            group.create_task(self._end_all(), name="stop")
            for member in self._members:
                group.create_task(self._keep(member), name=f"worker {member.number}")
        if self._failure is not None:
            raise self._failure

    async def _end_all(self) -> None:
        await self._stop.wait()
        self._first_ready.set()
        if self._failure is None or not self._is_alone:
            say(STOPPING)
        for each in self._sockets:
            each.close()
        for member in self._members:
            if member.channel is not None:
                member.channel.send("stop")

    async def _keep(self, member: _Member) -> None:
        """Keep a worker running until all stop."""
        if member.number > 1:
            await self._first_ready.wait()
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            code = await self._live(member)
            if self._stop.is_set():
                return
            delay = member.restarts.delay_after(loop.time() - began) if member.was_ready else None
            if delay is None:
                self._failure = _failure(member, code)
                self._stop.set()
                return
            _log.warning(
                "worker %d ended %s; it is started again in %.2g s, and the others go on",
                member.number,
                _how(code),
                delay,
                extra=fields("worker_ended", worker=member.number),
            )
            await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _live(self, member: _Member) -> int:
        """One life of a worker, from its start to its end; its exit code."""
        ours, theirs = socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *_command(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(), *self._orders.sockets),
                start_new_session=True,  # Ctrl-C is for this process, which tells the workers
            )
        try:
            async with opened(ours) as channel, asyncio.TaskGroup() as group:
                member.channel = channel
                channel.send("orders", self._orders_for(member).as_json())
                if self._stop.is_set():
                    channel.send("stop")
                last_words = {
                    group.create_task(self._relay(member, process.stdout, sys.stdout)),
                    group.create_task(self._relay(member, process.stderr, sys.stderr)),
                    group.create_task(self._listen(member, channel)),
                }
                code = await process.wait()
                await asyncio.wait(last_words, timeout=LAST_WORDS_S)
                for each in last_words:
                    each.cancel()
                return code
        finally:
            member.channel = None
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _orders_for(self, member: _Member) -> Orders:
        """Only the first worker, in its first life, introduces the app and runs what --run names."""
        is_first = member.number == 1 and not member.was_ready
        return replace(
            self._orders,
            number=member.number,
            tells=is_first,
            run=self._orders.run if is_first else (None, None),
        )

    async def _listen(self, member: _Member, channel: Channel) -> None:
        while received := await channel.receive():
            match received:
                case "say", text:
                    say(text)
                case "news", news:
                    self._tell_others(member, news)
                case _:
                    self._is_ready(member)

    def _tell_others(self, member: _Member, news: list[list[str]]) -> None:
        for other in self._members:
            if other is not member and other.channel is not None:
                other.channel.send("news", news)

    def _is_ready(self, member: _Member) -> None:
        member.was_ready = True
        self._is_alone = False
        self._first_ready.set()
        if self._announced or not all(each.was_ready for each in self._members):
            return
        self._announced = True
        warn_if_exposed(self._settings)
        say(readiness(self._settings, self._port, f"{len(self._members)} workers share the work. "))
        for each in self._members:
            if each.channel is not None:
                each.channel.send("all ready")

    async def _relay(
        self, member: _Member, stream: asyncio.StreamReader | None, target: TextIO
    ) -> None:
        """Pass on what a worker prints, line by line, with its number in front unless no other has begun."""
        assert stream is not None, "started with pipes"
        rest = b""
        while chunk := await stream.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > READ_BYTES:
                lines, rest = [*lines, rest], b""
            self._print(member, lines, target)
        self._print(member, [rest] if rest else [], target)

    def _print(self, member: _Member, lines: list[bytes], target: TextIO) -> None:
        mark = "" if self._is_alone else f"[worker {member.number}] "
        target.writelines(f"{mark}{line.decode(errors='replace')}\n" for line in lines)
        target.flush()


def _command(channel: int) -> list[str]:
    """A worker of this very program: the current folder is on its import path only if it is on ours."""
    safe = [] if {"", os.getcwd()} & set(sys.path) else ["-P"]
    return [sys.executable, *safe, "-m", "emulator.commands.worker", str(channel)]


def _failure(member: _Member, code: int) -> EmulatorError:
    if member.was_ready:
        return EmulatorError(
            f"worker {member.number} has ended {DEATHS_MAX} times soon after its start, at last {_how(code)}; all "
            "workers stop. See what it said above, correct that, and start again"
        )
    if code == MISUSED:
        return ConfigError("")  # the worker has said what is wrong
    if code == FAILED:
        return EmulatorError("")
    return EmulatorError(
        f"worker {member.number} ended {_how(code)} before it was ready; see what it said above, and start again"
    )


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by the signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by the signal {-code}"
