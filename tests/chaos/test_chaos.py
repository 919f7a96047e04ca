"""A short run of it, and what it does when there is no use in going on."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from azurite import Azurite
from tests.chaos.__main__ import report, run
from tests.chaos.hosts import NO_STORE, HostFailedError, Log, Slot, slots
from tests.chaos.logs import BACK, LOST, TRACE, Told
from tests.chaos.run import Chaos
from tests.support.apps import v2_app, write_app
from tests.support.hosts import WITHIN_S


@asynccontextmanager
async def slot_of(server: Azurite, app: Path, folder: Path) -> AsyncIterator[Slot]:
    (folder / "effects").mkdir()
    async with slots(1, "Chaos", folder, server, app) as found:
        yield found[0]


@pytest.mark.soak
@pytest.mark.azurite
async def test_a_minute_of_chaos(azurite: Azurite, tmp_path: Path) -> None:
    """`azurite` sees that it can be run; chaos stops and starts one of its own."""
    del azurite
    faulthandler.cancel_dump_traceback_later()  # it takes longer than any test that does not hang
    chaos = Chaos(tmp_path, hosts=3, seed=1, minutes=1.0)
    await chaos.run()
    assert not chaos.checkers.violations, report(chaos)


@pytest.mark.slow
async def test_a_host_that_cannot_start_is_not_started_again(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", {"host.json": "{"})
    async with slot_of(Azurite(dict(os.environ)), app, tmp_path) as slot:
        with pytest.raises(HostFailedError, match=rf"ended with code {NO_STORE} as it started"):
            await slot.start()
        assert len(slot.logs) == 1


@pytest.mark.slow
@pytest.mark.azurite
async def test_a_host_that_ends_by_itself_is_noticed(azurite: Azurite, tmp_path: Path) -> None:
    app = v2_app(tmp_path / "app", "")
    async with slot_of(azurite, app, tmp_path) as slot:
        await slot.start()
        assert slot.host is not None
        slot.host.send(signal.SIGKILL)
        with pytest.raises(HostFailedError, match=r"host 1 ended with code -9 by itself"):
            async with asyncio.timeout(WITHIN_S):
                await slot.supervise()


def test_a_failure_for_good_is_told_and_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Chaos) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(give_up())

    async def give_up() -> None:
        raise HostFailedError("host 1 ended with code 3 by itself")

    monkeypatch.setattr(Chaos, "run", fail)
    chaos = Chaos(tmp_path, hosts=1, seed=1, minutes=1.0)
    assert run(chaos) == ["Given up:", "host 1 ended with code 3 by itself"]


@pytest.mark.parametrize(
    ("lines", "losses", "faults"),
    [
        ([], 0, 0),
        ([f"{LOST} x", f"x {BACK} 3 s"], 1, 0),
        ([f"{LOST} x"], 1, 0),
        ([f"{LOST} x", f"x {BACK} 3 s"], 0, 1),
        ([f"x {BACK} 3 s"], 1, 1),
        (["Executed 'Functions.broken' (Failed)", '  File "app.py", line 7, in broken'], 0, 0),
        (["something failed", TRACE], 0, 1),
    ],
)
def test_what_hosts_may_print(tmp_path: Path, lines: list[str], losses: int, faults: int) -> None:
    path = tmp_path / "log"
    path.write_text("\n".join(lines))
    assert len(list(Told().read(Log(path, losses)))) == faults
