"""What starts the functions of the plain triggers: made by the listeners, read by the bindings."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core.instant import Instant
from emulator.storage.ports import ETag


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """How a timer stands; `last` is MIN_INSTANT before its first run."""

    last: Instant
    next: Instant
    last_updated: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTick:
    """A timer fires. `status` is None for a timer that nothing is remembered of."""

    past_due: bool
    adjusts_for_dst: bool
    status: ScheduleStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """A message that was taken from a queue."""

    id: str
    body: bytes
    dequeue_count: int
    pop_receipt: str
    inserted_at: Instant
    next_visible_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobItem:
    """A blob that is new or has changed."""

    container: str
    name: str
    content: bytes
    etag: ETag
    uri: str
