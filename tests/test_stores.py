from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from emulator.errors import ConfigError
from emulator.settings import AppSettings, Settings, StorageKind, StorageSettings
from emulator.storage.azure import AzureStorage
from emulator.storage.memory import MemoryStorage
from emulator.storage.ports import Storage
from emulator.stores import Stores
from tests.support.clocks import CountedIds, ManualClock

OWN_TEXT = "UseDevelopmentStorage=true"
VALUES = {
    "AzureWebJobsStorage": OWN_TEXT,
    "Same": OWN_TEXT,
    "Other": "AccountName=other;AccountKey=a2V5",
    "Third__accountName": "third",
}


class Opened(MemoryStorage):
    """Knows the account that it stands for, and whether it is open."""

    def __init__(self, account: StorageSettings) -> None:
        super().__init__(ManualClock(), CountedIds())
        self.account = account
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False


class Bench:
    def __init__(self, kind: StorageKind) -> None:
        storage = StorageSettings(kind=kind, connection_string=OWN_TEXT)
        settings = Settings(app=AppSettings(root=Path(), values=VALUES), storage=storage)
        self.own: Storage = MemoryStorage(ManualClock(), CountedIds())
        self.made: list[Opened] = []
        self.stores = Stores(settings, self.own, self._make)

    def _make(self, account: StorageSettings) -> Storage:
        self.made.append(Opened(account))
        return self.made[-1]


@pytest.mark.parametrize("connection", [None, "", "Storage", "AzureWebJobsStorage", "same"])
async def test_the_apps_own_account_is_never_opened_again(connection: str | None) -> None:
    bench = Bench(StorageKind.AZURE)
    assert await bench.stores.open(connection) is bench.own
    assert bench.made == []


async def test_another_account_is_opened_once_and_closed_at_the_end() -> None:
    bench = Bench(StorageKind.AZURE)
    other = await bench.stores.open("Other")
    assert await bench.stores.open("OTHER") is other
    third = await bench.stores.open("Third")
    assert [made.account.connection_string for made in bench.made] == [VALUES["Other"], None]
    assert bench.made[1].account.service_uris == {"accountName": "third"}
    assert all(made.is_open for made in bench.made)
    await bench.stores.close()
    await bench.stores.close()
    assert not any(made.is_open for made in bench.made)
    assert third is not other


@pytest.mark.parametrize("kind", [StorageKind.MEMORY, StorageKind.EMBEDDED])
async def test_without_an_account_everything_is_kept_in_the_one_store(kind: StorageKind) -> None:
    bench = Bench(kind)
    assert await bench.stores.open("Other") is bench.own
    assert bench.made == []


@pytest.mark.parametrize("kind", list(StorageKind))
async def test_a_connection_without_a_setting_is_named_with_what_to_do(kind: StorageKind) -> None:
    with pytest.raises(ConfigError, match="'Nowhere': add Nowhere to the Values of"):
        await Bench(kind).stores.open("Nowhere")


async def test_an_account_by_identity_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And leaves nothing open, which would be told after the end."""
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    uris = {"accountName": "nobody"}
    settings = StorageSettings(kind=StorageKind.AZURE, service_uris=uris)
    storage = AzureStorage(settings, ManualClock())
    with pytest.raises(ConfigError, match=r"pip install durable-functions-emulator\[identity\]"):
        await storage.open()
    gc.collect()


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("127.0.0.1", "Is it running? For Azurite"),
        ("account.invalid", "See that its name is right"),
    ],
)
async def test_an_account_that_cannot_be_reached_is_told_with_what_may_be_wrong(
    host: str, advice: str
) -> None:
    endpoints = ";".join(f"{kind}Endpoint=http://{host}:1/a" for kind in ("Blob", "Queue", "Table"))
    text = f"AccountName=a;AccountKey=eA==;{endpoints}"
    settings = StorageSettings(kind=StorageKind.AZURE, connection_string=text)
    with pytest.raises(ConfigError, match="cannot be used: ") as refusal:
        await AzureStorage(settings, ManualClock()).open()
    assert advice in str(refusal.value)
    assert "or use --storage embedded" in str(refusal.value)
