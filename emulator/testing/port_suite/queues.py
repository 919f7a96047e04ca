"""What every Queue service must do."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import pytest

from emulator.errors import (
    NotFoundError,
    PayloadTooLargeError,
    PopReceiptMismatchError,
)
from emulator.storage.ports import (
    QueuePort,
)
from emulator.testing.port_suite.account import Account, together

TEXTS: Final = {
    "empty": "",
    "blank": " ",
    "markup": "<a>&amp;</a>",
    "unicode": '{"a":"\u00e9\u4e2d\U0001f600"}',
    "control": "a\r\nb\tc",
    "padded": " padded ",
    "return": "\r",
    "feeds": "\n\n",
    "sections": "]]> <![CDATA[x]]> <!-- -->",
    "references": "&#13; &#x1; %41 &unknown;",
    "separators": "\x7f\x85\u2028\ufffd",
    "largest": "x" * 65536,
}
"""Messages that framing could spoil."""


class QueueSuite:
    """The Queue service."""

    @pytest.fixture
    def queues(self, account: Account) -> QueuePort:
        """The port."""
        return account.storage.queues

    @pytest.fixture
    async def queue(self, account: Account, queues: QueuePort) -> str:
        """A new queue."""
        name = account.name("q")
        await queues.create_queue(name)
        return name

    async def test_a_queue_is_created_once(self, account: Account, queues: QueuePort) -> None:
        """The second time says that it was there."""
        name = account.name("q")
        assert await queues.create_queue(name) is True
        assert await queues.create_queue(name) is False

    async def test_a_queue_is_deleted_once(self, queue: str, queues: QueuePort) -> None:
        """With its messages."""
        await queues.put(queue, "lost")
        assert await queues.delete_queue(queue) is True
        assert await queues.delete_queue(queue) is False

    async def test_queues_are_listed_by_prefix(self, account: Account, queues: QueuePort) -> None:
        """In order of their names."""
        base = account.name("q")
        for suffix in ("-b", "-a", "-c"):
            await queues.create_queue(base + suffix)
        assert await queues.list_queues(base) == (f"{base}-a", f"{base}-b", f"{base}-c")
        assert await queues.list_queues(f"{base}-b") == (f"{base}-b",)

    async def test_messages_come_in_order(self, queue: str, queues: QueuePort) -> None:
        """Oldest first, and at most as many as wanted."""
        for text in ("one", "two", "three"):
            await queues.put(queue, text)
        first = await queues.receive(queue, count=2, visibility_timeout_s=30)
        assert [message.text for message in first] == ["one", "two"]
        rest = await queues.receive(queue, count=32, visibility_timeout_s=30)
        assert [message.text for message in rest] == ["three"]
        assert await queues.receive(queue, count=32, visibility_timeout_s=30) == ()

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_a_text_comes_back(self, queue: str, queues: QueuePort, text: str) -> None:
        """Whatever it holds."""
        await queues.put(queue, text)
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.text == text

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_an_updated_text_comes_back(
        self, queue: str, queues: QueuePort, text: str
    ) -> None:
        """Just so."""
        old = await queues.put(queue, "old", visibility_timeout_s=30)
        await queues.update(
            queue, old.message_id, old.pop_receipt, visibility_timeout_s=0, text=text
        )
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.text == text

    async def test_a_text_of_more_than_64_kib_is_refused(
        self, queue: str, queues: QueuePort
    ) -> None:
        """Counted in UTF-8."""
        with pytest.raises(PayloadTooLargeError):
            await queues.put(queue, "\u00e9" * 32769)
        assert await queues.message_count(queue) == 0

    async def test_a_received_message_is_hidden_and_comes_back(
        self, account: Account, queue: str, queues: QueuePort
    ) -> None:
        """With its dequeue count raised and another pop receipt."""
        await queues.put(queue, "m")
        [first] = await queues.receive(queue, count=1, visibility_timeout_s=1)
        assert first.dequeue_count == 1
        assert await queues.receive(queue, count=1, visibility_timeout_s=1) == ()
        await account.elapse(1.1)
        [again] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert again.dequeue_count == 2
        assert again.handle.message_id == first.handle.message_id
        assert again.handle.pop_receipt != first.handle.pop_receipt
        with pytest.raises(PopReceiptMismatchError):
            await queues.delete(queue, first.handle.message_id, first.handle.pop_receipt)
        await queues.delete(queue, again.handle.message_id, again.handle.pop_receipt)

    async def test_a_message_can_be_put_for_later(
        self, account: Account, queue: str, queues: QueuePort
    ) -> None:
        """It counts at once and is seen when its time has come."""
        await queues.put(queue, "later", visibility_timeout_s=1)
        assert await queues.receive(queue, count=1, visibility_timeout_s=30) == ()
        assert await queues.peek(queue, count=1) == ()
        assert await queues.message_count(queue) == 1
        await account.elapse(1.1)
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.text == "later"
        assert message.dequeue_count == 1

    async def test_a_put_returns_a_handle(self, queue: str, queues: QueuePort) -> None:
        """Good to delete and to update the message with, while it is invisible."""
        handle = await queues.put(queue, "mine", visibility_timeout_s=60)
        updated = await queues.update(
            queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=90
        )
        assert updated.message_id == handle.message_id
        assert updated.next_visible_at > handle.next_visible_at
        await queues.delete(queue, updated.message_id, updated.pop_receipt)
        assert await queues.message_count(queue) == 0

    async def test_an_update_voids_the_old_receipt(self, queue: str, queues: QueuePort) -> None:
        """And can change the text and make the message visible at once."""
        await queues.put(queue, "old")
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        old = message.handle
        new = await queues.update(
            queue, old.message_id, old.pop_receipt, visibility_timeout_s=0, text="new"
        )
        assert new.pop_receipt != old.pop_receipt
        with pytest.raises(PopReceiptMismatchError):
            await queues.update(queue, old.message_id, old.pop_receipt, visibility_timeout_s=5)
        [again] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        assert (again.text, again.dequeue_count) == ("new", 2)

    async def test_an_update_without_text_leaves_it(self, queue: str, queues: QueuePort) -> None:
        """Only the time-out changes."""
        await queues.put(queue, "same")
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        handle = message.handle
        await queues.update(queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=0)
        [again] = await queues.receive(queue, count=1, visibility_timeout_s=60)
        assert again.text == "same"

    async def test_peeking_touches_nothing(self, queue: str, queues: QueuePort) -> None:
        """Not the count, not the visibility; and gives no receipt."""
        await queues.put(queue, "a")
        for _ in range(2):
            [peeked] = await queues.peek(queue, count=32)
            assert (peeked.text, peeked.dequeue_count) == ("a", 0)
            assert peeked.handle.pop_receipt == ""
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=30)
        assert message.dequeue_count == 1

    async def test_the_count_holds_hidden_messages(self, queue: str, queues: QueuePort) -> None:
        """Approximate on the service, exact when nothing else happens."""
        await queues.put(queue, "a")
        await queues.put(queue, "b", visibility_timeout_s=60)
        await queues.receive(queue, count=1, visibility_timeout_s=60)
        assert await queues.message_count(queue) == 2

    async def test_times_are_those_of_the_store(
        self, account: Account, queue: str, queues: QueuePort
    ) -> None:
        """To within a few seconds on a real one."""
        await queues.put(queue, "a")
        [message] = await queues.receive(queue, count=1, visibility_timeout_s=40)
        assert abs(message.inserted_at.minus(account.now())) < timedelta(seconds=5)
        ahead = message.handle.next_visible_at.minus(account.now())
        assert timedelta(seconds=34) < ahead < timedelta(seconds=46)

    async def test_concurrent_receivers_share(self, queue: str, queues: QueuePort) -> None:
        """No message goes to two of them."""
        for number in range(40):
            await queues.put(queue, str(number))
        received = await together(
            [queues.receive(queue, count=10, visibility_timeout_s=60) for _ in range(6)]
        )
        texts = [message.text for batch in received for message in batch]
        assert len(texts) == len(set(texts)) == 40

    async def test_what_is_not_there_is_said(self, account: Account, queues: QueuePort) -> None:
        """NotFoundError for the queue."""
        gone = account.name("q")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: queues.put(gone, "x"),
            lambda: queues.receive(gone, count=1, visibility_timeout_s=1),
            lambda: queues.peek(gone, count=1),
            lambda: queues.message_count(gone),
            lambda: queues.delete(gone, str(uuid.UUID(int=1)), "AgAAAAMAAAAAAAAA"),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                await call()

    async def test_a_message_is_deleted_once(self, queue: str, queues: QueuePort) -> None:
        """The second time it is not found."""
        handle = await queues.put(queue, "x")
        await queues.delete(queue, handle.message_id, handle.pop_receipt)
        with pytest.raises(NotFoundError):
            await queues.delete(queue, handle.message_id, handle.pop_receipt)
        with pytest.raises(NotFoundError):
            await queues.update(
                queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=1
            )
