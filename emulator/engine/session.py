"""One instance while this process works on it: what it knows of it, and what has arrived for it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping

from emulator.core.episode import Execution
from emulator.core.ids import InstanceId
from emulator.engine.ports import OrchestratorExecution
from emulator.hub.history import StoredHistory
from emulator.hub.message_queue import InHand


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
        "spilled",
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
    """Sessions of one partition; idle ones are kept until there are too many."""

    def __init__(self, idle_max: int) -> None:
        """Keep at most `idle_max` sessions that have nothing to do."""
        self._sessions: OrderedDict[InstanceId, Session] = OrderedDict()
        self._idle_max = idle_max

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

    def release(self, session: Session) -> None:
        """A session has nothing to do now: keep it if it knows something, and only so many."""
        if session.loaded is None:
            self._sessions.pop(session.instance, None)
        while len(self._sessions) > self._idle_max:
            oldest = next((s for s in self._sessions.values() if _is_idle(s)), None)
            if oldest is None:
                return
            oldest.forget()
            del self._sessions[oldest.instance]

    @property
    def busy(self) -> bool:
        """Whether a worker is in one of them."""
        return any(session.busy for session in self._sessions.values())

    def close(self) -> None:
        """Forget everything."""
        for session in self:
            session.forget()
        self._sessions.clear()


def _is_idle(session: Session) -> bool:
    return not session.busy and not session.queued and not session.inbox
