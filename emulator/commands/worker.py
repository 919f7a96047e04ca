"""One of the processes of `durable start --workers N`: a host that answers on the sockets that it was given.

Run as `python -m emulator.commands.worker FD`, FD being its end of the channel; started by emulator.commands.workers.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from socket import socket
from typing import TYPE_CHECKING, Final

import typer

from emulator.commands.channel import Channel, Orders, opened
from emulator.commands.endings import execute
from emulator.commands.serve import (
    collect_garbage,
    collect_no_garbage,
    introduce,
    prepare,
    stop_on_signal,
    up_unless,
)
from emulator.commands.threads import leaving_threads
from emulator.settings import Settings

if TYPE_CHECKING:
    from emulator.compose import Host
    from emulator.engine.engine import Engine

TELL_EVERY_S: Final = 0.002
"""What the other workers should know is collected for so long, and told together."""
ABANDONED: Final = 130
"""Exit code of a worker that is told to stop and then left alone."""


async def work(end: socket) -> None:
    """Do as the first line of the channel says, until told to stop or left alone.

    Raises:
        EmulatorError: flags, app or store are not usable.
    """
    async with opened(end) as channel:
        first = await channel.receive()
        if first is None:
            return
        worker = _Worker(Orders.of(first[1]), channel)
        listening = asyncio.ensure_future(worker.listen())
        try:
            await worker.run()
        finally:
            listening.cancel()
            await channel.flush()


class _Worker:
    def __init__(self, orders: Orders, channel: Channel) -> None:
        self._orders = orders
        self._channel = channel
        self._all_ready = asyncio.Event()
        self._stop = stop_on_signal()
        self._engine: Engine | None = None
        self._queues: set[str] = set()
        self._ended: set[str] = set()

    async def run(self) -> None:
        collect_no_garbage()
        from emulator.commands.run_once import check_run, read_run, run_until
        from emulator.compose import running_host

        orders = self._orders
        run = read_run(*orders.run)
        settings, environment = prepare(orders.folder, orders.flags, self._say)
        settings = _named(settings, orders.number)
        sockets = [socket(fileno=number) for number in orders.sockets]
        starting = running_host(settings, environment=environment, say=self._say, sockets=sockets)
        async with up_unless(self._stop, starting) as host:
            if host is None:
                return
            collect_garbage()
            if run is not None:
                check_run(run, host)
            introduce(host, self._say)
            self._share(host)
            self._channel.send("ready")
            if run is not None:
                await self._all_ready.wait()
                await run_until(self._stop, run, host, self._say)
            await self._stop.wait()

    def _share(self, host: Host) -> None:
        """What the other workers would have to poll for is told them, and the other way round."""
        self._engine = host.engine
        host.engine.share(partial(self._tell, self._queues), partial(self._tell, self._ended))

    def _tell(self, news: set[str], name: str) -> None:
        if not self._queues and not self._ended:
            asyncio.get_running_loop().call_later(TELL_EVERY_S, self._tell_all)
        news.add(name)

    def _tell_all(self) -> None:
        self._channel.send("news", [sorted(self._queues), sorted(self._ended)])
        self._queues.clear()
        self._ended.clear()

    def _say(self, text: str) -> None:
        if self._orders.tells:
            self._channel.send("say", text)

    async def listen(self) -> None:
        """Follow the channel. Whoever is left alone stops; who was stopping already, or is so, ends at once."""
        while received := await self._channel.receive():
            match received:
                case "news", (queues, instances):
                    if self._engine is not None:
                        self._engine.hear(queues, instances)
                case "all ready", _:
                    self._all_ready.set()
                case _:
                    self._stop.set()
        if self._stop.is_set():
            os._exit(ABANDONED)
        self._all_ready.set()
        self._stop.set()


def _named(settings: Settings, number: int) -> Settings:
    """Each worker has a name of its own in the leases, and the same again after a restart."""
    hub = settings.hub
    return replace(settings, hub=replace(hub, worker_id=f"{hub.worker_id}-{number}"))


def main() -> None:
    """Entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    with leaving_threads():
        try:
            execute(work(socket(fileno=int(sys.argv[1]))))
        except typer.Exit as end:
            sys.exit(end.exit_code)
        sys.exit(0)


if __name__ == "__main__":
    main()
