"""The text that the app's SDK makes its client from, against the recorded ones of the real extension."""

from __future__ import annotations

import pytest

from emulator.http.urls import WEBHOOKS, Links
from tests import vectors
from tests.http.recordings import HOST

RECORDED = vectors.oop("client_binding")
RPC_BASE_URL = "http://127.0.0.1:17071/durabletask/"
WHOSE: dict[str, tuple[str, str, str | None]] = {
    "binding": ("TestHub", "Storage", "mykey"),
    "bindingTaskHub": ("OtherHub", "Storage", "mykey"),
    "bindingTaskHubConnection": ("OtherHub", "OtherConn", "mykey"),
    "bindingWithoutKey": ("TestHub", "Storage", None),
}
"""Hub, connection and system key of each."""


@pytest.mark.parametrize("name", RECORDED)
def test_the_binding_is_the_recorded_one(name: str) -> None:
    task_hub, connection, code = WHOSE[name]
    links = Links(
        origin=f"http://{HOST}",
        prefix=WEBHOOKS,
        task_hub=task_hub,
        connection=connection,
        code=code,
    )
    assert links.binding_json(RPC_BASE_URL) == RECORDED[name]
