"""The pool for user code: every call is answered, whatever the others do."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from emulator.host.threads import Threads

LIMIT_S = 30


@asynccontextmanager
async def pool(count: int) -> AsyncGenerator[Threads]:
    threads = Threads(count)
    try:
        async with asyncio.timeout(LIMIT_S):
            yield threads
    finally:
        threads.close()


def wait_for(event: threading.Event) -> None:
    assert event.wait(LIMIT_S)


@pytest.mark.parametrize("count", [1, 2, 6])
async def test_calls_that_come_together_are_answered_in_their_order(count: int):
    done: list[int] = []
    async with pool(count) as threads:
        for _ in range(20):
            futures = [threads.submit(lambda n=n: n) for n in range(100)]
            for number, future in enumerate(futures):
                future.add_done_callback(lambda _, n=number: done.append(n))
            assert [await future for future in futures] == list(range(100))
            await asyncio.sleep(0)
    if count == 1:
        assert done == list(range(100)) * 20


@pytest.mark.parametrize("count", [1, 2, 6])
async def test_an_answer_does_not_wait_for_the_calls_behind_it(count: int):
    release = threading.Event()
    async with pool(count) as threads:
        quick = threads.submit(lambda: "quick")
        slow = [threads.submit(lambda: wait_for(release)) for _ in range(count)]
        try:
            assert await quick == "quick"
            assert not any(future.done() for future in slow)
        finally:
            release.set()
        for future in slow:
            await future


async def test_calls_that_wait_for_each_other_run_at_the_same_time():
    async with pool(6) as threads:
        meeting = threading.Barrier(6)
        futures = [threads.submit(lambda: meeting.wait(LIMIT_S)) for _ in range(6)]
        assert sorted([await future for future in futures]) == list(range(6))


async def test_no_more_threads_than_allowed():
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1

    async with pool(3) as threads:
        for future in [threads.submit(work) for _ in range(60)]:
            await future
    assert most == 3


class OwnError(Exception):
    pass


def fail(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OwnError("x"), OwnError),
        (StopIteration("x"), RuntimeError),
        (GeneratorExit(), GeneratorExit),
    ],
)
async def test_what_a_call_raises_is_raised(raised: BaseException, seen: type[BaseException]):
    async with pool(2) as threads:
        with pytest.raises(seen):
            await threads.submit(fail(raised))
        assert await threads.submit(lambda: 1) == 1


async def test_a_call_that_is_cancelled_before_it_begins_is_not_made():
    release, made = threading.Event(), list[int]()
    async with pool(1) as threads:
        first = threads.submit(lambda: wait_for(release))
        second = threads.submit(lambda: made.append(2))
        third = threads.submit(lambda: made.append(3))
        second.cancel()
        release.set()
        await first
        await third
    assert made == [3]


async def test_a_closed_pool_cancels_what_has_not_begun_and_takes_no_more():
    release, begun = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        wait_for(release)
        return "done"

    async with pool(1) as threads:
        first, second = threads.submit(work), threads.submit(work)
        await asyncio.to_thread(wait_for, begun)
        threads.close()
        assert second.cancelled()
        with pytest.raises(RuntimeError, match="stopping"):
            threads.submit(work)
        release.set()
        assert await first == "done"


async def test_idle_threads_end_when_the_pool_is_closed():
    before = threading.active_count()
    async with pool(4) as threads:
        meeting = threading.Barrier(4)
        for future in [threads.submit(lambda: meeting.wait(LIMIT_S)) for _ in range(4)]:
            await future
        assert threading.active_count() == before + 4
    deadline = time.monotonic() + LIMIT_S
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("seed", range(8))
async def test_no_call_is_forgotten_however_long_the_others_take(seed: int):
    chance = random.Random(seed)

    def busy(seconds: float) -> float:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return seconds

    def asleep(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    async with pool(chance.choice([1, 2, 3, 6])) as threads:
        for _ in range(40):
            works = [
                partial(chance.choice([busy, asleep]), chance.choice([0, 0, 0, 1e-4, 1e-3]))
                for _ in range(chance.choice([1, 2, 5, 20]))
            ]
            futures = [threads.submit(work) for work in works]
            for future in futures:
                await future
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice([0, 1e-4, 1e-3]))
