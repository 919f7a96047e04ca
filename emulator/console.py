"""What the host prints: log lines with the time in front, and the table of functions.

Source: reference functions-host.md 5 and 6.3. Colours only on a terminal.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, TextIO

from emulator.compose import Host
from emulator.settings import HttpSettings

_COLOURS: Final = {
    logging.DEBUG: "\x1b[32m",
    logging.INFO: "\x1b[36m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
_RESET: Final = "\x1b[0m"
_QUIET_SYSTEM: Final = ("emulator", "azure", "aiohttp", "asyncio")
_ALWAYS: Final = frozenset({"function_executing", "function_executed", "function_user_error"})


class ConsoleFormatter(logging.Formatter):
    """`[2024-05-01T12:00:00.123Z] text`, every line of a message with its own time."""

    def __init__(self, *, colour: bool) -> None:
        """Choose colours or none."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One or more lines."""
        moment = datetime.fromtimestamp(record.created, UTC)
        stamp = f"[{moment:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z]"
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        lines = [
            f"{stamp} {self._coloured(line, record.levelno)}" for line in text.splitlines() or [""]
        ]
        return "\n".join(lines)

    def _coloured(self, line: str, level: int) -> str:
        return f"{_COLOURS.get(level, '')}{line}{_RESET}" if self._colour else line


class SystemFilter(logging.Filter):
    """Hides what the host says of itself below warnings, unless asked for; users' own lines pass."""

    def __init__(self, *, verbose: bool) -> None:
        """Choose."""
        super().__init__()
        self._verbose = verbose

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        if record.levelno >= logging.WARNING or self._verbose:
            return True
        if getattr(record, "event", None) in _ALWAYS:
            return True
        return not record.name.split(".")[0].startswith(_QUIET_SYSTEM)


def configure_logging(*, verbose: bool, stream: TextIO | None = None) -> None:
    """Send all log lines to standard output."""
    target = stream if stream is not None else sys.stdout
    handler = logging.StreamHandler(target)
    handler.setFormatter(ConsoleFormatter(colour=target.isatty()))
    handler.addFilter(SystemFilter(verbose=verbose))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def describe(host: Host) -> str:
    """The table of functions, the store and where the management API is."""
    base = f"http://localhost:{host.server.port}"
    lines = ["", "Functions:", ""]
    for route in host.routes.routes:
        methods = f" [{','.join(sorted(route.methods))}]" if route.methods else " "
        lines += [f"\t{route.function.name}:{methods} {base}/{route.path.lstrip('/')}", ""]
    served = {route.function.name for route in host.routes.routes}
    for function in host.app.functions:
        if function.name not in served and function.spec.trigger.kind != "httptrigger":
            lines += [f"\t{function.name}: {function.spec.trigger.type}", ""]
    lines += [f"Function {name} is disabled." for name in host.app.disabled]
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
