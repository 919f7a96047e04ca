"""The right to watch a timer or a container, which one host of an app has at a time: a lease on a blob.

Source: WebJobs SDK, SingletonManager (listener locks, periods of the Development environment).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from emulator.errors import ConflictError, LeaseLostError, NotFoundError, StorageError
from emulator.listeners.work import Surroundings
from emulator.log import fields, get_logger
from emulator.storage.ports import BlobPort

_log = get_logger(__name__)

HOSTS_CONTAINER: Final = "azure-webjobs-hosts"
"""Where hosts keep locks, timers and receipts."""
LEASE_S: Final = 15
RENEW_S: Final = 5.0
RETRY_S: Final = 5.0
"""Ours: the real host looks again after a lease's length or a minute."""
RELEASE_LIMIT_S: Final = 2.0


class _LostError(Exception):
    """Another host may have the lease now."""


class Singleton:
    """The lock of one function's listener."""

    def __init__(self, blobs: BlobPort, function: str, around: Surroundings) -> None:
        """Name the lock; nothing is taken yet."""
        self._blobs = blobs
        self._blob = f"locks/{around.host_id}/Host.Functions.{function}.Listener"
        self._function = function
        self._lease_id = around.ids.guid()
        self._outage = around.outage
        self._waits = False

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work whenever and as long as the lock is held, until cancelled."""
        while True:
            if await self._acquire():
                try:
                    await self._hold(work)
                finally:
                    await self._release()
            await asyncio.sleep(RETRY_S)

    async def _hold(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew(), name=f"renew {self._blob}")
                group.create_task(_as_coroutine(work), name=f"listen for {self._function}")
        except* StorageError as errors:
            for error in errors.exceptions:
                if isinstance(error, StorageError):
                    self._outage.given_up(f"listening for {self._function}", error)
        except* _LostError:
            _log.warning(
                "another host has taken over listening for %s",
                self._function,
                extra=fields("trigger_waiting", function=self._function),
            )

    async def _acquire(self) -> bool:
        try:
            await self._create()
            await self._blobs.acquire_lease(
                HOSTS_CONTAINER, self._blob, lease_id=self._lease_id, duration_s=LEASE_S
            )
        except LeaseLostError:
            self._say_once()
            return False
        except StorageError as error:
            self._outage.failed(f"taking the lock of {self._function}", error)
            return False
        self._outage.worked(f"taking the lock of {self._function}")
        self._waits = False
        return True

    def _say_once(self) -> None:
        if not self._waits:
            _log.info(
                "another host listens for %s; this one takes over when it is gone",
                self._function,
                extra=fields("trigger_waiting", function=self._function),
            )
        self._waits = True

    async def _create(self) -> None:
        await self._blobs.create_container(HOSTS_CONTAINER)
        try:
            await self._blobs.upload(HOSTS_CONTAINER, self._blob, b"", only_if_absent=True)
        except (ConflictError, LeaseLostError):
            return

    async def _renew(self) -> None:
        """Renew until the lease is lost; while the store does not answer, only as long as it may still be ours."""
        failed_s = 0.0
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._blobs.renew_lease(HOSTS_CONTAINER, self._blob, lease_id=self._lease_id)
                failed_s = 0.0
            except (LeaseLostError, NotFoundError) as error:
                raise _LostError from error
            except StorageError as error:
                failed_s += RENEW_S
                if failed_s + RENEW_S > LEASE_S:
                    raise _LostError from error

    async def _release(self) -> None:
        """Give the lock up, even when cancelled, but not at any price."""
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                await self._blobs.release_lease(
                    HOSTS_CONTAINER, self._blob, lease_id=self._lease_id
                )
        except (StorageError, TimeoutError):
            return


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()
