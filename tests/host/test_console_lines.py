"""Lines wait for others to be written with them, and none is lost, torn or out of order for that."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from io import StringIO

import pytest

from emulator.console import GATHER_CHARACTERS_MAX, ConsoleHandler, configure_logging
from emulator.log import fields, tell

LIMIT_S = 30


class Counted(StringIO):
    """Counts flushes that had something to write."""

    def __init__(self, *, line_buffering: bool = False) -> None:
        super().__init__()
        self._buffers_lines = line_buffering
        self.flushes = 0
        self.flushed = 0

    @property
    def line_buffering(self) -> bool:
        return self._buffers_lines

    def flush(self) -> None:
        if self.tell() > self.flushed:
            self.flushes += 1
            self.flushed = self.tell()


@pytest.fixture
def stream() -> Generator[Counted]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = Counted()
    configure_logging(verbose=False, stream=stream)
    try:
        yield stream
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)


def until_flushed(stream: Counted) -> None:
    deadline = time.monotonic() + LIMIT_S
    while stream.flushed < stream.tell():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_lines_are_flushed_together_by_a_thread(stream: Counted):
    for number in range(50):
        logging.getLogger("app").info("line %d", number)
    until_flushed(stream)
    assert stream.flushes < 50
    found = re.findall(
        r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] line (\d+)$", stream.getvalue(), re.MULTILINE
    )
    assert found == [str(number) for number in range(50)]
    logging.getLogger("app").info("later")
    until_flushed(stream)


def test_a_warning_does_not_wait(stream: Counted):
    logging.getLogger("app").info("before")
    logging.getLogger("app").warning("now")
    assert stream.flushed == stream.tell()


def test_what_waits_is_never_longer_than_a_pipe_takes_at_once(stream: Counted):
    for _ in range(200):
        logging.getLogger("app").info("x" * 100)
        assert stream.tell() - stream.flushed <= GATHER_CHARACTERS_MAX


@pytest.mark.parametrize("text", ["", "one", "two\nlines", "a\x85b", "a\u2028b", "tab\t", "ü€"])
def test_every_line_of_a_message_has_its_time(stream: Counted, text: str):
    logging.getLogger("app").info("%s", text)
    lines = [re.sub(r"^\[[^\]]+\] ", "", line, count=1) for line in stream.getvalue().split("\n")]
    assert lines == [*(text.splitlines() or [""]), ""]


def test_a_line_that_does_not_look_for_its_place_is_shown_as_any_other(stream: Counted):
    logger = logging.getLogger("emulator.host.invoker")
    extra = fields("function_executing", function="f")
    tell(logger, "Executing '%s'", "f", extra=extra)
    logger.info("Executing '%s'", "f", extra=extra)
    tell(logging.getLogger("emulator.engine"), "not shown", extra=fields("host_started"))
    logger.setLevel(logging.WARNING)
    tell(logger, "not shown", extra=extra)
    logger.setLevel(logging.NOTSET)
    lines = [line.split("] ")[1] for line in stream.getvalue().splitlines()]
    assert lines == ["Executing 'f'"] * 2


def test_a_terminal_flushes_by_itself():
    stream = Counted(line_buffering=True)
    handler = ConsoleHandler(stream)
    handler.emit(logging.LogRecord("app", logging.INFO, __file__, 1, "text", (), None))
    assert stream.flushed == stream.tell()
    handler.close()


# --- real processes -----------------------------------------------------------------------------------------------

SETUP = """
import logging, os, sys, threading
from emulator.commands.threads import leaving_threads
from emulator.console import GATHER_S, configure_logging, write_at_once
configure_logging(verbose=False)
log = logging.getLogger("app")
"""


def output_of(program: str, code: int) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SETUP + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert found.returncode == code, found.stdout
    return [re.sub(r"^\[[^\]]+\] ", "", line) for line in found.stdout.splitlines()]


ENDINGS = {
    "return": ("", 0),
    "exit": ("with leaving_threads(): sys.exit(3)", 3),
    "threads": (
        "threading.Thread(target=threading.Event().wait).start()\nwith leaving_threads(): sys.exit(3)",
        3,
    ),
    "killed after a signal": ("write_at_once()\nlog.info('3')\nos.kill(os.getpid(), 9)", -9),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_lost_when_the_process_ends(ending: str):
    program, code = ENDINGS[ending]
    found = output_of("log.info('1')\nprint('2')\n" + program, code)
    assert found == (["1", "2", "3"] if code < 0 else ["1", "2"])


def test_lines_come_before_the_traceback_of_what_ends_the_program():
    found = output_of("with leaving_threads():\n  log.info('1')\n  raise RuntimeError('2')", 1)
    assert found[0] == "1"
    assert found[-1] == "RuntimeError: 2"


def test_a_forked_process_writes_its_own_lines_and_no_others():
    program = """
log.info("1")
child = os.fork()
if not child:
    log.info("2")
    os._exit(0)
os.waitpid(child, 0)
log.info("3")
"""
    assert output_of(program, 0) == ["1", "2", "3"]


def test_lines_are_seen_while_the_program_is_busy():
    program = SETUP + "log.info('1')\nprint('2')\nlog.info('3')\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            seen = [process.stdout.readline().split()[-1] for _ in range(3)]
            assert seen == [b"1", b"2", b"3"]
        finally:
            process.send_signal(signal.SIGKILL)
