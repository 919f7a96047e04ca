"""What an orchestrator asks for. Nothing here is stored; decisions are (see events).

The vocabulary is that of the out-of-process protocol (reference out-of-process-protocol.md, section 2.3), with the
JSON already read. `input` is JSON text as the app gave it, or None for a null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from emulator.core.entity_messages import EntityId
from emulator.core.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions:
    """How a failed call is repeated. `max_attempts` counts the first one."""

    first_interval: timedelta
    max_attempts: int
    backoff_coefficient: float = 1.0
    max_interval: timedelta = timedelta(days=6)
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallActivity:
    """Run an activity. `input` is the message input: a JSON array of one element."""

    name: str
    input: str | None
    retry: RetryOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSubOrchestrator:
    """Start a child and wait for it. No id means `<execution id>:<task id>`."""

    name: str
    input: str | None
    instance_id: str | None = None
    version: str | None = None
    retry: RetryOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAsNew:
    """End this execution and begin another with this input."""

    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTimer:
    """Wake at `fire_at`. A cancelled timer is still stored but no longer open.

    `may_be_long` is false in the older schemas of the protocol: there a timer beyond the store's limit is refused,
    later ones are cut into slices.
    """

    fire_at: Instant
    cancelled: bool = False
    may_be_long: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForEvent:
    """Wait for an external event; stores nothing and takes no id."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEntity:
    """Call an operation of an entity and wait for its answer. `input` is the doubly encoded text."""

    instance_id: str
    operation: str
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalEntity:
    """Send an operation to an entity, now or at a time."""

    instance_id: str
    operation: str
    input: str | None
    fire_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntities:
    """Lock entities and wait until all are locked; in any order, duplicates count once. Never empty."""

    entities: tuple[EntityId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEntities:
    """Give up all locks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHttp:
    """Make an HTTP request; `request` is the JSON text of the activity's message input.

    Attributes:
        polls: whether an answer of 202 is followed up until it is another.
        retry: how a request that failed, or was answered by a status to retry, is repeated.
    """

    request: str
    polls: bool = False
    retry: RetryOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhenAll:
    """Wait for all children."""

    children: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhenAny:
    """Wait for any child."""

    children: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An action that the real host refuses when it starts it: the orchestration fails with this text."""

    message: str


Action = (
    CallActivity
    | CallSubOrchestrator
    | ContinueAsNew
    | CreateTimer
    | WaitForEvent
    | CallEntity
    | SignalEntity
    | LockEntities
    | ReleaseEntities
    | CallHttp
    | WhenAll
    | WhenAny
    | Refused
)


def leaves(actions: Iterable[Action]) -> Iterator[Action]:
    """The actions themselves, without the compounds around them, in the order in which they are started."""
    for action in actions:
        if isinstance(action, WhenAll | WhenAny):
            yield from leaves(action.children)
        else:
            yield action
