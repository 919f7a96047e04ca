"""From a connection setting to the endpoints and the credential of an account.

Understands `UseDevelopmentStorage=true`, account name and key, explicit endpoints, shared access signatures, and the
identity-based form. Source: reference functions-host.md 1.3. No message ever shows a key or a signature.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from emulator.errors import ConfigError
from emulator.settings import StorageSettings

DEVELOPMENT_ACCOUNT: Final = "devstoreaccount1"
DEVELOPMENT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The published key of every emulator of the storage services."""
_SERVICES: Final = ("blob", "queue", "table")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where an account's services are and how to sign requests.

    Exactly one of `key`, `signature` and `identity` is set.
    """

    name: str
    blob: str
    queue: str
    table: str
    key: str | None = None
    signature: str | None = None
    identity: Mapping[str, str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether all services are on this machine."""
        hosts = {urlsplit(url).hostname for url in (self.blob, self.queue, self.table)}
        return hosts <= _LOOPBACK

    @property
    def description(self) -> str:
        """Account and host, for people."""
        return f"storage account {self.name} ({urlsplit(self.blob).netloc})"


def is_development(settings: StorageSettings) -> bool:
    """Whether the setting stands for the local storage emulator on its usual ports."""
    parts = _parts(settings.connection_string or "")
    return (parts.get("usedevelopmentstorage") or "").lower() == "true"


def read_account(settings: StorageSettings) -> Account:
    """The account behind a connection setting.

    Raises:
        ConfigError: it is in no form that is understood; the message names the setting and what is missing.
    """
    if is_development(settings):
        return _development(settings)
    if settings.connection_string:
        return _from_string(settings.connection_string, settings.connection)
    if settings.service_uris:
        return _from_identity(settings.service_uris, settings.connection)
    raise ConfigError(
        f"the storage connection {settings.connection!r} has no value; set AzureWebJobsStorage to a connection "
        "string such as UseDevelopmentStorage=true, or use --storage embedded"
    )


def _parts(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(";") if item.strip())
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _from_string(text: str, setting: str) -> Account:
    parts = _parts(text)
    signature = parts.get("sharedaccesssignature")
    key = parts.get("accountkey")
    name = parts.get("accountname")
    urls = {service: _endpoint(parts, service, name, setting) for service in _SERVICES}
    if not key and not signature:
        raise ConfigError(
            f"the storage connection {setting!r} has neither AccountKey nor SharedAccessSignature; copy the whole "
            "connection string of the account"
        )
    if key and not _is_base64(key):
        raise ConfigError(
            f"the storage connection {setting!r} has an AccountKey that is not base64; copy the whole connection "
            "string of the account"
        )
    if key and not name:
        raise ConfigError(
            f"the storage connection {setting!r} has an AccountKey but no AccountName"
        )
    return Account(
        name=name or str(urlsplit(urls["blob"]).hostname).partition(".")[0],
        blob=urls["blob"],
        queue=urls["queue"],
        table=urls["table"],
        key=key,
        signature=None if key else signature,
    )


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _endpoint(parts: Mapping[str, str], service: str, name: str | None, setting: str) -> str:
    explicit = parts.get(f"{service}endpoint")
    if explicit:
        if urlsplit(explicit).scheme not in ("http", "https"):
            raise ConfigError(
                f"the storage connection {setting!r} has the {service.capitalize()}Endpoint {explicit!r}, which is no "
                "http or https address"
            )
        return explicit.rstrip("/")
    if not name:
        raise ConfigError(
            f"the storage connection {setting!r} is no connection string: it names no account and no "
            f"{service.capitalize()}Endpoint. Expected UseDevelopmentStorage=true or "
            "DefaultEndpointsProtocol=https;AccountName=...;AccountKey=..."
        )
    protocol = parts.get("defaultendpointsprotocol", "https")
    suffix = parts.get("endpointsuffix", "core.windows.net")
    return f"{protocol}://{name}.{service}.{suffix}"


def _development(settings: StorageSettings) -> Account:
    proxy = _parts(settings.connection_string or "").get("developmentstorageproxyuri")
    base = (proxy or "http://127.0.0.1").rstrip("/")
    blob, queue, table = (
        f"{base}:{port}/{DEVELOPMENT_ACCOUNT}" for port in settings.development_ports
    )
    return Account(
        name=DEVELOPMENT_ACCOUNT, blob=blob, queue=queue, table=table, key=DEVELOPMENT_KEY
    )


def _from_identity(values: Mapping[str, str], setting: str) -> Account:
    lowered = {key.lower(): value for key, value in values.items()}
    name = lowered.get("accountname")
    urls: dict[str, str] = {}
    for service in _SERVICES:
        url = lowered.get(f"{service}serviceuri")
        if not url and not name:
            raise ConfigError(
                f"the storage connection {setting!r} is identity-based but has no {setting}__{service}ServiceUri and "
                f"no {setting}__accountName; set one of them"
            )
        urls[service] = (url or f"https://{name}.{service}.core.windows.net").rstrip("/")
    return Account(
        name=name or str(urlsplit(urls["blob"]).hostname).partition(".")[0],
        blob=urls["blob"],
        queue=urls["queue"],
        table=urls["table"],
        identity=lowered,
    )
