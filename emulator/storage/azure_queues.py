"""The Queue service of Azure Storage, through its SDK."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage as SdkMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from emulator.core.instant import MIN_INSTANT, Instant
from emulator.storage.azure_errors import mapped
from emulator.storage.ports import MessageHandle, QueueMessage
from emulator.storage.rules import check_message

NEVER: Final = -1
"""Time to live of a message that does not expire."""


class AzureQueues:
    """storage.ports.QueuePort over azure-storage-queue."""

    def __init__(self, service: QueueServiceClient) -> None:
        """Use an open client."""
        self._service: Any = service  # its methods are only half typed
        self._clients: dict[str, QueueClient] = {}

    async def create_queue(self, queue: str) -> bool:
        """See QueuePort. The service answers alike whether it made the queue or not; then it counts as made."""
        with mapped(f"creating queue {queue}"):
            try:
                await self._queue(queue).create_queue()
            except ResourceExistsError:
                return False
            return True

    async def delete_queue(self, queue: str) -> bool:
        """See QueuePort."""
        with mapped(f"deleting queue {queue}"):
            try:
                await self._queue(queue).delete_queue()
            except ResourceNotFoundError:
                return False
            return True

    async def list_queues(self, prefix: str = "") -> tuple[str, ...]:
        """See QueuePort."""
        with mapped("listing queues"):
            found = self._service.list_queues(name_starts_with=prefix or None)
            return tuple(sorted([str(item.name) async for item in found]))

    async def put(self, queue: str, text: str, *, visibility_timeout_s: int = 0) -> MessageHandle:
        """See QueuePort."""
        check_message(text)
        with mapped(f"putting a message into queue {queue}"):
            message = await self._queue(queue).send_message(
                text, visibility_timeout=visibility_timeout_s, time_to_live=NEVER
            )
        return _handle(message)

    async def receive(
        self, queue: str, *, count: int, visibility_timeout_s: int
    ) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        with mapped(f"receiving from queue {queue}"):
            pages = (
                self._queue(queue)
                .receive_messages(messages_per_page=count, visibility_timeout=visibility_timeout_s)
                .by_page()
            )
            async for page in pages:
                return tuple([_message(item) async for item in page])
        return ()

    async def peek(self, queue: str, *, count: int) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        with mapped(f"peeking into queue {queue}"):
            found = await self._queue(queue).peek_messages(max_messages=count)
        return tuple(_message(item) for item in found)

    async def update(
        self,
        queue: str,
        message_id: str,
        pop_receipt: str,
        *,
        visibility_timeout_s: int,
        text: str | None = None,
    ) -> MessageHandle:
        """See QueuePort."""
        with mapped(f"updating a message of queue {queue}"):
            message = await self._queue(queue).update_message(
                message_id, pop_receipt, content=text, visibility_timeout=visibility_timeout_s
            )
        return MessageHandle(
            message_id=message_id,
            pop_receipt=str(message.pop_receipt),
            next_visible_at=_instant(message.next_visible_on),
        )

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> None:
        """See QueuePort."""
        with mapped(f"deleting a message of queue {queue}"):
            await self._queue(queue).delete_message(message_id, pop_receipt)

    async def message_count(self, queue: str) -> int:
        """See QueuePort."""
        with mapped(f"counting the messages of queue {queue}"):
            properties = await self._queue(queue).get_queue_properties()
        return int(properties.approximate_message_count or 0)

    def _queue(self, name: str) -> QueueClient:
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._service.get_queue_client(name)
        return client


def _instant(moment: datetime | None) -> Instant:
    return Instant.from_datetime(moment) if moment is not None else MIN_INSTANT


def _handle(message: SdkMessage) -> MessageHandle:
    return MessageHandle(
        message_id=str(message.id),
        pop_receipt=str(message.pop_receipt or ""),
        next_visible_at=_instant(message.next_visible_on),
    )


def _message(message: SdkMessage) -> QueueMessage:
    return QueueMessage(
        handle=_handle(message),
        text=str(message.content),
        inserted_at=_instant(message.inserted_on),
        dequeue_count=int(message.dequeue_count or 0),
    )
