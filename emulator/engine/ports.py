"""What the engine asks of the host, and what everyone above may ask of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from emulator.core.calls import (
    ActivityCall,
    ActivityCompleted,
    ActivityFailed,
    EntityBatch,
    EntityResult,
)
from emulator.core.events import HistoryEvent
from emulator.core.ids import InstanceId
from emulator.core.instance import InstancePage, InstanceQuery, InstanceRecord
from emulator.core.instant import Instant
from emulator.core.status import RuntimeStatus
from emulator.core.turn import Turn


class ActivityRunner(Protocol):
    """Runs the user's activities."""

    async def run(self, call: ActivityCall) -> ActivityCompleted | ActivityFailed:
        """Run one activity to its answer. A failure of user code is an answer, not an exception.

        Raises:
            AbandonedError: there is no answer; run it again later.
        """
        ...


class EntityRunner(Protocol):
    """Runs the user's entities."""

    async def run(self, batch: EntityBatch) -> EntityResult:
        """Run one batch of operations. Failures of single operations are results, not exceptions.

        Raises:
            BatchFailedError: the function failed as a whole; run the same operations again later.
        """
        ...


class OrchestratorExecution(Protocol):
    """One execution of one orchestrator, alive as long as it is of use."""

    def advance(self, feed: Sequence[HistoryEvent]) -> Turn:
        """Show it the whole feed; it continues from what it has seen, or begins anew if it cannot.

        Runs user code inline. Failures of user code are outcomes, not exceptions.
        """
        ...

    def close(self) -> None:
        """Let go of the user's generator."""
        ...


class OrchestratorRunner(Protocol):
    """Runs the user's orchestrators."""

    def open(self, name: str) -> OrchestratorExecution:
        """A fresh execution of the function of that name (compared without case).

        A name that the app does not have gives an execution that fails and says so.
        """
        ...

    @property
    def names(self) -> Sequence[str]:
        """Registered orchestrators, as the app spells them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runners:
    """Runs everything of an app that is durable."""

    orchestrators: OrchestratorRunner
    activities: ActivityRunner
    entities: EntityRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRead:
    """State of an entity that exists: JSON text."""

    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityCleanup:
    """How much a clean-up of entities did."""

    removed: int
    released: int


class OrchestrationClient(Protocol):
    """What HTTP, bindings and the command line may ask of one task hub.

    Input and event texts are JSON; they are stored as given. All methods may raise StorageError.
    """

    @property
    def task_hub(self) -> str:
        """Name of the hub, in its own case."""
        ...

    async def start(
        self,
        name: str,
        *,
        input: str | None = None,  # noqa: A002 - the field's name in the protocol
        instance_id: str | None = None,
        version: str | None = None,
        scheduled_start: Instant | None = None,
    ) -> InstanceId:
        """Start an instance; a random id of 32 hex digits if none (or "") is given.

        Raises:
            InstanceConflictError: an instance of that id is in a state that may not be replaced.
        """
        ...

    async def get(self, instance_id: str) -> InstanceRecord | None:
        """Status of one instance with its payloads; None if there is none."""
        ...

    async def history(self, instance_id: str) -> tuple[HistoryEvent, ...]:
        """Rows of the current execution, payloads included; empty if there are none."""
        ...

    async def query(
        self, where: InstanceQuery, *, top: int | None = None, continuation: str | None = None
    ) -> InstancePage:
        """One page of instances, entities included unless excluded."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Send an external event. The status is not looked at; a finished instance discards it."""
        ...

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        """Ask for termination; the status is not looked at."""
        ...

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Ask for suspension.

        Raises:
            InstanceConflictError: it is not Running, Pending or ContinuedAsNew.
        """
        ...

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Ask for resumption.

        Raises:
            InstanceConflictError: it is not Suspended.
        """
        ...

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Take back the failures of a failed instance and wake it.

        Raises:
            InstanceNotFoundError: no such instance.
            InstanceConflictError: it has not failed.
        """
        ...

    async def restart(self, instance_id: str, *, new_id: bool) -> InstanceId:
        """Start the same function with the same input, under a new or the same id.

        Raises:
            InstanceNotFoundError: no such instance.
            InstanceConflictError: the id is to be reused and the instance may not be replaced.
        """
        ...

    async def purge(self, instance_id: str) -> bool:
        """Delete one instance with everything that belongs to it, whatever its state; False if there is none."""
        ...

    async def purge_where(
        self,
        *,
        created_from: Instant,
        created_to: Instant | None,
        statuses: frozenset[RuntimeStatus],
    ) -> int:
        """Delete the instances created in the range, and how many there were.

        An empty set of statuses means every terminal one and every other, as the real provider has it; a set without
        any terminal status deletes nothing.
        """
        ...

    async def signal_entity(
        self, entity_name: str, entity_key: str, operation: str, data: str | None
    ) -> None:
        """Send an operation to an entity; nobody waits for it."""
        ...

    async def read_entity(self, entity_name: str, entity_key: str) -> EntityRead | None:
        """State of an entity; None if it does not exist."""
        ...

    async def clean_entities(
        self, *, remove_empty: bool = True, release_orphaned_locks: bool = True
    ) -> EntityCleanup:
        """Purge entities that do not exist any more, and free those that a vanished or ended instance has locked.

        An entity that was spoken to within the reorder window is left alone.
        """
        ...

    async def make_primary(self) -> None:
        """Make this app the one that works on the hub.

        Raises:
            ConfigError: the hub has no app lease.
        """
        ...

    async def wait(
        self,
        instance_id: str,
        *,
        limit: timedelta,
        interval: timedelta,
        is_new: bool = False,
    ) -> InstanceRecord | None:
        """Poll until the instance is terminal or the time is up; the last status seen.

        Args:
            is_new: it was started just now: the first look is when it is told to have ended, or an interval later if
                that would not be told in this process.

        Raises:
            TransientStorageError: the time is up, and the store does not answer. Until then it is asked again.
        """
        ...


class ClientProvider(Protocol):
    """Finds the client of a hub."""

    def client(
        self, task_hub: str | None = None, connection: str | None = None
    ) -> OrchestrationClient:
        """The client for a hub and connection; blanks mean the app's own.

        Raises:
            InvalidRequestError: the connection has no setting.
        """
        ...

    def orchestrator_names(self) -> Sequence[str]:
        """Registered orchestrators, as the app spells them."""
        ...

    def entity_names(self) -> Sequence[str]:
        """Registered entities, as the app spells them."""
        ...
