"""One instance while this process works on it: what it knows of it, and what has arrived for it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import Final

from emulator.core.episode import Execution
from emulator.core.ids import InstanceId
from emulator.core.weights import payload_bytes
from emulator.engine.ports import OrchestratorExecution
from emulator.hub.history import StoredHistory
from emulator.hub.message_queue import InHand

PAYLOAD_COPIES: Final = 3
"""How often a payload is in memory while an orchestrator is alive: in the history, as the text that its context has,
and as what the orchestrator has made of it or asks for. Measured, with an input that is handed on to an activity."""


class Loaded:
    """The instance's history in memory, valid as long as the sentinel's tag is."""

    __slots__ = (
        "blobs",
        "custom_status",
        "etag",
        "execution",
        "is_current",
        "knows_row",
        "must_run",
        "row",
        "runner",
        "size",
        "spilled",
        "weighed",
    )

    def __init__(self, execution: Execution, stored: StoredHistory) -> None:
        """Begin with what was loaded."""
        self.execution = execution
        self.etag = stored.etag
        self.blobs = stored.blobs
        self.is_current = stored.is_read
        """Whether it was read or committed by the work that is going on now. What is kept from before may have been
        gone on with elsewhere: a commit would notice that, but nothing may be deleted unprocessed because of it."""
        self.row: str | None = None
        """Tag of the Instances row, if `knows_row`; None if there is none. A checkpoint writes the row under it, so
        that a worker that was held up does not write what is old by then."""
        self.knows_row = stored.etag is None
        self.runner: OrchestratorExecution | None = None
        self.must_run = stored.must_run
        self.spilled: Mapping[tuple[int, str], str] | None = stored.spilled
        """As in StoredHistory; None once the Instances row is known to be right as a whole. Until then
        a message that comes again may be the sign that a checkpoint has not reached it."""
        self.custom_status: str | None = None
        """What the Instances row shows, once something was committed."""
        self.size = 0
        """Bytes that the payloads of the history take in memory, as of the last weigh()."""
        self.weighed: tuple[Execution, int] = (execution, 0)
        """How many rows of which execution that is."""

    def weigh(self) -> int:
        """Look how large the history is by now; only new rows are looked at."""
        former, count = self.weighed
        if former is not self.execution:
            self.size = count = 0
        events = self.execution.state.events
        new = (payload_bytes(events[place]) for place in range(count, len(events)))
        self.size += PAYLOAD_COPIES * sum(new)
        self.weighed = self.execution, len(events)
        return self.size

    def found_row(self, tag: str | None) -> None:
        """The row has this tag now."""
        self.row = tag
        self.knows_row = True

    def close(self) -> None:
        """Let go of the user's generator."""
        runner, self.runner = self.runner, None
        if runner is not None:
            runner.close()


class Session:
    """An instance with its inbox. At most one worker is busy with it."""

    __slots__ = ("busy", "inbox", "instance", "loaded", "queued", "settled")

    def __init__(self, instance: InstanceId) -> None:
        """Begin with nothing known and nothing arrived."""
        self.instance = instance
        self.inbox: deque[InHand] = deque()
        self.loaded: Loaded | None = None
        self.queued = False
        self.busy = False
        self.settled: list[InHand] = []
        """Messages whose episode is durable, to be deleted."""

    def take_all(self) -> list[InHand]:
        """Everything that has arrived."""
        batch = list(self.inbox)
        self.inbox.clear()
        return batch

    def take_settled(self) -> list[InHand]:
        """What is to be deleted."""
        settled, self.settled = self.settled, []
        return settled

    def forget(self) -> None:
        """Drop what is known: the store knows better."""
        loaded, self.loaded = self.loaded, None
        if loaded is not None:
            loaded.close()


class SessionCache:
    """Sessions of one partition; idle ones are kept until there are too many, or their histories are too large."""

    def __init__(self, idle_max: int, bytes_max: int) -> None:
        """Keep at most `idle_max` sessions that have nothing to do.

        Args:
            bytes_max: of payloads in their histories. The one that was used last is kept however large it is.
        """
        self._sessions: OrderedDict[InstanceId, Session] = OrderedDict()
        self._idle_max = idle_max
        self._bytes_max = bytes_max
        self._small_bytes = bytes_max // (2 * idle_max)
        """Histories up to this size stay: all of them together take half of the room at most, and a large one that
        cannot be let go just now must not drive them out."""
        self._sizes: dict[InstanceId, int] = {}
        self.size = 0
        """Bytes of the payloads in the histories of sessions that were released."""

    def __iter__(self) -> Iterator[Session]:
        """All sessions."""
        return iter(list(self._sessions.values()))

    def get(self, instance: InstanceId) -> Session:
        """The session of an instance, made if there is none."""
        session = self._sessions.get(instance)
        if session is None:
            session = self._sessions[instance] = Session(instance)
        else:
            self._sessions.move_to_end(instance)
        return session

    def knows(self, instance: InstanceId) -> bool:
        """Whether the history of an instance is in memory."""
        session = self._sessions.get(instance)
        return session is not None and session.loaded is not None

    def weigh(self, session: Session) -> None:
        """Look anew how large the history of a session is, after a worker was busy with it."""
        size = session.loaded.weigh() if session.loaded is not None else 0
        self.size += size - self._sizes.pop(session.instance, 0)
        if size:
            self._sizes[session.instance] = size

    def release(self, session: Session) -> None:
        """A session has nothing to do now: keep it if it knows something, and only so many."""
        if session.loaded is None:
            self._sessions.pop(session.instance, None)
        while len(self._sessions) > self._idle_max:
            if not self._drop_oldest():
                return
        while self.size > self._bytes_max:
            if not self._drop_oldest(self._small_bytes, but=session):
                return

    def _drop_oldest(self, above: int = -1, *, but: Session | None = None) -> bool:
        """Let go of the session that has been idle for longest, of those above a size; False if there is none."""
        sizes = self._sizes
        idle = (
            s
            for s in self._sessions.values()
            if s is not but and sizes.get(s.instance, 0) > above and _is_idle(s)
        )
        oldest = next(idle, None)
        if oldest is None:
            return False
        oldest.forget()
        self.weigh(oldest)
        del self._sessions[oldest.instance]
        return True

    @property
    def busy(self) -> bool:
        """Whether a worker is in one of them."""
        return any(session.busy for session in self._sessions.values())

    def close(self) -> None:
        """Forget everything."""
        for session in self:
            session.forget()
        self._sessions.clear()
        self._sizes.clear()
        self.size = 0


def _is_idle(session: Session) -> bool:
    return not session.busy and not session.queued and not session.inbox
