"""Runs a function for each message of a queue, several at a time; what fails too often goes to the poison queue.

Source: WebJobs Storage extension, QueueListener and QueueProcessor; reference functions-host.md 1.1, 4.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from emulator.engine.polling import Poller
from emulator.errors import NotFoundError, PopReceiptMismatchError, StorageError
from emulator.host import queue_text
from emulator.host.function_app import LoadedFunction
from emulator.host.trigger_values import QueueItem
from emulator.listeners.work import Surroundings
from emulator.log import fields, get_logger
from emulator.settings import QueueSettings
from emulator.storage.ports import MessageHandle, QueueMessage, QueuePort

_log = get_logger(__name__)

VISIBILITY_S: Final = 600
"""Of a message that is being handled; renewed at half of it."""
RETURN_LIMIT_S: Final = 2.0
"""For giving back a message when the host stops."""
POISON_SUFFIX: Final = "-poison"
_NOT_BASE64: Final = (
    "is not in base64, which host.json's extensions.queues.messageEncoding asks for "
    "(none takes text as it is)"
)


class QueueListener:
    """One function's queue."""

    def __init__(
        self,
        function: LoadedFunction,
        queues: QueuePort,
        settings: QueueSettings,
        around: Surroundings,
    ) -> None:
        """Nothing is read before run()."""
        self.queue = (function.spec.trigger.text("queueName") or "").lower()
        self._function = function
        self._queues = queues
        self._settings = settings
        self._around = around
        self._work = around.work
        self._outage = around.outage
        self._running = 0
        interval = settings.max_polling_interval.total_seconds()
        self._poller = Poller(f"receiving from {self.queue}", interval, around.ids, around.outage)

    async def run(self) -> None:
        """Receive and handle messages until cancelled."""
        async with asyncio.TaskGroup() as group:
            await self._poller.run(lambda: self._receive(group))

    async def _receive(self, group: asyncio.TaskGroup) -> int | None:
        """Take a batch and begin to handle it; how many were taken, or None if enough is being handled."""
        if self._work.stopping or self._running > self._settings.new_batch_threshold:
            return None
        messages = await self._queues.receive(
            self.queue, count=self._settings.batch_size, visibility_timeout_s=VISIBILITY_S
        )
        for message in messages:
            self._running += 1
            name = f"{self._function.name} {message.handle.message_id}"
            group.create_task(self._handle_counted(message), name=name)
        return len(messages)

    async def _handle_counted(self, message: QueueMessage) -> None:
        try:
            with self._work.unit():
                await self.handle(message)
        finally:
            self._running -= 1
            self._poller.wake()

    async def handle(self, message: QueueMessage) -> None:
        """Run the function for a message, and then delete it, give it back, or move it to the poison queue."""
        held = _Held(self._queues, self.queue, message.handle)
        item = self._item(message)
        try:
            async with _kept(held):
                succeeded = await self._run(item)
        except asyncio.CancelledError:
            await self._give_back(held)
            raise
        try:
            await self._finish(message, item, held, succeeded=succeeded)
        except (NotFoundError, PopReceiptMismatchError):
            _log.debug("someone else has the message now", extra=fields("trigger_failed"))
        except StorageError as error:
            self._outage.given_up(f"answering {self.queue}", error)

    async def _run(self, item: QueueItem | None) -> bool:
        """Whether the function succeeded. A message that was tried too often is not tried again."""
        if item is None or item.dequeue_count > self._settings.max_dequeue_count:
            return False
        reason = f"New queue message detected on '{self.queue}'."
        return await self._around.run(self._function, item, reason)

    async def _finish(
        self, message: QueueMessage, item: QueueItem | None, held: _Held, *, succeeded: bool
    ) -> None:
        if succeeded:
            await held.delete()
        elif item is None:
            await self._poison(message, _NOT_BASE64)
            await held.delete()
        elif message.dequeue_count >= self._settings.max_dequeue_count:
            tries = self._settings.max_dequeue_count
            await self._poison(message, f"has reached MaxDequeueCount of {tries}")
            await held.delete()
        else:
            await held.hide(int(self._settings.visibility_timeout.total_seconds()))

    async def _poison(self, message: QueueMessage, why: str) -> None:
        poison = f"{self.queue}{POISON_SUFFIX}"
        await self._queues.create_queue(poison)
        await self._queues.put(poison, message.text)
        _log.warning(
            "Message %s of queue '%s' %s. Moving message to queue '%s'.",
            message.handle.message_id,
            self.queue,
            why,
            poison,
            extra=fields("trigger_poisoned", function=self._function.name),
        )

    def _item(self, message: QueueMessage) -> QueueItem | None:
        """The trigger's value; None if the text is not encoded as host.json says."""
        body = queue_text.decode(message.text, base64_text=self._settings.base64_messages)
        if body is None:
            return None
        return QueueItem(
            id=message.handle.message_id,
            body=body,
            dequeue_count=message.dequeue_count,
            pop_receipt=message.handle.pop_receipt,
            inserted_at=message.inserted_at,
            next_visible_at=message.handle.next_visible_at,
        )

    async def _give_back(self, held: _Held) -> None:
        try:
            async with asyncio.timeout(RETURN_LIMIT_S):
                await held.hide(0)
        except (StorageError, TimeoutError) as error:
            _log.debug("a message comes back by itself: %s", error, extra=fields("trigger_failed"))


class _Held:
    """A message that is being handled."""

    def __init__(self, queues: QueuePort, queue: str, handle: MessageHandle) -> None:
        self._queues = queues
        self._queue = queue
        self._handle = handle

    async def hide(self, seconds: int) -> None:
        self._handle = await self._queues.update(
            self._queue,
            self._handle.message_id,
            self._handle.pop_receipt,
            visibility_timeout_s=seconds,
        )

    async def delete(self) -> None:
        await self._queues.delete(self._queue, self._handle.message_id, self._handle.pop_receipt)


@asynccontextmanager
async def _kept(held: _Held) -> AsyncGenerator[None]:
    """Keep a message hidden while inside."""
    async with asyncio.TaskGroup() as group:
        renewal = group.create_task(_renew(held), name="renew a message")
        try:
            yield
        finally:
            renewal.cancel()


async def _renew(held: _Held) -> None:
    while True:
        await asyncio.sleep(VISIBILITY_S / 2)
        try:
            await held.hide(VISIBILITY_S)
        except StorageError as error:
            _log.warning(
                "a message could not be kept hidden: %s", error, extra=fields("trigger_failed")
            )
