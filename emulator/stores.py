"""The stores that bindings name by their connections: the app's own, and other accounts, opened when first named.

And Azurite, where the settings mean it and nobody else runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from emulator.config import DEFAULT_STORAGE, resolve_connection
from emulator.errors import ConfigError
from emulator.log import fields, get_logger
from emulator.settings import Settings, StorageKind, StorageSettings
from emulator.storage.ports import Storage

_log = get_logger(__name__)
_OWN: Final = frozenset({"", "storage", DEFAULT_STORAGE.lower()})


def is_own_connection(connection: str, settings: Settings) -> bool:
    """Whether a connection's name means the app's own store; an empty one does."""
    name = connection.lower()
    return name in _OWN or name == settings.storage.connection.lower()


class Stores:
    """Finds the open store of a connection."""

    def __init__(
        self, settings: Settings, own: Storage, make: Callable[[StorageSettings], Storage]
    ) -> None:
        """Take the app's own store, which is open and stays whoever's it is.

        Args:
            make: the adapter of an account, not open yet.
        """
        self._settings = settings
        self._own = own
        self._make = make
        self._others: dict[str, Storage] = {}
        self._opening = asyncio.Lock()

    async def open(self, connection: str | None) -> Storage:
        """The store of a connection by its name, None meaning the app's own.

        An app that does not run on an Azure account keeps everything in the one store that it has.

        Raises:
            ConfigError: there is no such setting, or its account cannot be used.
        """
        if connection is None or is_own_connection(connection, self._settings):
            return self._own
        name = connection.lower()
        found = resolve_connection(name, self._settings.app)
        if found is None:
            raise ConfigError(
                f"there is no setting for the connection {connection!r}: add {connection} to the Values of "
                "local.settings.json or to the environment"
            )
        if self._settings.storage.kind is not StorageKind.AZURE or self._is_own(found):
            return self._own
        async with self._opening:
            if name not in self._others:
                store = self._make(found)
                await store.open()
                self._others[name] = store
        return self._others[name]

    async def close(self) -> None:
        """Close what was opened here. Safe to call twice."""
        others, self._others = self._others, {}
        for store in others.values():
            await store.close()

    def _is_own(self, found: StorageSettings) -> bool:
        own = self._settings.storage
        return (found.connection_string, found.service_uris) == (
            own.connection_string,
            own.service_uris,
        )


@asynccontextmanager
async def azurite_if_needed(
    settings: StorageSettings,
    folder: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> AsyncGenerator[None]:
    """Run Azurite while inside, if the settings mean the local one and nobody listens there.

    Args:
        folder: keeps Azurite's data from one run to the next.

    Raises:
        PreconditionError: it is needed and cannot be started.
    """
    if settings.kind is not StorageKind.AZURE or not settings.start_azurite:
        yield
        return
    from azurite import Azurite, Ports, is_listening
    from emulator.storage.azure_connection import is_development

    ports = Ports(*settings.development_ports)
    if not is_development(settings) or is_listening(ports.blob):
        yield
        return
    say(
        f"Nobody listens on port {ports.blob}; starting Azurite, which keeps its data in {folder} (--no-azurite turns "
        "this off)"
    )
    server = Azurite(environment, ports=ports, location=folder)
    await server.start()
    _log.info("Azurite started", extra=fields("azurite_started", pid=server.pid))
    try:
        yield
    finally:
        await server.stop()
