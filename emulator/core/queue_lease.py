"""Who reads a control queue, whichever way the hub's queues are dealt out: by rows of a table, or by blobs."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLease:
    """A lease as an onlooker sees it.

    Attributes:
        owner: who reads the queue, or read it last; None: it was given back, or never taken.
        next_owner: who is about to read it.
        is_held: whether the owner's right is in force.
        expires_at: when it ends or has ended, unless it is renewed; None: a lease on a blob, which does not tell.
        is_draining: whether the owner is giving it up.
    """

    control_queue: str
    owner: str | None = None
    next_owner: str | None = None
    is_held: bool = False
    expires_at: Instant | None = None
    is_draining: bool = False
