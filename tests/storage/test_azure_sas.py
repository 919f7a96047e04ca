"""A connection string with a shared access signature instead of a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.queue import (
    AccountSasPermissions,
    ResourceTypes,
    Services,
    generate_account_sas,
)

from azurite import Azurite
from azurite.server import ACCOUNT, KEY
from emulator.errors import ConfigError
from emulator.storage.ports import RowKey, Write, WriteKind
from tests.support.stores import azure_storage

pytestmark = pytest.mark.azurite


def connection_string(server: Azurite, signature: str) -> str:
    endpoints = [
        part
        for part in server.connection_string.split(";")
        if part.partition("=")[0].endswith("Endpoint")
    ]
    return ";".join((*endpoints, f"SharedAccessSignature={signature}"))


async def test_a_signature_opens_all_services(azurite: Azurite) -> None:
    signature = generate_account_sas(
        ACCOUNT,
        KEY,
        resource_types=ResourceTypes(service=True, container=True, object=True),
        permission=AccountSasPermissions.from_string("rwdlacup"),
        expiry=datetime.now(UTC) + timedelta(hours=1),
        services=Services.from_string("bqt"),
    )
    storage = azure_storage(connection_string(azurite, signature))
    await storage.open()
    try:
        await storage.queues.create_queue("sas-queue")
        handle = await storage.queues.put("sas-queue", "<hello>")
        [message] = await storage.queues.receive("sas-queue", count=1, visibility_timeout_s=30)
        assert (message.text, message.handle.message_id) == ("<hello>", handle.message_id)
        await storage.tables.create_table("SasTable")
        key = RowKey(partition="a b", row="'")
        write = Write(kind=WriteKind.INSERT, key=key, columns={"n": 1})
        [etag] = await storage.tables.transact("SasTable", [write])
        row = await storage.tables.get("SasTable", key)
        assert row is not None
        assert (row.etag, dict(row.columns)) == (etag, {"n": 1})
    finally:
        await storage.close()


async def test_a_signature_of_another_key_is_refused_without_showing_it(azurite: Azurite) -> None:
    signature = "sv=2021-12-02&ss=bqt&srt=sco&sp=rwdl&se=2099-01-01&sig=c2VjcmV0"
    with pytest.raises(ConfigError) as refused:
        await azure_storage(connection_string(azurite, signature)).open()
    assert "c2VjcmV0" not in str(refused.value)
