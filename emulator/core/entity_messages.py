"""What orchestrations and entities say to each other: JSON inside event inputs, without or with `$type`.

Source: reference out-of-process-protocol.md 3.10; the member order is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from emulator.core.actions import CallEntity, SignalEntity
from emulator.core.events import OrchestrationInstance
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.json_text import compact

_NAMESPACE: Final = "Microsoft.Azure.WebJobs.Extensions.DurableTask"
REQUEST_TYPE: Final = f"{_NAMESPACE}.RequestMessage, {_NAMESPACE}"
_GUID_NAMESPACE: Final = bytes.fromhex("9e9529585e334daf827f2fa12937b875")
NO_TIME: Final = "0001-01-01T00:00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRequest:
    """An event for an entity, ready to be sent."""

    event_name: str
    text: str
    request_id: str
    not_before: Instant | None = None


@dataclass(slots=True)
class RequestLabels:
    """What an execution has sent so far: the labels by which entities put its requests in order."""

    count: int = 0
    last: dict[str, str] = field(default_factory=dict[str, str])
    last_instant: dict[str, Instant] = field(default_factory=dict[str, Instant])

    def next(self, target: str, now: Instant) -> tuple[str, str]:
        """Timestamp and Predecessor of the next request to this target.

        A second one at the same time is one tick later and, as recorded, without a zone.
        """
        predecessor = self.last.get(target, NO_TIME)
        previous = self.last_instant.get(target, MIN_INSTANT)
        if previous >= now:
            moment = Instant(previous + 1)
            text = moment.text().removesuffix("Z")
        else:
            moment, text = now, now.text()
        self.last[target] = text
        self.last_instant[target] = moment
        return text, predecessor

    def guid(self, sender: OrchestrationInstance, now: Instant) -> str:
        """A name-based GUID: the same in every replay."""
        name = f"{sender.instance_id}_{now.text7()}_{self.count}"
        self.count += 1
        return name_based_guid(name)


def name_based_guid(name: str) -> str:
    """Version 5 GUID of a name, in a namespace of ours."""
    digest = bytearray(
        hashlib.sha1(_GUID_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16]
    )
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def call_request(
    action: CallEntity, *, sender: OrchestrationInstance, now: Instant, labels: RequestLabels
) -> EntityRequest:
    """The request of a call; its answer is raised under the request's id."""
    request_id = labels.guid(sender, now)
    timestamp, predecessor = labels.next(action.instance_id, now)
    members = {
        "$type": REQUEST_TYPE,
        "op": action.operation,
        "input": action.input,
        "id": request_id,
        "parent": sender.instance_id,
        "parentExecution": sender.execution_id,
        "Timestamp": timestamp,
        "Predecessor": predecessor,
        "requestTime": _offset_text(now),
    }
    return EntityRequest(event_name="op", text=_without_nulls(members), request_id=request_id)


def signal_request(
    action: SignalEntity, *, sender: OrchestrationInstance, now: Instant, labels: RequestLabels
) -> EntityRequest:
    """The request of a signal, now or at a time. A delayed one carries no labels and skips the sorter."""
    request_id = labels.guid(sender, now)
    due = action.fire_at
    timestamp, predecessor = (NO_TIME, NO_TIME) if due else labels.next(action.instance_id, now)
    members = {
        "$type": REQUEST_TYPE,
        "op": action.operation,
        "signal": True,
        "input": action.input,
        "id": request_id,
        "parent": sender.instance_id,
        "parentExecution": sender.execution_id,
        "due": due.text() if due else None,
        "Timestamp": timestamp,
        "Predecessor": predecessor,
        "requestTime": _offset_text(now),
    }
    name = f"op@{due.text7()}" if due else "op"
    return EntityRequest(
        event_name=name, text=_without_nulls(members), request_id=request_id, not_before=due
    )


def _without_nulls(members: Mapping[str, object]) -> str:
    return compact({key: value for key, value in members.items() if value is not None})


def _offset_text(moment: Instant) -> str:
    return f"{moment.text().removesuffix('Z')}+00:00"


def client_signal(operation: str, data: str | None, *, request_id: str) -> str:
    """The request of a signal by a client: no `$type`, no labels."""
    members: dict[str, object] = {"op": operation, "signal": True, "input": data, "id": request_id}
    return _without_nulls({**members, "Timestamp": NO_TIME, "Predecessor": NO_TIME})


def entity_id(name: str, key: str) -> str:
    """Id of the instance that schedules an entity's operations."""
    return f"@{name.lower()}@{key}"
