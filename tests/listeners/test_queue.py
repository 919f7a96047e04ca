"""A queue's messages, in virtual time on the memory store."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from emulator.listeners.queue import VISIBILITY_S, QueueListener
from emulator.settings import QueueSettings
from emulator.storage.memory import MemoryStorage
from emulator.testing.chance import SeededIds
from emulator.testing.virtual_loop import VirtualClock, run_virtually
from tests.support.functions import ScriptedInvoker, binding, function, surroundings

Scene = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A queue with its listener."""

    def __init__(self, invoker: ScriptedInvoker, settings: QueueSettings) -> None:
        ids = SeededIds()
        self.storage = MemoryStorage(VirtualClock(asyncio.get_running_loop()), ids)
        self.invoker = invoker
        self.queues = self.storage.queues
        self.listener = QueueListener(
            function(binding("queueTrigger", queueName="In")),
            self.queues,
            settings,
            surroundings(invoker, ids=ids),
        )

    async def put(self, *bodies: str) -> None:
        await self.queues.create_queue("in")
        for body in bodies:
            await self.queues.put("in", base64.b64encode(body.encode()).decode())

    @property
    def bodies(self) -> list[str]:
        return [item.body.decode() for item in self.invoker.values]


def play(scene: Scene, invoker: ScriptedInvoker | None = None, **settings: Any) -> None:
    """Run a scene while the listener runs."""

    async def main() -> None:
        bench = Bench(invoker or ScriptedInvoker(), replace(QueueSettings(), **settings))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(bench.listener.run())
            try:
                await scene(bench)
            finally:
                running.cancel()

    run_virtually(main())


def test_messages_are_handled_and_deleted() -> None:
    async def scene(bench: Bench) -> None:
        await bench.put("a", "b")
        await asyncio.sleep(5)
        assert bench.bodies == ["a", "b"]
        assert await bench.queues.message_count("in") == 0
        assert bench.invoker.reasons[0] == "New queue message detected on 'in'."

    play(scene)


def test_a_queue_is_read_as_soon_as_it_exists() -> None:
    async def scene(bench: Bench) -> None:
        await asyncio.sleep(60)
        await bench.put("late")
        await asyncio.sleep(3)
        assert bench.bodies == ["late"]

    play(scene)


def test_a_message_that_fails_is_tried_again_with_its_count() -> None:
    invoker = ScriptedInvoker(fails=lambda item: item.dequeue_count < 3)

    async def scene(bench: Bench) -> None:
        await bench.put("a")
        await asyncio.sleep(20)
        assert [item.dequeue_count for item in invoker.values] == [1, 2, 3]
        assert await bench.queues.message_count("in") == 0
        assert "in-poison" not in await bench.queues.list_queues()

    play(scene, invoker)


def test_a_message_that_fails_too_often_goes_to_the_poison_queue_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    invoker = ScriptedInvoker(fails=lambda item: True)

    async def scene(bench: Bench) -> None:
        await bench.put("a")
        await asyncio.sleep(20)
        assert len(invoker.values) == 5
        [message] = await bench.queues.peek("in-poison", count=32)
        assert base64.b64decode(message.text) == b"a"
        assert await bench.queues.message_count("in") == 0

    with caplog.at_level(logging.WARNING):
        play(scene, invoker)
    assert "has reached MaxDequeueCount of 5. Moving message to queue 'in-poison'." in caplog.text


def test_a_message_in_the_wrong_encoding_is_poison_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(bench: Bench) -> None:
        await bench.queues.create_queue("in")
        await bench.queues.put("in", "plain text")
        await asyncio.sleep(5)
        assert bench.invoker.values == []
        [message] = await bench.queues.peek("in-poison", count=32)
        assert message.text == "plain text"

    with caplog.at_level(logging.WARNING):
        play(scene)
    assert "extensions.queues.messageEncoding" in caplog.text


def test_plain_text_is_taken_where_the_host_says_so() -> None:
    async def scene(bench: Bench) -> None:
        await bench.queues.create_queue("in")
        await bench.queues.put("in", "plain text")
        await asyncio.sleep(5)
        assert bench.bodies == ["plain text"]

    play(scene, base64_messages=False)


def test_a_failed_message_rests_as_long_as_the_host_says() -> None:
    times: list[float] = []

    def fails(item: object) -> bool:
        times.append(asyncio.get_running_loop().time())
        return True

    async def scene(bench: Bench) -> None:
        await bench.put("a")
        await asyncio.sleep(300)

    play(
        scene,
        ScriptedInvoker(fails=fails),
        visibility_timeout=timedelta(seconds=30),
        max_dequeue_count=3,
    )
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 2
    assert all(30 <= gap <= 35 for gap in gaps), gaps


class Slow(ScriptedInvoker):
    """Takes its time; keeps how many ran at once."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.running = 0
        self.running_max = 0

    async def invoke(self, function: Any, value: Any, *, reason: str = "") -> Any:
        self.running += 1
        self.running_max = max(self.running, self.running_max)
        try:
            await asyncio.sleep(self.seconds)
            return await super().invoke(function, value, reason=reason)
        finally:
            self.running -= 1


def test_a_message_stays_hidden_however_long_its_function_takes() -> None:
    invoker = Slow(VISIBILITY_S * 3)

    async def scene(bench: Bench) -> None:
        await bench.put("a")
        await asyncio.sleep(VISIBILITY_S * 4)
        assert bench.bodies == ["a"]
        assert await bench.queues.message_count("in") == 0

    play(scene, invoker)


def test_no_more_run_at_once_than_a_batch_and_its_threshold() -> None:
    invoker = Slow(10)

    async def scene(bench: Bench) -> None:
        await bench.put(*map(str, range(20)))
        await asyncio.sleep(200)
        assert sorted(bench.bodies, key=int) == [str(n) for n in range(20)]

    play(scene, invoker, batch_size=4, new_batch_threshold=2)
    assert 4 <= invoker.running_max <= 6


def test_what_runs_when_the_host_stops_is_given_back() -> None:
    async def main() -> None:
        bench = Bench(Slow(1000), QueueSettings())
        await bench.put("a")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(bench.listener.run())
            await asyncio.sleep(5)
            running.cancel()
        [message] = await bench.queues.peek("in", count=1)
        assert message.dequeue_count == 1

    run_virtually(main())
