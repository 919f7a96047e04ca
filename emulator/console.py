"""What the host prints: log lines with the time in front, and the table of functions.

Source: reference functions-host.md 5 and 6.3. Colours only on a terminal.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, TextIO

from emulator.compose import Host
from emulator.host.invoker import current_function
from emulator.settings import HttpSettings, LogLevel

_COLOURS: Final = {
    logging.DEBUG: "\x1b[32m",
    logging.INFO: "\x1b[36m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
_RESET: Final = "\x1b[0m"
GATHER_S: Final = 0.02
"""For how long a line may wait for others, to be written together."""
GATHER_CHARACTERS_MAX: Final = 4096
"""What waits is written when it would be longer: a pipe takes about so much at once, and few lines are torn."""
_CATEGORIES_MAX: Final = 1000
"""Whose levels are remembered."""
_SYSTEM_LOGGERS: Final = ("emulator", "bindings", "azurite", "azure", "aiohttp", "asyncio")
_SYSTEM_CATEGORIES: Final = ("host.", "worker.", "microsoft.azure.webjobs.")
_INVOCATIONS: Final = frozenset({"function_executing", "function_executed", "function_user_error"})
_DURABLE: Final = ("emulator.engine", "emulator.hub", "emulator.storage", "emulator.core")
_NUMBERS: Final = {
    LogLevel.TRACE: 5,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFORMATION: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.CRITICAL: logging.CRITICAL,
    LogLevel.NONE: logging.CRITICAL + 1,
}


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Puts lines into the stream at once, in order with whatever else goes there, and flushes it seldom.

    A flush for each line would cost more than what most lines are about. A thread flushes, not the loop, so that lines
    are seen while user code blocks the loop. A terminal flushes by itself at the end of each line.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream; the thread begins with the first line that waits, and ends with close()."""
        super().__init__(stream)
        self._gathers = not getattr(stream, "line_buffering", False)
        self._waiting = 0
        self._written = threading.Event()
        self._closing = threading.Event()
        self._flusher: threading.Thread | None = None

    def write_at_once(self) -> None:
        """From now on no line waits."""
        self._gathers = False
        self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. Warnings and worse do not wait."""
        try:
            line = f"{self.format(record)}{self.terminator}"
            if self._waiting + len(line) > GATHER_CHARACTERS_MAX:
                self.flush()
            self.stream.write(line)
            if self._gathers and record.levelno < logging.WARNING:
                self._flush_soon(len(line))
            else:
                self.flush()
        except Exception:  # noqa: BLE001 - as every handler of the standard library does
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits."""
        self._waiting = 0
        super().flush()

    def close(self) -> None:
        """End the thread, and see that everything is written; logging does so when the process ends."""
        self._closing.set()
        self._written.set()
        if self._flusher is not None:
            self._flusher.join()
        with suppress(OSError, ValueError):
            self.flush()
        super().close()

    def _flush_soon(self, characters: int) -> None:
        self._waiting += characters
        if not self._written.is_set():
            self._written.set()
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_often, name="console", daemon=True)
            self._flusher.start()

    def _flush_often(self) -> None:
        """Not under the handler's lock, which close() is called with."""
        while not self._closing.is_set():
            self._written.wait()
            self._closing.wait(GATHER_S)
            self._written.clear()
            self._waiting = 0
            with suppress(OSError, ValueError):  # nobody reads any more, or it is closed
                self.stream.flush()


def write_at_once() -> None:
    """See that no line waits from now on: the process may end any time, or has no thread that flushes."""
    for handler in _handlers():
        handler.write_at_once()


def write_now() -> None:
    """Write the lines that wait, before something else is written or they would be in two processes."""
    for handler in _handlers():
        handler.flush()


def _handlers() -> list[ConsoleHandler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, ConsoleHandler)]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=write_now, after_in_child=write_at_once)


class ConsoleFormatter(logging.Formatter):
    """`[2024-05-01T12:00:00.123Z] text`, every line of a message with its own time."""

    def __init__(self, *, colour: bool) -> None:
        """Choose colours or none."""
        super().__init__()
        self._colour = colour
        self._second = -1
        self._second_text = ""

    def format(self, record: logging.LogRecord) -> str:
        """One or more lines."""
        stamp = f"[{self._seconds(record.created)}.{int(record.msecs):03d}Z]"
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        elif not self._colour and text.isprintable():  # so there is one line
            return f"{stamp} {text}"
        lines = [
            f"{stamp} {self._coloured(line, record.levelno)}" for line in text.splitlines() or [""]
        ]
        return "\n".join(lines)

    def _seconds(self, created: float) -> str:
        """The same text for all lines of one second."""
        second = int(created)
        if second != self._second:
            self._second_text = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._second = second
        return self._second_text

    def _coloured(self, line: str, level: int) -> str:
        return f"{_COLOURS.get(level, '')}{line}{_RESET}" if self._colour else line


def category_of(record: logging.LogRecord) -> str:
    """The category under which host.json's `logging.logLevel` knows a line. Source: reference functions-host.md 5.2."""
    if getattr(record, "event", None) in _INVOCATIONS:
        return f"Function.{getattr(record, 'function', '')}"
    if record.name.partition(".")[0] in _SYSTEM_LOGGERS:
        return "Host.Triggers.DurableTask" if record.name.startswith(_DURABLE) else "Host.General"
    function = current_function.get()
    return f"Function.{function}.User" if function else record.name


class CategoryFilter(logging.Filter):
    """Shows users' own lines from Information on and the host's from Warning on, unless host.json says otherwise."""

    def __init__(self, levels: Mapping[str, LogLevel], *, verbose: bool) -> None:
        """Take `logging.logLevel`; `verbose` shows the host's lines from Information on."""
        super().__init__()
        self._levels = {name.lower(): _NUMBERS[level] for name, level in levels.items()}
        default = self._levels.pop("default", None)
        self._user = logging.INFO if default is None else default
        self._system = (
            (logging.INFO if verbose else logging.WARNING) if default is None else default
        )
        self._known: dict[str, int] = {}

    @property
    def lowest(self) -> int:
        """The level below which nothing is shown."""
        return min(self._user, self._system, *self._levels.values())

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        category = category_of(record)
        threshold = self._known.get(category)
        if threshold is None:
            if len(self._known) >= _CATEGORIES_MAX:
                self._known.clear()
            threshold = self._known[category] = self._threshold(category.lower())
        return record.levelno >= threshold

    def _threshold(self, category: str) -> int:
        prefix = max((p for p in self._levels if category.startswith(p)), key=len, default=None)
        if prefix is not None:
            return self._levels[prefix]
        return self._system if category.startswith(_SYSTEM_CATEGORIES) else self._user


def configure_logging(
    *,
    verbose: bool,
    levels: Mapping[str, LogLevel] | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send all log lines to standard output.

    Args:
        levels: `logging.logLevel` of host.json, by category or prefix of one.
    """
    target = stream if stream is not None else sys.stdout
    chosen = CategoryFilter(levels or {}, verbose=verbose)
    handler = ConsoleHandler(target)
    handler.setFormatter(ConsoleFormatter(colour=target.isatty()))
    handler.addFilter(chosen)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(chosen.lowest)
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def describe(host: Host) -> str:
    """The table of functions, the store and where the management API is."""
    base = f"http://localhost:{host.server.port}"
    lines: list[str] = []
    for route in host.routes.routes:
        methods = f" [{','.join(sorted(route.methods))}]" if route.methods else " "
        lines += [f"\t{route.function.name}:{methods} {base}/{route.path.lstrip('/')}", ""]
    served = {route.function.name for route in host.routes.routes}
    for function in host.app.functions:
        if function.name not in served and function.spec.trigger.kind != "httptrigger":
            lines += [f"\t{function.name}: {function.spec.trigger.type}", ""]
    lines = ["", "Functions:", "", *lines] if lines else [""]
    lines += [f"Function {spec.name} is disabled." for spec in host.app.disabled]
    lines += [f"Task hub:   {host.settings.hub.hub_name} on {host.storage.description}"]
    lines += [f"Management: {host.links.base}/instances", ""]
    if not host.settings.verbose:
        lines.append("For detailed output, run durable with --verbose flag.")
    return "\n".join(lines)


def exposure_warning(http: HttpSettings) -> str | None:
    """What to tell whoever opens a host to the network without keys; None if it is not open."""
    if http.enable_auth or _is_loopback(http.address):
        return None
    lines = (
        f"WARNING: this host listens on {http.address} and asks for no keys.",
        "Everyone who can reach this machine can run its functions, read and delete",
        "everything in its task hub, and read its keys.",
        "Use --enable-auth to ask for keys, or --address 127.0.0.1 to stay on this machine.",
    )
    width = max(map(len, lines))
    frame = "!" * (width + 6)
    return "\n".join([frame, *(f"!! {line:<{width}} !!" for line in lines), frame])


def _is_loopback(address: str) -> bool:
    if address.lower() == "localhost":
        return True
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
