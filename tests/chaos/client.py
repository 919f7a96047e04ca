"""A client that does not give up: it asks any host, and another one when that is gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from urllib.parse import quote

import aiohttp

from emulator.core.instance import InstanceRecord
from emulator.engine.client import HubClient
from emulator.engine.ports import EntityRead
from emulator.errors import InstanceConflictError
from tests.support.hosts import DURABLE

PATIENCE_S = 30.0
"""For one answer; a call to a store that swallows everything takes 20 s."""
PAUSE_S = 0.5
REFUSED = "System.InvalidOperationException"
"""In an answer: the instance is not in a state to have that done. After a lost answer that means that it was done."""
_NOT_SENT = (aiohttp.ClientConnectorError,)
_LOST = (aiohttp.ClientError, TimeoutError, ConnectionError)


class PatientClient:
    """Changes instances over HTTP, and reads them from the store itself."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        reader: HubClient,
        ports: Callable[[], Sequence[int]],
        chance: random.Random,
    ) -> None:
        """`ports` gives those of the hosts that are said to be up."""
        self._session = session
        self._reader = reader
        self._ports = ports
        self._chance = chance
        self.repeated: set[str] = set()
        """Instances and entities to which something was sent again because the answer got lost."""
        self.started_in_doubt: set[str] = set()
        """Instances whose start was sent again. A host that stood still may carry the first one out when it goes on,
        over an instance that has ended since: then it begins again."""
        self.retries = 0

    async def get(self, instance_id: str) -> InstanceRecord | None:
        return await self._reader.get(instance_id)

    async def read_entity(self, name: str, key: str) -> EntityRead | None:
        return await self._reader.read_entity(name, key)

    async def start(self, name: str, instance: str, text: str | None) -> None:
        """Under an id of the caller's: what was started before is a conflict, and all right."""
        path = f"/orchestrators/{name}/{instance}"
        if await self._post(instance, path, text, (202, 409)):
            self.started_in_doubt.add(instance)

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        await self._post(
            instance_id, f"/instances/{instance_id}/raiseEvent/{name}", data, (202, 410)
        )

    async def signal_entity(self, name: str, key: str, operation: str, data: str | None) -> None:
        await self._post(key, f"/entities/{name}/{key}?op={operation}", data, (202,))

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        await self._steer(instance_id, "suspend", reason)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        await self._steer(instance_id, "resume", reason)

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        await self._steer(instance_id, "terminate", reason)

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Once, whatever comes of it: the caller looks, and tries again as long as the instance has failed."""
        path = f"/instances/{instance_id}/rewind?reason={quote(reason or '')}"
        try:
            await self._once(path, None)
        except _LOST:
            self.retries += 1

    async def _steer(self, instance: str, what: str, reason: str | None) -> None:
        path = f"/instances/{instance}/{what}?reason={quote(reason or '')}"
        await self._post(instance, path, None, (202, 410))

    async def _post(self, about: str, path: str, text: str | None, fine: tuple[int, ...]) -> bool:
        """Until it is done; whether it may have been done twice."""
        doubtful = False
        while True:
            try:
                status, answer = await self._once(path, text)
            except _NOT_SENT:
                pass
            except _LOST:
                doubtful = True
            else:
                if doubtful:
                    self.repeated.add(about)
                is_refused = status < 500 or REFUSED in answer
                if status in fine or (is_refused and doubtful):
                    return doubtful
                if is_refused:
                    raise InstanceConflictError(f"{path}: {status} {answer}")
                doubtful |= status != 503
            self.retries += 1
            await asyncio.sleep(PAUSE_S)

    async def _once(self, path: str, text: str | None) -> tuple[int, str]:
        ports = self._ports()
        if not ports:
            raise ConnectionRefusedError("no host is up")
        url = f"http://127.0.0.1:{self._chance.choice(ports)}{DURABLE}{path}"
        headers = {"Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with self._session.post(url, data=text, headers=headers, timeout=timeout) as response:
            return response.status, await response.text()
