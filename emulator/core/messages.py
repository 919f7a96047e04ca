"""An event and its addressee: what travels through control queues and the work-item queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from emulator.core.events import HistoryEvent, OrchestrationInstance, Tags
from emulator.core.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMessage:
    """One event on its way.

    `context_tags` is None when the message carries no execution context, else the (possibly empty) tags of the
    orchestration that sent it: present on activity requests and on starts of sub-orchestrations.
    """

    event: HistoryEvent
    target: OrchestrationInstance
    context_tags: Tags | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """A message that an episode sends, and when it may be delivered (None: at once)."""

    message: TaskMessage
    not_before: Instant | None = None

    def delay(self, now: Instant) -> timedelta:
        """How long delivery must wait, zero if it need not."""
        if self.not_before is None or self.not_before <= now:
            return timedelta(0)
        return self.not_before.minus(now)
