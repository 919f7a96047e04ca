"""The Queue service of Azure Storage: messages through plain REST calls, the rest through the SDK."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from azure.storage.queue.aio import QueueServiceClient

from emulator.errors import DecodeError
from emulator.storage.azure_messages import decode_messages, encode_message, read_http_date
from emulator.storage.azure_queues import NEVER, AzureQueues
from emulator.storage.azure_rest import Answer, RestService, unreadable
from emulator.storage.azure_signing import Repeat, Request
from emulator.storage.ports import MessageHandle, QueueMessage
from emulator.storage.rules import check_message

QUEUE_HEADERS: Final = {"x-ms-version": "2021-12-02"}
_XML: Final = {"Content-Type": "application/xml"}


class RestQueues(AzureQueues):
    """storage.ports.QueuePort; put, receive, update and delete skip the SDK."""

    def __init__(self, service: QueueServiceClient, rest: RestService) -> None:
        """Use an open client for what is rare."""
        super().__init__(service)
        self._rest = rest

    async def put(self, queue: str, text: str, *, visibility_timeout_s: int = 0) -> MessageHandle:
        """See QueuePort."""
        check_message(text)
        request = Request(
            what=f"putting a message into queue {queue}",
            method="POST",
            path=f"/{queue}/messages",
            query={"messagettl": str(NEVER), "visibilitytimeout": str(visibility_timeout_s)},
            headers=_XML,
            body=encode_message(text),
            repeat=Repeat.NEVER,
        )
        messages = _messages(request, await self._rest.send(request))
        if len(messages) != 1:
            raise unreadable(request)
        return messages[0].handle

    async def receive(
        self, queue: str, *, count: int, visibility_timeout_s: int
    ) -> tuple[QueueMessage, ...]:
        """See QueuePort. Messages whose answer is lost come back after their time-out."""
        request = Request(
            what=f"receiving from queue {queue}",
            method="GET",
            path=f"/{queue}/messages",
            query={"numofmessages": str(count), "visibilitytimeout": str(visibility_timeout_s)},
        )
        return _messages(request, await self._rest.send(request))

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
        request = Request(
            what=f"updating a message of queue {queue}",
            method="PUT",
            path=_message_path(queue, message_id),
            query={"popreceipt": pop_receipt, "visibilitytimeout": str(visibility_timeout_s)},
            headers=_XML if text is not None else {},
            body=encode_message(text) if text is not None else None,
            repeat=Repeat.GUARDED,
        )
        answer = await self._rest.send(request)
        try:
            return MessageHandle(
                message_id=message_id,
                pop_receipt=answer.headers["x-ms-popreceipt"],
                next_visible_at=read_http_date(answer.headers["x-ms-time-next-visible"]),
            )
        except (KeyError, DecodeError) as error:
            raise unreadable(request) from error

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> None:
        """See QueuePort."""
        await self._rest.send(
            Request(
                what=f"deleting a message of queue {queue}",
                method="DELETE",
                path=_message_path(queue, message_id),
                query={"popreceipt": pop_receipt},
                repeat=Repeat.GUARDED,
            )
        )


def _message_path(queue: str, message_id: str) -> str:
    return f"/{queue}/messages/{quote(message_id, safe='')}"


def _messages(request: Request, answer: Answer) -> tuple[QueueMessage, ...]:
    try:
        return decode_messages(answer.body)
    except DecodeError as error:
        raise unreadable(request) from error
