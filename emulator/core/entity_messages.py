"""What orchestrations, entities and clients say to each other: JSON inside event inputs.

Orchestrations and entities write `$type` members, clients and the stored state of an entity do not. Source: reference
out-of-process-protocol.md 3.10 and azure-storage-provider.md 8.10; the member order is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self, cast

from emulator.core.ids import InstanceId
from emulator.core.instant import MIN_INSTANT, Instant
from emulator.core.json_text import compact, loads
from emulator.errors import DecodeError

_NAMESPACE: Final = "Microsoft.Azure.WebJobs.Extensions.DurableTask"
_GUID_NAMESPACE: Final = bytes.fromhex("9e9529585e334daf827f2fa12937b875")
REQUEST_EVENT: Final = "op"
RELEASE_EVENT: Final = "release"
CONTINUE_EVENT: Final = "continue"
LOCK_ACQUIRED: Final = "Lock Acquisition Completed"
UNREADABLE: Final = (DecodeError, KeyError, ValueError, TypeError)
"""What reading a request that is none may raise."""

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time as requests carry it: one that was moved on by a tick has lost its zone, and is written without."""

    instant: Instant
    is_utc: bool

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a member; a missing one is NO_STAMP.

        Raises:
            DecodeError: it is no time.
        """
        if text is None:
            return cls(MIN_INSTANT, is_utc=False)
        return cls(Instant.parse(str(text)), is_utc=str(text).endswith("Z"))

    @property
    def text(self) -> str:
        """As it is written."""
        text = self.instant.text()
        return text if self.is_utc else text.removesuffix("Z")

    def earlier(self, span: timedelta) -> Stamp:
        """The time before a span."""
        return Stamp(self.instant.plus(-span), self.is_utc)

    def next_tick(self) -> Stamp:
        """The next possible time, without a zone."""
        return Stamp(Instant(self.instant + 1), is_utc=False)


NO_STAMP: Final = Stamp(MIN_INSTANT, is_utc=False)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class EntityId:
    """An entity. Names are compared without case, keys are not."""

    name: str
    key: str

    @classmethod
    def of(cls, instance_id: str) -> Self:
        """The entity whose scheduler has this id: `@name@key`, the key may hold more of them."""
        name, _, key = instance_id[1:].partition("@")
        return cls(name=name.lower(), key=key)

    @property
    def instance_id(self) -> InstanceId:
        """Id of the instance that schedules the entity's operations."""
        return InstanceId(f"@{self.name.lower()}@{self.key}")


def is_entity_id(instance_id: str) -> bool:
    """Whether an instance id has the form of an entity's."""
    return instance_id.startswith("@") and "@" in instance_id[1:]


# --- requests -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An operation, or a lock request, for an entity.

    Attributes:
        operation: None in a lock request.
        parent: who sent it; None for clients.
        parent_execution: None for clients and entities.
        due: when it is to be done at the earliest.
        timestamp, predecessor: labels by which the receiver puts a sender's requests in order.
        lock_set: entities to lock, in order; None in an operation.
        position: place in the lock set of the entity that is asked.
        request_time: wall clock of the sender, as text.
    """

    operation: str | None
    is_signal: bool = False
    input: str | None = None
    id: str
    parent: str | None = None
    parent_execution: str | None = None
    due: Stamp | None = None
    timestamp: Stamp = NO_STAMP
    predecessor: Stamp = NO_STAMP
    lock_set: tuple[EntityId, ...] | None = None
    position: int = 0
    request_time: str | None = None

    def members(self, *, typed: bool) -> dict[str, object]:
        """The JSON object, members in their order; with `$type` as it travels, without as it is stored."""
        optional: dict[str, object] = {
            "signal": self.is_signal or None,
            "input": self.input,
            "id": self.id,
            "parent": self.parent,
            "parentExecution": self.parent_execution,
            "due": self.due.text if self.due else None,
            "Timestamp": self.timestamp.text,
            "Predecessor": self.predecessor.text,
            "lockset": self._lock_members(typed=typed),
            "pos": self.position or None,
            "requestTime": self.request_time,
        }
        head = {**_type("RequestMessage", typed=typed), "op": self.operation}
        return head | {name: value for name, value in optional.items() if value is not None}

    def text(self, *, typed: bool = True) -> str:
        """The input of the event that carries it."""
        return compact(self.members(typed=typed))

    def _lock_members(self, *, typed: bool) -> list[object] | None:
        if self.lock_set is None:
            return None
        kind = _type("EntityId", typed=typed)
        return [{**kind, "name": entity.name, "key": entity.key} for entity in self.lock_set]


def read_request(text: str | None) -> Request:
    """The request in an event's input.

    Raises:
        DecodeError: it is none.
    """
    try:
        value = loads(text or "null")
    except ValueError as error:
        raise DecodeError(f"an operation's message is no JSON: {error}") from error
    return request_of(value)


def unreadable(event_name: str, text: str | None) -> str | None:
    """What is wrong with an event that names itself an entity's request and is none; None if nothing is."""
    if not event_name.startswith(REQUEST_EVENT):
        return None
    try:
        read_request(text)
    except UNREADABLE as error:
        return unreadable_text(event_name, error)
    return None


def unreadable_text(event_name: str, error: Exception) -> str:
    """What is wrong with it, as people are told."""
    return f"event '{event_name}': {error}"


def request_of(value: object) -> Request:
    """The request that a parsed JSON object holds.

    Raises:
        DecodeError: it is none.
    """
    members: Json = cast("Json", value) if isinstance(value, dict) else {}
    if "id" not in members:
        raise DecodeError("an operation's message is no JSON object with the member 'id'")
    due = members.get("due")
    return Request(
        operation=_text(members.get("op")),
        is_signal=bool(members.get("signal", False)),
        input=_text(members.get("input")),
        id=str(members["id"]).lower(),
        parent=_text(members.get("parent")),
        parent_execution=_text(members.get("parentExecution")),
        due=Stamp.parse(due) if due is not None else None,
        timestamp=Stamp.parse(members.get("Timestamp")),
        predecessor=Stamp.parse(members.get("Predecessor")),
        lock_set=_lock_set(members.get("lockset")),
        position=int(cast("int", members.get("pos") or 0)),
        request_time=_text(members.get("requestTime")),
    )


def _lock_set(value: object) -> tuple[EntityId, ...] | None:
    if not isinstance(value, list):
        return None
    items = cast("list[Json]", value)
    return tuple(EntityId(name=str(item["name"]), key=str(item["key"])) for item in items)


def request_event(due: Instant | None) -> str:
    """Name of the event that carries a request; a delayed one tells when it is to be delivered."""
    return f"{REQUEST_EVENT}@{due.text7()}" if due else REQUEST_EVENT


def delivery_time(event_name: str) -> Instant | None:
    """When an entity's event is to be delivered at the earliest; None if at once."""
    head, mark, tail = event_name.partition("@")
    if head != REQUEST_EVENT or not mark:
        return None
    try:
        return Instant.parse(tail)
    except DecodeError:
        return None


def adjusted_delivery(
    due: Instant, now: Instant, *, max_delay: timedelta, delay_slice: timedelta
) -> Instant:
    """When a delayed request is sent for: the store takes no delay beyond a maximum, the entity sends it on."""
    return due if due.minus(now) <= max_delay else now.plus(delay_slice)


def client_signal(operation: str, data: str | None, *, request_id: str) -> str:
    """The request of a signal by a client: no `$type`, no labels."""
    return Request(operation=operation, is_signal=True, input=data, id=request_id).text(typed=False)


def wall_clock_text(moment: Instant) -> str:
    """A `requestTime`."""
    return f"{moment.text().removesuffix('Z')}+00:00"


# --- answers and releases -----------------------------------------------------------------------------------------


def answer_text(result: str | None, *, is_error: bool = False) -> str:
    """The answer to a call: JSON text of the result, or of the error's text."""
    error = {"exceptionType": "Error"} if is_error else {}
    return compact({**_type("ResponseMessage", typed=True), "result": result, **error})


def release_text(owner: str, lock_id: str, *, typed: bool = True) -> str:
    """The message that frees an entity."""
    return compact({**_type("ReleaseMessage", typed=typed), "parent": owner, "id": lock_id})


def read_release(text: str | None) -> str | None:
    """Whose lock a message releases; None if it cannot be read."""
    try:
        value = loads(text or "null")
    except ValueError:
        return None
    return _text(cast("Json", value).get("parent")) if isinstance(value, dict) else None


def _type(name: str, *, typed: bool) -> dict[str, object]:
    return {"$type": f"{_NAMESPACE}.{name}, {_NAMESPACE}"} if typed else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def unknown_entity_text(name: str, known: Iterable[str]) -> str:
    """Why a function cannot be spoken to, as signals and clients are told."""
    listed = ", ".join(f"'{value}'" for value in known)
    info = (
        f"The following are the known entity functions: {listed}."
        if listed
        else "No entity functions are currently registered!"
    )
    return (
        f"The function '{name.lower()}' doesn't exist, is disabled, or is not an entity function. "
        f"Additional info: {info}"
    )


# --- ids ----------------------------------------------------------------------------------------------------------


def name_based_guid(name: str) -> str:
    """Version 5 GUID of a name, in a namespace of ours."""
    digest = bytearray(
        hashlib.sha1(_GUID_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16]
    )
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
