"""An Azure Storage account, Azurite included.

Three SDK clients over one HTTP session, and two services for plain REST calls. Nothing else in the product imports the
SDKs, and this module is imported only when the setting asks for it.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import aiohttp
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from emulator.errors import ConfigError, StorageError, TransientStorageError
from emulator.settings import StorageSettings
from emulator.storage.azure_blobs import AzureBlobs
from emulator.storage.azure_connection import Account, read_account
from emulator.storage.azure_errors import mapped, status_of
from emulator.storage.azure_queues import AzureQueues
from emulator.storage.azure_rest import RestService
from emulator.storage.azure_rest_queues import QUEUE_HEADERS, RestQueues
from emulator.storage.azure_rest_tables import TABLE_HEADERS, RestTables
from emulator.storage.azure_signing import (
    HttpDate,
    SasSigner,
    SharedKeyLiteSigner,
    SharedKeySigner,
    Signer,
    TokenSigner,
)
from emulator.storage.azure_tables import AzureTables
from emulator.storage.http_client import HttpClient
from emulator.storage.sources import Clock

T = TypeVar("T")

CONNECTIONS_MAX: Final = 64
"""Of the SDKs together, and to each service for plain calls."""
KEEPALIVE_S: Final = 4.0
"""Below the five seconds after which Azurite's server closes an idle connection."""
RETRIES: Final = 2
"""Of one call, beside ours; with a short pause."""


_WRITTEN_BY_US: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that the session must not add by itself: no answer is compressed, and signatures cover the type."""


class Transport(StrEnum):
    """How messages and rows are read and written; all else always goes through the SDK."""

    REST = "rest"
    """Plain REST calls."""
    SDK = "sdk"
    """The SDK's clients: slower, and the measure of the other."""


class AzureStorage:
    """An account (storage.ports.Storage)."""

    def __init__(
        self, settings: StorageSettings, clock: Clock, *, transport: Transport = Transport.REST
    ) -> None:
        """Read the connection setting.

        Args:
            clock: dates the signatures; the service takes no date that is more than a quarter of an hour off.

        Raises:
            ConfigError: it is in no form that is understood.
        """
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self.account: Account = read_account(settings)
        self._session: aiohttp.ClientSession | None = None
        self._http: list[HttpClient] = []
        self._clients: tuple[QueueServiceClient, TableServiceClient, BlobServiceClient] | None = (
            None
        )
        self._queues: AzureQueues | None = None
        self._tables: AzureTables | None = None
        self._blobs: AzureBlobs | None = None
        self._credential: Any = None
        for name in ("azure", "azure.core.pipeline.policies.http_logging_policy"):
            logging.getLogger(name).setLevel(logging.ERROR)

    @property
    def queues(self) -> AzureQueues:
        """The Queue service."""
        return _opened(self._queues)

    @property
    def tables(self) -> AzureTables:
        """The Table service."""
        return _opened(self._tables)

    @property
    def blobs(self) -> AzureBlobs:
        """The Blob service."""
        return _opened(self._blobs)

    @property
    def description(self) -> str:
        """Account and host."""
        return self.account.description

    @property
    def is_local(self) -> bool:
        """Whether all services are on this machine."""
        return self.account.is_local

    async def open(self) -> None:
        """Connect and make one call, so that a wrong key or a dead endpoint is found at once.

        Raises:
            ConfigError: it cannot be reached, or refuses the credential.
        """
        if self._clients is not None:
            return
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=_WRITTEN_BY_US,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        try:
            self._connect(self._session)
            await self._reach()
        except ConfigError:
            await self.close()
            raise

    async def _reach(self) -> None:
        try:
            with mapped("connecting"):
                await self._probe()
        except (StorageError, ConfigError) as error:
            raise ConfigError(
                f"the {self.account.description} of the connection {self._settings.connection!r} cannot be used: "
                f"{_cause(error, is_local=self.is_local)}"
            ) from error

    async def _probe(self) -> None:
        queues: Any = _opened(self._clients)[0]  # its paging is untyped
        async for _ in queues.list_queues(results_per_page=1).by_page():
            return

    def _connect(self, session: aiohttp.ClientSession) -> None:
        account, timeout = self.account, int(self._settings.timeout.total_seconds())
        options: dict[str, Any] = {
            "retry_total": RETRIES,
            "retry_connect": RETRIES,
            "retry_read": RETRIES,
            "retry_status": RETRIES,
            "initial_backoff": 0.2,
            "increment_base": 0.2,
            "retry_backoff_factor": 0.2,
            "logging_enable": False,
        }

        def transport() -> Any:  # noqa: ANN401 - the SDK's class is untyped
            # A client does not tell its limits to a transport that it has not made.
            return AioHttpTransport(
                session=session,
                session_owner=False,
                connection_timeout=timeout,
                read_timeout=timeout,
            )

        storage, tables = self._credentials()
        queue_client = QueueServiceClient(
            account.queue, credential=storage, transport=transport(), **options
        )
        blob_client = BlobServiceClient(
            account.blob, credential=storage, transport=transport(), **options
        )
        table_client = TableServiceClient(
            account.table, credential=tables, transport=transport(), **options
        )
        self._clients = (queue_client, table_client, blob_client)
        self._blobs = AzureBlobs(blob_client, account.blob)
        if self._transport is Transport.SDK:
            self._queues = AzureQueues(queue_client)
            self._tables = AzureTables(table_client)
            return
        queue_signer, table_signer = self._signers()
        self._queues = RestQueues(
            queue_client, self._rest(account.queue, queue_signer, QUEUE_HEADERS)
        )
        self._tables = RestTables(
            table_client, self._rest(account.table, table_signer, TABLE_HEADERS)
        )

    def _rest(self, endpoint: str, signer: Signer, headers: Mapping[str, str]) -> RestService:
        http = HttpClient(endpoint, connections_max=CONNECTIONS_MAX, keep_s=KEEPALIVE_S)
        self._http.append(http)
        timeout_s = self._settings.timeout.total_seconds()
        return RestService(http, endpoint, signer, headers, timeout_s=timeout_s)

    def _credentials(self) -> tuple[Any, Any]:
        """For queues and blobs, and for tables."""
        account = self.account
        if account.key is not None:
            shared = {"account_name": account.name, "account_key": account.key}
            return shared, AzureNamedKeyCredential(account.name, account.key)
        if account.signature is not None:
            signature = AzureSasCredential(account.signature)
            return signature, signature
        self._credential = _identity(account)
        return self._credential, self._credential

    def _signers(self) -> tuple[Signer, Signer]:
        """For queues and for tables."""
        account, date = self.account, HttpDate(self._clock)
        if account.key is not None:
            return (
                SharedKeySigner(account.name, account.key, date),
                SharedKeyLiteSigner(account.name, account.key, date),
            )
        signer = (
            SasSigner(account.signature)
            if account.signature is not None
            else TokenSigner(self._credential, self._clock, date)
        )
        return signer, signer

    async def close(self) -> None:
        """See Storage."""
        clients, self._clients = self._clients, None
        for client in clients or ():
            await client.close()
        if self._credential is not None:
            await self._credential.close()
            self._credential = None
        if self._session is not None:
            await self._session.close()
            self._session = None
        while self._http:
            await self._http.pop().close()


def _opened(value: T | None) -> T:
    if value is None:
        raise TransientStorageError("the storage account is not open")
    return value


def _cause(error: Exception, *, is_local: bool) -> str:
    refused = error.__cause__ is not None and status_of(error.__cause__) in (401, 403)
    if refused or isinstance(error, ConfigError):
        return f"it refuses the credential ({error}). Check the key or signature in the connection string"
    advice = "See that its name is right and that this machine can reach it"
    if is_local:
        advice = "Is it running? For Azurite: `python -m azurite`, or leave out --no-azurite so that it is started"
    return f"{error}. {advice}; or use --storage embedded, which needs no server"


def _identity(account: Account) -> Any:  # noqa: ANN401 - the identity package is optional
    try:
        identity: Any = importlib.import_module("azure.identity.aio")
    except ImportError as error:
        raise ConfigError(
            "the storage connection is identity-based, which needs the package azure-identity: "
            "pip install durable-functions-emulator[identity]"
        ) from error
    values = account.identity or {}
    if (values.get("credential") or "").lower() == "managedidentity":
        return identity.ManagedIdentityCredential(client_id=values.get("clientid"))
    return identity.DefaultAzureCredential(managed_identity_client_id=values.get("clientid"))
