from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.testing.port_suite import (
    Account,
    BlobSuite,
    LeaseEndSuite,
    LeaseTimeSuite,
    QueueSuite,
    StorageSuite,
    TableSuite,
)
from tests.support import stores


class TestQueues(QueueSuite):
    pass


class TestTables(TableSuite):
    pass


class TestBlobs(BlobSuite):
    pass


class TestLeaseTimes(LeaseTimeSuite):
    @pytest.fixture(params=["memory", "sqlite"])
    async def account(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[Account]:
        """The stores whose clock can be moved."""
        make = {
            "memory": stores.memory_account,
            "sqlite": lambda: stores.sqlite_account(tmp_path / "store.db"),
        }
        async with make[request.param]() as opened:
            yield opened


@pytest.mark.slow
class TestLeaseEnds(LeaseEndSuite):
    pass


class TestStorage(StorageSuite):
    pass
