"""The end of a process in which user code may still run in threads."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

THREAD_END_S: Final = 0.05
"""How long a thread may take to notice that nothing is left to do."""


@contextmanager
def leaving_threads() -> Generator[None]:
    """End the process with what is inside, although threads still run: the interpreter would wait for them for ever.

    What they were doing has been given back, and is done again by whoever comes next.
    """
    try:
        yield
    except SystemExit as end:
        _leave(end)
        raise
    finally:
        sys.stdout.flush()  # lines that wait there come before the traceback of what ends the program


def _leave(end: SystemExit) -> None:
    main = threading.main_thread()
    others = [each for each in threading.enumerate() if each is not main and not each.daemon]
    for thread in others:
        thread.join(THREAD_END_S)
    if any(thread.is_alive() for thread in others):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
