from __future__ import annotations

import logging

import pytest

from emulator.console import CategoryFilter, exposure_warning
from emulator.settings import HttpSettings, LogLevel


@pytest.mark.parametrize(
    ("address", "enable_auth", "is_exposed"),
    [
        ("127.0.0.1", False, False),
        ("127.8.8.8", False, False),
        ("::1", False, False),
        ("localhost", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("192.168.1.5", False, True),
        ("my-machine", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_an_open_host_is_warned_of(address: str, enable_auth: bool, is_exposed: bool):
    warning = exposure_warning(HttpSettings(address=address, enable_auth=enable_auth))
    assert (warning is not None) == is_exposed
    if warning is not None:
        assert address in warning
        assert len({len(line) for line in warning.splitlines()}) == 1


LEVELS: list[tuple[dict[str, LogLevel], bool, str, int, str, bool]] = [
    ({}, False, "my.module", logging.INFO, "", True),
    ({}, False, "my.module", logging.DEBUG, "", False),
    ({}, False, "emulator.engine.engine", logging.INFO, "", False),
    ({}, False, "emulator.engine.engine", logging.WARNING, "", True),
    ({}, True, "emulator.engine.engine", logging.INFO, "", True),
    ({}, False, "emulator.host.invoker", logging.INFO, "function_executing", True),
    ({"default": LogLevel.ERROR}, True, "my.module", logging.WARNING, "", False),
    ({"default": LogLevel.INFORMATION}, False, "emulator.http.app", logging.INFO, "", True),
    ({"Function": LogLevel.NONE}, False, "emulator.host.invoker", logging.ERROR, "function_executed", False),
    ({"Function.F": LogLevel.INFORMATION, "Function": LogLevel.NONE}, False, "emulator.host.invoker",
     logging.INFO, "function_executed", True),
    ({"Host.Triggers.DurableTask": LogLevel.INFORMATION}, False, "emulator.engine.x", logging.INFO, "", True),
    ({"Host.Triggers.DurableTask": LogLevel.INFORMATION}, False, "emulator.http.x", logging.INFO, "", False),
]  # fmt: skip


@pytest.mark.parametrize(("levels", "verbose", "logger", "level", "event", "shown"), LEVELS)
def test_what_host_json_lets_through(
    levels: dict[str, LogLevel], logger: str, level: int, event: str, *, verbose: bool, shown: bool
):
    record = logging.LogRecord(logger, level, __file__, 1, "text", (), None)
    record.__dict__.update({"event": event, "function": "F"})
    assert CategoryFilter(levels, verbose=verbose).filter(record) == shown
