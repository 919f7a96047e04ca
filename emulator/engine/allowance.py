"""How many bytes of messages one loop may hold.

What does not fit stays in its queue. One message fits whatever its size if no other is held, so that nothing is too
large to be dealt with; and since who holds messages waits for no room, what is held ends and makes room.
"""

from __future__ import annotations

from typing import Protocol

from emulator.storage.ports import RECEIVE_COUNT_MAX


class Holder(Protocol):
    """Who holds the messages (engine.custody.Custody)."""

    @property
    def size(self) -> int:
        """Bytes of their payloads."""
        ...


class Allowance:
    """The bytes of one loop."""

    def __init__(self, holder: Holder, bytes_max: int) -> None:
        """Allow so many bytes."""
        self._holder = holder
        self._bytes_max = bytes_max
        self._batch = RECEIVE_COUNT_MAX

    def fits(self, size: int) -> bool:
        """Whether messages of this size may be held beside the others; what has no payload always may."""
        held = self._holder.size
        return held == 0 or size == 0 or held + size <= self._bytes_max

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more is to be received: how large it is is not known before."""
        return not self.fits(1)

    def takes_more(self, size: int) -> bool:
        """Whether one more may be read in a batch of which this size has been read already.

        How large one is nobody knows before: a batch that proved too large makes the next ones small.
        """
        if self._holder.size + size < self._bytes_max:
            return True
        self._batch = 0
        return False

    def batch(self, most: int) -> int:
        """How many messages to receive at once, `most` unless they were too large lately."""
        if self._batch >= most:
            return most
        self._batch = min(most, max(1, 2 * self._batch))
        return self._batch
