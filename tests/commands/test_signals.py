"""How a host hears that it is to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from emulator.commands.serve import STOP_SIGNALS, stop_on_signal


@pytest.fixture(autouse=True)
def handlers_are_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("hears", [True, False], ids=["as usual", "as on Windows"])
async def test_the_first_signal_stops_it_and_the_next_ends_it(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, *, hears: bool
) -> None:
    loop = asyncio.get_running_loop()
    if not hears:
        for method in ("add_signal_handler", "remove_signal_handler"):
            monkeypatch.setattr(loop, method, _is_not_there)
    stop = stop_on_signal()
    signal.raise_signal(number)
    async with asyncio.timeout(10):
        await stop.wait()
    assert {signal.getsignal(each) for each in STOP_SIGNALS} == {signal.SIG_DFL}


def _is_not_there(*_: object) -> None:
    raise NotImplementedError
