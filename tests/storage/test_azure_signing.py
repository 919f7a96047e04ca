"""Signatures against ones that openssl made of the strings in the service's documentation."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest

from emulator.core.instant import Instant
from emulator.errors import StorageError
from emulator.storage.azure_signing import (
    TOKEN_SCOPE,
    HttpDate,
    Request,
    SasSigner,
    SharedKeyLiteSigner,
    SharedKeySigner,
    TokenSigner,
)
from tests.support.clocks import ManualClock

KEY = base64.b64encode(b"a key of thirty-two octets, no m").decode()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(Instant.parse("2026-11-24T01:58:02.9999999Z"))


def put(**changes: object) -> Request:
    values: dict[str, object] = {
        "what": "putting",
        "method": "POST",
        "path": "/tasks/messages",
        "query": {"messagettl": "-1", "visibilitytimeout": "30"},
        "headers": {"Content-Type": "application/xml"},
        "body": b"<QueueMessage/>",
    }
    return Request(**{**values, **changes})


def test_a_date_is_in_whole_seconds_of_the_clock(clock: ManualClock) -> None:
    date = HttpDate(clock)
    assert date.text() == "Tue, 24 Nov 2026 01:58:02 GMT"
    clock.move(0.1)
    assert date.text() == "Tue, 24 Nov 2026 01:58:03 GMT"


def test_shared_key_signs_verb_length_type_headers_path_and_query(clock: ManualClock) -> None:
    signer = SharedKeySigner("acc", KEY, HttpDate(clock))
    headers = {"x-ms-version": "2021-12-02", "x-ms-date": "D", "Content-Type": "application/xml"}
    assert signer.text(put(), "/acc/tasks/messages", headers) == (
        "POST\n\n\n15\n\napplication/xml\n\n\n\n\n\n\nx-ms-date:D\nx-ms-version:2021-12-02\n"
        "/acc/acc/tasks/messages\nmessagettl:-1\nvisibilitytimeout:30"
    )
    bare = put(method="GET", query={}, body=None)
    assert signer.text(bare, "/q", {"x-ms-date": "D"}) == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\n/acc/q"
    )


async def test_shared_key_gives_the_known_signature(clock: ManualClock) -> None:
    signer = SharedKeySigner("acc", KEY, HttpDate(clock))
    headers = {"x-ms-version": "2021-12-02", "Content-Type": "application/xml"}
    assert await signer.sign(put(), "/acc/tasks/messages", headers) == ""
    assert headers["x-ms-date"] == "Tue, 24 Nov 2026 01:58:02 GMT"
    assert headers["Authorization"] == "SharedKey acc:6hUpFSKEm8efQvQT/tu9y7cNN7/mB29JtelC6oD5Avo="


async def test_shared_key_lite_gives_the_known_signature_each_second(clock: ManualClock) -> None:
    signer = SharedKeyLiteSigner("acc", KEY, HttpDate(clock))
    path = "/acc/Rows(PartitionKey='a%20b',RowKey='')"
    seen: list[str] = []
    for _ in range(2):
        for _ in range(2):
            headers: dict[str, str] = {}
            assert await signer.sign(put(), path, headers) == ""
            seen.append(headers["Authorization"])
        clock.move(0.1)
    assert seen == [
        "SharedKeyLite acc:10bu+5zNg3nT+8AQ6E0Dm6FWLtNTWISiOVn5RgcgxAQ=",
        "SharedKeyLite acc:10bu+5zNg3nT+8AQ6E0Dm6FWLtNTWISiOVn5RgcgxAQ=",
        "SharedKeyLite acc:aSJuj9b5TT92mhprwhEA5CO9ksx+nxUM5Sz0AlzlK6M=",
        "SharedKeyLite acc:aSJuj9b5TT92mhprwhEA5CO9ksx+nxUM5Sz0AlzlK6M=",
    ]
    headers = {}
    await signer.sign(put(), "/acc/Other", headers)
    assert headers["Authorization"] not in seen


@pytest.mark.parametrize("given", ["sv=1&sig=a%2Fb", "?sv=1&sig=a%2Fb"])
async def test_a_shared_access_signature_goes_into_the_query_as_it_is(given: str) -> None:
    headers: dict[str, str] = {}
    assert await SasSigner(given).sign(put(), "/q", headers) == "sv=1&sig=a%2Fb"
    assert headers == {}


class FakeCredential:
    """Gives a new token at each call, valid for an hour."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.scopes: list[str] = []
        self.error: Exception | None = None

    async def get_token(self, scope: str) -> SimpleNamespace:
        if self.error is not None:
            raise self.error
        self.scopes.append(scope)
        now_s = self.clock.now().to_datetime().timestamp()
        return SimpleNamespace(token=f"t{len(self.scopes)}", expires_on=int(now_s) + 3600)


async def test_a_token_is_used_until_shortly_before_it_runs_out(clock: ManualClock) -> None:
    credential = FakeCredential(clock)
    signer = TokenSigner(credential, clock, HttpDate(clock))
    used: list[str] = []
    for pause_s in (0, 3200, 200):
        clock.move(pause_s)
        headers: dict[str, str] = {}
        assert await signer.sign(put(), "/q", headers) == ""
        assert headers["x-ms-date"]
        used.append(headers["Authorization"])
    assert used == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert credential.scopes == [TOKEN_SCOPE] * 2


async def test_a_token_that_is_not_given_is_a_storage_error(clock: ManualClock) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    credential = FakeCredential(clock)
    credential.error = ClientAuthenticationError("no identity here")
    signer = TokenSigner(credential, clock, HttpDate(clock))
    with pytest.raises(StorageError, match="getting a token"):
        await signer.sign(put(), "/q", {})
