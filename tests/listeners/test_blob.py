"""New and changed blobs, step by step on the memory store."""

from __future__ import annotations

import json

import pytest

from emulator.errors import NotFoundError
from emulator.host.blob_path import parse_blob_path
from emulator.listeners.blob import POISON_QUEUE, BlobListener
from emulator.listeners.singleton import HOSTS_CONTAINER
from emulator.storage.memory import MemoryStorage
from tests.support.clocks import CountedIds, ManualClock
from tests.support.functions import ScriptedInvoker, binding, function, surroundings

PATH = "in/{name}.txt"


class Bench:
    """A container and its listener, which may begin anew."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(ManualClock(), CountedIds())
        self.blobs = self.storage.blobs
        self.invoker = ScriptedInvoker()
        self.listener = self.restarted()

    def restarted(self) -> BlobListener:
        self.listener = BlobListener(
            function(binding("blobTrigger", path=PATH)),
            parse_blob_path(PATH),
            self.storage,
            self.storage,
            surroundings(self.invoker),
        )
        return self.listener

    @property
    def seen(self) -> list[tuple[str, bytes]]:
        return [(item.name, item.content) for item in self.invoker.values]


@pytest.fixture
async def bench() -> Bench:
    found = Bench()
    await found.blobs.create_container("in")
    await found.blobs.create_container(HOSTS_CONTAINER)
    return found


async def test_a_blob_is_handled_once(bench: Bench) -> None:
    await bench.blobs.upload("in", "a.txt", b"1")
    assert await bench.listener.scan() == 1
    assert await bench.listener.scan() == 0
    assert bench.seen == [("a.txt", b"1")]
    expected = "New blob detected(LogsAndContainerScan): in/a.txt"
    assert bench.invoker.reasons == [expected]


async def test_a_restart_does_not_handle_it_again(bench: Bench) -> None:
    await bench.blobs.upload("in", "a.txt", b"1")
    await bench.listener.scan()
    assert await bench.restarted().scan() == 0
    assert len(bench.seen) == 1


async def test_a_changed_blob_is_handled_again(bench: Bench) -> None:
    await bench.blobs.upload("in", "a.txt", b"1")
    await bench.listener.scan()
    await bench.blobs.upload("in", "a.txt", b"2")
    await bench.listener.scan()
    assert bench.seen == [("a.txt", b"1"), ("a.txt", b"2")]


async def test_only_blobs_of_the_path_are_handled(bench: Bench) -> None:
    for name in ("a.csv", "b.txt", "c/d.txt"):
        await bench.blobs.upload("in", name, b"")
    await bench.listener.scan()
    assert [name for name, _ in bench.seen] == ["b.txt", "c/d.txt"]


async def test_a_failure_is_tried_five_times_and_then_told_to_the_poison_queue(
    bench: Bench,
) -> None:
    bench.invoker.fails = lambda item: True
    await bench.blobs.upload("in", "a.txt", b"1")
    counts = [await bench.listener.scan() for _ in range(7)]
    assert counts == [1, 1, 1, 1, 1, 0, 0]
    [message] = await bench.storage.queues.peek(POISON_QUEUE, count=32)
    told = json.loads(message.text)
    assert (told["ContainerName"], told["BlobName"]) == ("in", "a.txt")
    assert await bench.restarted().scan() == 0


async def test_a_container_that_is_not_there_yet_is_asked_for_again(bench: Bench) -> None:
    await bench.blobs.delete_container("in")
    with pytest.raises(NotFoundError):
        await bench.listener.scan()
    await bench.blobs.create_container("in")
    assert await bench.listener.scan() == 0
