from __future__ import annotations

import signal
from pathlib import Path

from tests.support.hosts import SAMPLES, Place, ready


async def test_the_command_serves_an_app_until_it_is_interrupted(place: Place, tmp_path: Path):
    async with ready(SAMPLES / "hello_sequence", place, tmp_path / "log") as (host, caller):
        instance_id = await caller.start("hello_sequence")
        assert len(await caller.result(instance_id)) == 3
        host.send(signal.SIGINT)
        assert await host.ended() == 0, host.output
    assert host.output.splitlines()[-1] == "Stopped."
