"""What bindings and the HTTP room are given: clients of hubs, addresses, and the values of HTTP triggers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bindings.http_trigger import RequestValue, ResponseValue, response_of
from emulator.config import resolve_connection
from emulator.engine.client import HubClient
from emulator.engine.clock import Clock, IdSource
from emulator.engine.courier import Courier
from emulator.engine.ports import OrchestrationClient
from emulator.errors import ConfigError, StorageError
from emulator.http.urls import Links, public_origin
from emulator.hub.task_hub import TaskHub
from emulator.settings import Settings
from emulator.storage.ports import Storage
from emulator.stores import is_own_connection
from emulator.wire.names import is_usable_hub_name


class Clients:
    """Clients of all hubs that requests name (engine.ports.ClientProvider)."""

    def __init__(
        self,
        own: OrchestrationClient,
        settings: Settings,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        """The app's own client is used wherever its hub is meant."""
        self._own = own
        self._settings = settings
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._others: dict[str, OrchestrationClient] = {}
        self.orchestrators: Sequence[str] = ()
        self.entities: Sequence[str] = ()

    def client(
        self, task_hub: str | None = None, connection: str | None = None
    ) -> OrchestrationClient:
        """See ClientProvider."""
        self._check_connection(connection)
        if task_hub and not is_usable_hub_name(task_hub):
            raise StorageError(
                f"the task hub name {task_hub!r} is not valid: 1 to 50 letters and digits, a letter first"
            )
        if not task_hub or task_hub.lower() == self._own.task_hub.lower():
            return self._own
        known = self._others.get(task_hub.lower())
        if known is None:
            hub = TaskHub(
                self._storage,
                replace(self._settings.hub, hub_name=task_hub),
                self._ids.hex32,
            )
            courier = Courier(hub, self._clock, self._ids)
            known = HubClient(hub, courier, clock=self._clock, ids=self._ids)
            self._others[task_hub.lower()] = known
        return known

    def orchestrator_names(self) -> Sequence[str]:
        """See ClientProvider."""
        return self.orchestrators

    def entity_names(self) -> Sequence[str]:
        """See ClientProvider."""
        return self.entities

    def _check_connection(self, connection: str | None) -> None:
        if connection is None or is_own_connection(connection, self._settings):
            return
        if resolve_connection(connection, self._settings.app) is None:
            raise ConfigError(
                f"Unable to resolve the Azure Storage connection named '{connection}'."
            )


class Urls:
    """Addresses for client bindings (host.binding_api.ClientUrls)."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        """The listeners' ports are set when they are open."""
        self._settings = settings
        self._prefix = prefix
        self.port = settings.http.port
        self.rpc_base_url: str | None = None
        self.code: Callable[[], str | None] = _no_code
        """Gives the key that links carry."""

    def links(self, task_hub: str | None = None, connection: str | None = None) -> Links:
        """Links for a hub and connection; None means the app's own."""
        http = self._settings.http
        return Links(
            origin=public_origin(http.website_hostname, self.port),
            prefix=self._prefix,
            task_hub=task_hub or self._settings.hub.hub_name,
            connection=connection or self._settings.storage.connection,
            code=self.code(),
        )

    def binding_json(self, task_hub: str | None, connection: str | None) -> str:
        """See ClientUrls."""
        return self.links(task_hub, connection).binding_json(self.rpc_base_url)


def _no_code() -> str | None:
    """Links carry no key."""
    return None


class HttpValues:
    """bindings.http_trigger as the http room wants it."""

    def request_value(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        route_params: Mapping[str, str],
        body: bytes,
    ) -> RequestValue:
        """See HttpBinding."""
        return RequestValue(
            method=method,
            url=url,
            headers=headers,
            query=query,
            route_params=route_params,
            body=body,
        )

    def response_of(self, returned: object, *, has_return: bool) -> ResponseValue:
        """See HttpBinding."""
        return response_of(returned, has_return=has_return)
