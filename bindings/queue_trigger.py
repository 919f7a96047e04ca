"""What a queue's function is given. Source: reference functions-host.md 4.4; azure.functions.queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from bindings.binding_type import BindingType, Trigger
from bindings.converters import converter, datum, json_members, plain
from bindings.queue import check_queue_name
from emulator.core.instant import Instant
from emulator.host.binding_api import BindingSpec, Services
from emulator.host.trigger_values import QueueItem

NEVER: Final = "9999-12-31T23:59:59+00:00"
"""Messages do not expire."""


def _decode(value: object, annotation: object) -> Any:  # noqa: ANN401 - azure.functions.QueueMessage
    item = cast(QueueItem, value)
    given = plain(item.body, annotation)
    if given is not None:
        return given
    metadata = {
        "Id": datum(item.id, "string"),
        "DequeueCount": datum(item.dequeue_count, "int"),
        "ExpirationTime": datum(NEVER, "string"),
        "InsertionTime": datum(_time(item.inserted_at), "string"),
        "NextVisibleTime": datum(_time(item.next_visible_at), "string"),
        "PopReceipt": datum(item.pop_receipt, "string"),
    }
    return converter("queueTrigger").decode(datum(item.body, "bytes"), trigger_metadata=metadata)


def _time(moment: Instant) -> str:
    return moment.to_datetime().isoformat(timespec="seconds")


def _data(spec: BindingSpec, value: object) -> Mapping[str, object]:
    item = cast(QueueItem, value)
    text = item.body.decode("utf-8", errors="replace")
    return {
        **json_members(text),
        "queueTrigger": text,
        "id": item.id,
        "dequeueCount": item.dequeue_count,
        "expirationTime": NEVER,
        "insertionTime": _time(item.inserted_at),
        "nextVisibleTime": _time(item.next_visible_at),
        "popReceipt": item.pop_receipt,
    }


async def _by_hand(spec: BindingSpec, text: str | None, services: Services) -> QueueItem:
    return QueueItem(
        id=services.guid(),
        body=(text or "").encode(),
        dequeue_count=1,
        pop_receipt=services.guid(),
        inserted_at=services.now(),
        next_visible_at=services.now(),
    )


QUEUE_TRIGGER: Final = BindingType(
    name="queueTrigger",
    trigger=Trigger(decode=_decode, by_hand=_by_hand, data=_data),
    check=check_queue_name,
)
