"""The product with its storage calls counted: `python -m tests.bench.counted FILE start ...`.

At SIGUSR1 it writes what it has counted so far into FILE, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from emulator import cli, compose
from emulator.engine.clock import Clock, IdSource
from emulator.settings import StorageSettings
from emulator.storage.ports import Storage
from emulator.testing.counting import CountedStorage
from tests.bench.host import HUB


def main() -> None:
    file = Path(sys.argv.pop(1))
    make = compose.make_storage
    counted: list[CountedStorage] = []

    def make_counted(settings: StorageSettings, clock: Clock, ids: IdSource) -> Storage:
        counted.append(CountedStorage(make(settings, clock, ids), HUB))
        return counted[-1]

    def write(number: int, frame: object) -> None:
        del number, frame
        whole = file.with_suffix(".part")
        whole.write_text(json.dumps(counted[0].calls), encoding="utf-8")
        os.replace(whole, file)

    compose.make_storage = make_counted
    signal.signal(signal.SIGUSR1, write)
    cli.main()


if __name__ == "__main__":
    main()
