"""An account that fails as real ones do: a wrapper of the three ports that numbers the calls and breaks some of them.

A plan looks at each call and says what goes wrong with it. Whatever can go wrong with a call of a real account can go
wrong here, and nothing else: what a caller sees is what the service, or the machine's end, would have given it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeVar

from emulator.core.instant import Instant
from emulator.engine.clock import Clock
from emulator.errors import LeaseLostError, StorageError, TransientStorageError
from emulator.storage.ports import (
    Blob,
    BlobPage,
    BlobPort,
    ETag,
    Filter,
    MessageHandle,
    QueueMessage,
    QueuePort,
    Row,
    RowKey,
    RowPage,
    Storage,
    TablePort,
    Write,
)

T = TypeVar("T")
SLOW_S: Final = 45.0
"""How long a slow call takes: longer than a partition's lease."""


class HostDiedError(BaseException):
    """The process is gone, as after SIGKILL: it runs no handler, and every later call of it dies the same way.

    No Exception, because no `except Exception` of the product may outlive it.
    """


class Fault(StrEnum):
    """What goes wrong with one call."""

    CRASH_BEFORE = "crash_before"
    """The process dies before the call leaves it."""
    CRASH_AFTER = "crash_after"
    """The process dies when the call has had its effect, before it sees the answer."""
    REFUSED = "refused"
    """429, 500, 503 or a time-out without effect."""
    ANSWER_LOST = "answer_lost"
    """The call has its effect, the caller sees a time-out."""
    SENT_TWICE = "sent_twice"
    """The answer was lost and the SDK has sent the call again: the caller sees the second answer."""
    EARLY = "early"
    """Messages put or received by this call reappear at once, for anybody."""
    REORDERED = "reordered"
    """Received messages come newest first."""
    SLOW = "slow"
    """The call takes longer than a lease lasts."""
    LEASE_LOST = "lease_lost"
    """The lease was broken by somebody."""


CRASHES: Final = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER})
_ONLY_FOR: Final[Mapping[Fault, frozenset[str]]] = {
    Fault.EARLY: frozenset({"put", "receive", "update"}),
    Fault.REORDERED: frozenset({"receive"}),
    Fault.LEASE_LOST: frozenset({"renew_lease"}),
}
"""Faults that only some operations can have; the others can befall every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, before it is made.

    Attributes:
        number: from 1, in the order in which this host made its calls.
        operation: name of the port's method.
        target: queue, table or container.
    """

    number: int
    operation: str
    target: str

    def can_have(self, fault: Fault) -> bool:
        """Whether such a call can fail like that."""
        return self.operation in _ONLY_FOR.get(fault, {self.operation})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a call did to the store: seen by whoever observes, at the moment it happened."""

    call: Call
    arguments: tuple[object, ...]
    result: object


Plan = Callable[[Call], Fault | None]
"""What goes wrong with a call; None for nothing."""


def no_faults(call: Call) -> None:
    """The plan of an account that works."""
    del call


def _instantly() -> float:
    return 0.0


def _unseen(effect: Effect) -> None:
    del effect


@dataclass(slots=True, kw_only=True)
class Injector:
    """Makes the calls of one process, and breaks some of them.

    Attributes:
        plan: what goes wrong.
        latency: seconds that the next leg of a call takes.
        observe: told of each effect.
        running: cleared while the process is stopped (SIGSTOP): its calls and their answers wait.
        count: calls so far.
    """

    plan: Plan = no_faults
    latency: Callable[[], float] = _instantly
    observe: Callable[[Effect], None] = _unseen
    running: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0
    is_dead: bool = False

    def __post_init__(self) -> None:
        """Begin running."""
        self.running.set()

    def kill(self) -> None:
        """End the process: every call that is under way or comes later dies."""
        self.is_dead = True
        self.running.set()

    async def call(
        self,
        operation: str,
        target: str,
        arguments: tuple[object, ...],
        effect: Callable[[], Awaitable[T]],
        spoilers: Mapping[Fault, Callable[[T], Awaitable[T]]] | None = None,
    ) -> T:
        """Make one call.

        Args:
            arguments: of the call, for the observer.
            effect: makes it.
            spoilers: what else happens, and what the caller gets instead, for faults of this operation only.

        Raises:
            HostDiedError: the process has died, here or before.
            StorageError: as the port has it, or as the plan has it.
        """
        self._check_alive()
        self.count += 1
        call = Call(number=self.count, operation=operation, target=target)
        fault = self.plan(call)
        if fault is Fault.CRASH_BEFORE:
            self.kill()
        await self._travel(SLOW_S if fault is Fault.SLOW else 0.0)
        if fault is Fault.REFUSED:
            raise TransientStorageError(f"503 Server Busy ({operation} {target})")
        if fault is Fault.LEASE_LOST:
            raise LeaseLostError(f"409 LeaseIdMismatchWithLeaseOperation ({operation} {target})")
        result = await self._make(call, arguments, effect, again=fault is Fault.SENT_TWICE)
        if fault is not None and spoilers is not None and fault in spoilers:
            result = await spoilers[fault](result)
        if fault is Fault.CRASH_AFTER:
            self.kill()
        await self._travel(0.0)
        if fault is Fault.ANSWER_LOST:
            raise TransientStorageError(f"timed out ({operation} {target})")
        return result

    async def _make(
        self,
        call: Call,
        arguments: tuple[object, ...],
        effect: Callable[[], Awaitable[T]],
        *,
        again: bool,
    ) -> T:
        if again:
            with suppress(StorageError):
                self.observe(Effect(call=call, arguments=arguments, result=await effect()))
        result = await effect()
        self.observe(Effect(call=call, arguments=arguments, result=result))
        return result

    async def _travel(self, more_s: float) -> None:
        """One leg of the way to the service or back; the process may be stopped or end meanwhile."""
        delay = self.latency() + more_s
        if delay > 0:
            await asyncio.sleep(delay)
        await self.running.wait()
        self._check_alive()

    def _check_alive(self) -> None:
        if self.is_dead:
            raise HostDiedError


class FaultyQueues:
    """A queue service that fails (storage.ports.QueuePort)."""

    def __init__(self, inner: QueuePort, injector: Injector) -> None:
        """Wrap one."""
        self._inner = inner
        self._injector = injector

    async def create_queue(self, queue: str) -> bool:
        """See QueuePort."""
        return await self._injector.call(
            "create_queue", queue, (), lambda: self._inner.create_queue(queue)
        )

    async def delete_queue(self, queue: str) -> bool:
        """See QueuePort."""
        return await self._injector.call(
            "delete_queue", queue, (), lambda: self._inner.delete_queue(queue)
        )

    async def list_queues(self, prefix: str = "") -> tuple[str, ...]:
        """See QueuePort."""
        return await self._injector.call(
            "list_queues", prefix, (), lambda: self._inner.list_queues(prefix)
        )

    async def put(self, queue: str, text: str, *, visibility_timeout_s: int = 0) -> MessageHandle:
        """See QueuePort."""

        async def early(handle: MessageHandle) -> MessageHandle:
            await self._show(queue, handle)
            return handle

        return await self._injector.call(
            "put",
            queue,
            (text,),
            lambda: self._inner.put(queue, text, visibility_timeout_s=visibility_timeout_s),
            {Fault.EARLY: early},
        )

    async def receive(
        self, queue: str, *, count: int, visibility_timeout_s: int
    ) -> tuple[QueueMessage, ...]:
        """See QueuePort."""

        async def early(messages: tuple[QueueMessage, ...]) -> tuple[QueueMessage, ...]:
            for message in messages:
                await self._show(queue, message.handle)
            return messages

        return await self._injector.call(
            "receive",
            queue,
            (count,),
            lambda: self._inner.receive(
                queue, count=count, visibility_timeout_s=visibility_timeout_s
            ),
            {Fault.EARLY: early, Fault.REORDERED: _reversed},
        )

    async def peek(self, queue: str, *, count: int) -> tuple[QueueMessage, ...]:
        """See QueuePort."""
        return await self._injector.call(
            "peek", queue, (count,), lambda: self._inner.peek(queue, count=count)
        )

    async def update(
        self,
        queue: str,
        message_id: str,
        pop_receipt: str,
        *,
        visibility_timeout_s: int,
        text: str | None = None,
    ) -> MessageHandle:
        """See QueuePort."""

        async def early(handle: MessageHandle) -> MessageHandle:
            await self._show(queue, handle)
            return handle

        return await self._injector.call(
            "update",
            queue,
            (message_id, visibility_timeout_s),
            lambda: self._inner.update(
                queue,
                message_id,
                pop_receipt,
                visibility_timeout_s=visibility_timeout_s,
                text=text,
            ),
            {Fault.EARLY: early},
        )

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> None:
        """See QueuePort."""
        await self._injector.call(
            "delete",
            queue,
            (message_id,),
            lambda: self._inner.delete(queue, message_id, pop_receipt),
        )

    async def message_count(self, queue: str) -> int:
        """See QueuePort."""
        return await self._injector.call(
            "message_count", queue, (), lambda: self._inner.message_count(queue)
        )

    async def _show(self, queue: str, handle: MessageHandle) -> None:
        """Make a message visible to everybody, as if its time-out had run out."""
        with suppress(StorageError):
            await self._inner.update(
                queue, handle.message_id, handle.pop_receipt, visibility_timeout_s=0
            )


async def _reversed(messages: tuple[QueueMessage, ...]) -> tuple[QueueMessage, ...]:
    return messages[::-1]


class FaultyTables:
    """A table service that fails (storage.ports.TablePort)."""

    def __init__(self, inner: TablePort, injector: Injector) -> None:
        """Wrap one."""
        self._inner = inner
        self._injector = injector

    async def create_table(self, table: str) -> bool:
        """See TablePort."""
        return await self._injector.call(
            "create_table", table, (), lambda: self._inner.create_table(table)
        )

    async def delete_table(self, table: str) -> bool:
        """See TablePort."""
        return await self._injector.call(
            "delete_table", table, (), lambda: self._inner.delete_table(table)
        )

    async def list_tables(self) -> tuple[str, ...]:
        """See TablePort."""
        return await self._injector.call("list_tables", "", (), self._inner.list_tables)

    async def get(self, table: str, key: RowKey) -> Row | None:
        """See TablePort."""
        return await self._injector.call("get", table, (key,), lambda: self._inner.get(table, key))

    async def query(
        self,
        table: str,
        where: Filter | None,
        *,
        select: Sequence[str] | None = None,
        top: int | None = None,
        continuation: str | None = None,
    ) -> RowPage:
        """See TablePort."""
        return await self._injector.call(
            "query",
            table,
            (where,),
            lambda: self._inner.query(
                table, where, select=select, top=top, continuation=continuation
            ),
        )

    async def write(self, table: str, write: Write) -> ETag | None:
        """See TablePort."""
        return await self._injector.call(
            "write", table, (write,), lambda: self._inner.write(table, write)
        )

    async def transact(self, table: str, writes: Sequence[Write]) -> tuple[ETag | None, ...]:
        """See TablePort."""
        return await self._injector.call(
            "transact", table, (tuple(writes),), lambda: self._inner.transact(table, writes)
        )


class FaultyBlobs:
    """A blob service that fails (storage.ports.BlobPort)."""

    def __init__(self, inner: BlobPort, injector: Injector) -> None:
        """Wrap one."""
        self._inner = inner
        self._injector = injector

    async def create_container(self, container: str) -> bool:
        """See BlobPort."""
        return await self._injector.call(
            "create_container", container, (), lambda: self._inner.create_container(container)
        )

    async def delete_container(self, container: str, *, lease_id: str | None = None) -> bool:
        """See BlobPort."""
        return await self._injector.call(
            "delete_container",
            container,
            (),
            lambda: self._inner.delete_container(container, lease_id=lease_id),
        )

    async def list_containers(self, prefix: str = "") -> tuple[str, ...]:
        """See BlobPort."""
        return await self._injector.call(
            "list_containers", prefix, (), lambda: self._inner.list_containers(prefix)
        )

    async def upload(
        self,
        container: str,
        blob: str,
        content: bytes,
        *,
        only_if_absent: bool = False,
        etag: ETag | None = None,
        lease_id: str | None = None,
    ) -> ETag:
        """See BlobPort."""
        return await self._injector.call(
            "upload",
            container,
            (blob,),
            lambda: self._inner.upload(
                container,
                blob,
                content,
                only_if_absent=only_if_absent,
                etag=etag,
                lease_id=lease_id,
            ),
        )

    async def download(self, container: str, blob: str) -> Blob | None:
        """See BlobPort."""
        return await self._injector.call(
            "download", container, (blob,), lambda: self._inner.download(container, blob)
        )

    async def delete_blob(self, container: str, blob: str) -> bool:
        """See BlobPort."""
        return await self._injector.call(
            "delete_blob", container, (blob,), lambda: self._inner.delete_blob(container, blob)
        )

    async def list_blobs(
        self, container: str, *, prefix: str = "", continuation: str | None = None
    ) -> BlobPage:
        """See BlobPort."""
        return await self._injector.call(
            "list_blobs",
            container,
            (prefix,),
            lambda: self._inner.list_blobs(container, prefix=prefix, continuation=continuation),
        )

    async def acquire_lease(
        self, container: str, blob: str | None, *, lease_id: str, duration_s: int
    ) -> None:
        """See BlobPort."""
        await self._injector.call(
            "acquire_lease",
            container,
            (blob, lease_id),
            lambda: self._inner.acquire_lease(
                container, blob, lease_id=lease_id, duration_s=duration_s
            ),
        )

    async def renew_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""
        await self._injector.call(
            "renew_lease",
            container,
            (blob, lease_id),
            lambda: self._inner.renew_lease(container, blob, lease_id=lease_id),
        )

    async def change_lease(
        self, container: str, blob: str | None, *, lease_id: str, proposed_id: str
    ) -> None:
        """See BlobPort."""
        await self._injector.call(
            "change_lease",
            container,
            (blob, lease_id, proposed_id),
            lambda: self._inner.change_lease(
                container, blob, lease_id=lease_id, proposed_id=proposed_id
            ),
        )

    async def release_lease(self, container: str, blob: str | None, *, lease_id: str) -> None:
        """See BlobPort."""
        await self._injector.call(
            "release_lease",
            container,
            (blob, lease_id),
            lambda: self._inner.release_lease(container, blob, lease_id=lease_id),
        )

    def blob_url(self, container: str, blob: str) -> str:
        """See BlobPort."""
        return self._inner.blob_url(container, blob)


class FaultyStorage:
    """One process's view of an account (storage.ports.Storage)."""

    def __init__(self, inner: Storage, injector: Injector) -> None:
        """Wrap an open account, which stays open when the process ends."""
        self._inner = inner
        self.injector = injector
        self._queues = FaultyQueues(inner.queues, injector)
        self._tables = FaultyTables(inner.tables, injector)
        self._blobs = FaultyBlobs(inner.blobs, injector)

    @property
    def queues(self) -> FaultyQueues:
        """The Queue service."""
        return self._queues

    @property
    def tables(self) -> FaultyTables:
        """The Table service."""
        return self._tables

    @property
    def blobs(self) -> FaultyBlobs:
        """The Blob service."""
        return self._blobs

    @property
    def description(self) -> str:
        """What a person would call it."""
        return self._inner.description

    @property
    def is_local(self) -> bool:
        """As the account says."""
        return self._inner.is_local

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """Others use it still."""


class SkewedClock:
    """A clock that is wrong by a fixed amount (engine.clock.Clock)."""

    def __init__(self, clock: Clock, skew: timedelta) -> None:
        """Go before or after another clock."""
        self._clock = clock
        self._skew = skew

    def now(self) -> Instant:
        """The current instant, as this machine believes."""
        return self._clock.now().plus(self._skew)

    def monotonic(self) -> float:
        """Skew does not change how fast time passes."""
        return self._clock.monotonic()
