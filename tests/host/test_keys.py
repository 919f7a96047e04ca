from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from emulator.engine.clock import SystemIds
from emulator.errors import DecodeError, InvalidRequestError
from emulator.host.keys import FRESH_S, KeyKind, KeyStore, host_id, new_value
from emulator.settings import AppSettings, HubSettings, Settings
from emulator.testing.port_suite import Account
from emulator.wire.secret_files import CONTAINER
from tests.support.clocks import ManualClock
from tests.support.stores import memory_account

HOST = f"host-{uuid4().hex[:16]}"


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts are shared: every test has a host of its own."""
    monkeypatch.setitem(globals(), "HOST", f"host-{uuid4().hex[:16]}")


def store(account: Account, clock: ManualClock | None = None) -> KeyStore:
    return KeyStore(
        account.storage.blobs,
        HOST,
        host_name="localhost:1",
        clock=clock or ManualClock(),
        ids=SystemIds(),
    )


async def test_keys_are_made_once_and_shared_by_all_hosts(account: Account):
    first = await store(account).host()
    assert await store(account).host() == first
    assert [key.name for key in (*first.function_keys, *first.system_keys)] == [
        "default",
        "durabletask_extension",
    ]
    blob = await account.storage.blobs.download(CONTAINER, f"{HOST}/host.json")
    assert blob is not None
    content = json.loads(blob.content)
    assert list(content) == [
        "masterKey",
        "functionKeys",
        "systemKeys",
        "hostName",
        "instanceId",
        "source",
        "decryptionKeyId",
    ]
    assert content["masterKey"] == {
        "name": "master",
        "value": first.master.value,
        "encrypted": False,
    }


async def test_a_renewed_key_is_seen_by_other_hosts_soon(account: Account):
    clock = ManualClock()
    host, other = store(account, clock), store(account)
    old = (await host.host()).master
    renewed, is_new = await other.put(KeyKind.MASTER, "master")
    assert not is_new
    assert (await host.host()).master == old
    clock.move(FRESH_S)
    assert (await host.host()).master == renewed != old


async def test_keys_of_functions_are_kept_apart(account: Account):
    keys = store(account)
    made, is_new = await keys.put(KeyKind.FUNCTION, "mine", "secret", function="Hello")
    assert (made.value, is_new) == ("secret", True)
    assert await keys.function("HELLO") == (made,)
    assert await keys.function("other") == ()
    (found,) = await keys.functions()
    assert (found.function, found.keys) == ("hello", (made,))
    assert await keys.delete(KeyKind.FUNCTION, "MINE", function="hello")
    assert not await keys.delete(KeyKind.FUNCTION, "mine", function="hello")


async def test_two_hosts_that_change_keys_at_once_lose_nothing(account: Account):
    one, other = store(account), store(account)
    await one.host()
    await other.host()
    await one.put(KeyKind.HOST, "a")
    await other.put(KeyKind.HOST, "b")
    names = [key.name for key in (await store(account).host()).function_keys]
    assert names == ["default", "a", "b"]


async def test_the_master_key_stays(account: Account):
    with pytest.raises(InvalidRequestError):
        await store(account).delete(KeyKind.MASTER, "master")


async def test_a_key_that_another_host_encrypted_is_refused_by_name(account: Account):
    keys = store(account)
    await keys.host()
    blob = await account.storage.blobs.download(CONTAINER, f"{HOST}/host.json")
    assert blob is not None
    text = blob.content.replace(b'"encrypted": false', b'"encrypted": true', 1)
    await account.storage.blobs.upload(CONTAINER, f"{HOST}/host.json", text)
    with pytest.raises(DecodeError, match=r"'master' .* is encrypted"):
        await store(account).host()


def test_values_are_random_and_have_the_mark_of_their_kind():
    values = {new_value(SystemIds()) for _ in range(100)}
    assert len(values) == 100
    assert all(
        len(value) == 56 and value[44:48] == "AzFu" and value.endswith("==") for value in values
    )


def test_a_key_does_not_show_its_value():
    from emulator.wire.secret_files import Key

    assert "secret" not in repr(Key(name="a", value="secret"))


@pytest.mark.parametrize(
    ("values", "app_name", "expected"),
    [
        ({}, "", "myhub"),
        ({}, "My_Site.x", "mysitex"),
        ({"AzureFunctionsWebHost__hostid": "Own-Id"}, "My Site", "own-id"),
        ({"AzureFunctionsWebHost__hostid": "x" * 40}, "", "x" * 32),
    ],
)
def test_the_name_under_which_a_host_keeps_keys(
    values: dict[str, str], app_name: str, expected: str
):
    settings = Settings(app=AppSettings(root=Path(), values=values))
    settings = replace(settings, hub=HubSettings(hub_name="MyHub", app_name=app_name))
    assert host_id(settings) == expected


async def test_keys_are_found_on_every_page_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.storage.memory_blobs.BLOBS_PER_PAGE_MAX", 2)
    async with memory_account() as account:
        keys = store(account)
        names = ["alpha", "beta", "delta", "gamma", "zeta"]
        for name in names:
            await keys.put(KeyKind.FUNCTION, "mine", function=name)
        assert [found.function for found in await keys.functions()] == names
