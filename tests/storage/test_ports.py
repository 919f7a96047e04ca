from __future__ import annotations

from emulator.testing.port_suite import BlobSuite, QueueSuite, StorageSuite, TableSuite


class TestQueues(QueueSuite):
    pass


class TestTables(TableSuite):
    pass


class TestBlobs(BlobSuite):
    pass


class TestStorage(StorageSuite):
    pass
