"""Puts the requests of each sender in order and drops those that were delivered before.

A sender labels its requests to a receiver with growing timestamps, each with that of the one before; the receiver
holds one back whose predecessor it has not seen. Both forget what is older than the reorder window. Requests of
clients, delayed ones and forwarded lock requests take no part. Source: extension, EntityScheduler/MessageSorter.cs;
what is written here is part of an entity's stored state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, cast

from emulator.core.entity_messages import NO_STAMP, Request, Stamp, request_of
from emulator.core.instant import Instant

COLLECT_EVERY: Final = timedelta(seconds=10)
"""A horizon moves only when it would move by more than this."""

Json = Mapping[str, object]


class SendClocks:
    """The sending side: the last timestamp that was sent to each receiver."""

    __slots__ = ("horizon", "last")

    def __init__(self, last: dict[str, Stamp] | None = None, horizon: Stamp = NO_STAMP) -> None:
        """Begin with nothing sent, or with what was stored."""
        self.last = last
        self.horizon = horizon

    def label(self, target: str, now: Instant, window: timedelta) -> tuple[Stamp, Stamp]:
        """Timestamp and Predecessor of the next request to a receiver; a window of zero turns labels off."""
        if not window:
            return NO_STAMP, NO_STAMP
        stamp = Stamp(now, is_utc=True)
        if _lags(self.horizon, stamp, window):
            self.horizon = stamp.earlier(window)
            self._forget_old()
        if self.last is None:
            self.last = {}
        before = self.last.get(target)
        if before is not None and stamp.instant <= before.instant:
            stamp = before.next_tick()
        self.last[target] = stamp
        return stamp, before or NO_STAMP

    def _forget_old(self) -> None:
        if self.last is not None:
            horizon = self.horizon.instant
            self.last = {k: v for k, v in self.last.items() if v.instant >= horizon}


class _Sender:
    """What was received of one sender."""

    __slots__ = ("buffered", "execution_id", "last")

    def __init__(self, execution_id: str | None) -> None:
        self.last = NO_STAMP
        self.execution_id = execution_id
        self.buffered: dict[Instant, Request] | None = None

    @classmethod
    def read(cls, stored: Json) -> _Sender:
        execution = stored.get("ExecutionId")
        sender = cls(str(execution) if execution is not None else None)
        sender.last = Stamp.parse(stored.get("Last"))
        if "Buffered" in stored:
            requests = map(request_of, cast("Json", stored["Buffered"]).values())
            sender.buffered = {request.timestamp.instant: request for request in requests}
        return sender

    def members(self) -> dict[str, object]:
        execution = {} if self.execution_id is None else {"ExecutionId": self.execution_id}
        written: dict[str, object] = {"Last": self.last.text, **execution}
        if self.buffered is not None:
            held = sorted(self.buffered.items())
            written["Buffered"] = {r.timestamp.text: r.members(typed=False) for _, r in held}
        return written

    def hold(self, request: Request) -> None:
        self.buffered = {**(self.buffered or {}), request.timestamp.instant: request}

    def begin_execution(self, execution_id: str | None) -> list[Request]:
        """Another execution of the sender has begun: what the former one still waited for never comes."""
        held = [request for _, request in sorted((self.buffered or {}).items())]
        if self.buffered is not None:
            self.buffered = {}
        self.last = NO_STAMP
        self.execution_id = execution_id
        return held

    def deliver(self, request: Request, horizon: Stamp) -> Request:
        is_recent = request.timestamp.instant >= horizon.instant
        self.last = request.timestamp if is_recent else NO_STAMP
        return request

    def deliverable(self, horizon: Stamp) -> Iterator[Request]:
        """What was held back and has its predecessor now, or no longer needs it.

        What is not later than the last one has been sent again with labels of its own, since the sender died before it
        had sent all. The real product takes it and goes back to its label; what follows the later one then waits for
        ever.
        """
        while self.buffered:
            moment, request = min(self.buffered.items())
            before = request.predecessor.instant
            if before > self.last.instant and before >= horizon.instant:
                return
            del self.buffered[moment]
            if moment > self.last.instant:
                yield self.deliver(request, horizon)


class MessageSorter:
    """Both sides of one entity."""

    __slots__ = ("_horizon", "_senders", "sent")

    def __init__(self) -> None:
        """Begin with nothing sent or received."""
        self._senders: dict[str, _Sender] | None = None
        self._horizon = NO_STAMP
        self.sent = SendClocks()

    @classmethod
    def read(cls, stored: Json) -> MessageSorter:
        """Go on from what was stored."""
        sorter = cls()
        sent, received = stored.get("LastSentToInstance"), stored.get("ReceivedFromInstance")
        if sent is not None:
            sorter.sent.last = {k: Stamp.parse(v) for k, v in cast("Json", sent).items()}
        if received is not None:
            senders = cast("Mapping[str, Json]", received)
            sorter._senders = {name: _Sender.read(value) for name, value in senders.items()}
        sorter._horizon = Stamp.parse(stored.get("ReceiveHorizon"))
        sorter.sent.horizon = Stamp.parse(stored.get("SendHorizon"))
        return sorter

    def members(self) -> dict[str, object]:
        """What is stored."""
        written: dict[str, object] = {}
        if self.sent.last is not None:
            written["LastSentToInstance"] = {k: v.text for k, v in self.sent.last.items()}
        if self._senders is not None:
            written["ReceivedFromInstance"] = {k: v.members() for k, v in self._senders.items()}
        if self._horizon.instant:
            written["ReceiveHorizon"] = self._horizon.text
        if self.sent.horizon.instant:
            written["SendHorizon"] = self.sent.horizon.text
        return written

    def receive(self, request: Request, window: timedelta) -> list[Request]:
        """What is to be done now that a request has come: nothing, itself, or others that waited for it too."""
        if not window or request.parent is None or request.position:
            return [request]
        delivered = self._advance(request.timestamp, window)
        if request.timestamp.instant < self._horizon.instant:
            return [*delivered, request]
        sender, released = self._sender(request.parent, request.parent_execution)
        delivered += released
        if request.timestamp.instant <= sender.last.instant:
            return delivered
        before = request.predecessor.instant
        if before > sender.last.instant and before >= self._horizon.instant:
            sender.hold(request)
            return delivered
        delivered.append(sender.deliver(request, self._horizon))
        return [*delivered, *sender.deliverable(self._horizon)]

    def _sender(self, name: str, execution_id: str | None) -> tuple[_Sender, list[Request]]:
        if self._senders is None:
            self._senders = {}
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = _Sender(execution_id)
        elif sender.execution_id != execution_id:
            return sender, sender.begin_execution(execution_id)
        return sender, []

    def _advance(self, timestamp: Stamp, window: timedelta) -> list[Request]:
        """Move the horizon; what was held back from before it is delivered, and silent senders are forgotten."""
        if not _lags(self._horizon, timestamp, window):
            return []
        self._horizon = timestamp.earlier(window)
        delivered: list[Request] = []
        for sender in (self._senders or {}).values():
            if sender.last.instant < self._horizon.instant:
                sender.last = NO_STAMP
            delivered.extend(sender.deliverable(self._horizon))
        kept = {k: v for k, v in (self._senders or {}).items() if v.last.instant or v.buffered}
        self._senders = kept or None
        return delivered


def _lags(horizon: Stamp, now: Stamp, window: timedelta) -> bool:
    return horizon.instant.plus(window + COLLECT_EVERY) < now.instant
