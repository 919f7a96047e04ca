"""What every storage adapter must do, as tests: derive from the classes and give them an `account` fixture.

class TestQueues(QueueSuite): ...

@pytest.fixture
async def account() -> AsyncIterator[Account]: ...
"""

from emulator.testing.port_suite.account import Account
from emulator.testing.port_suite.blobs import BlobSuite, LeaseEndSuite, LeaseTimeSuite
from emulator.testing.port_suite.queues import QueueSuite
from emulator.testing.port_suite.storage import StorageSuite
from emulator.testing.port_suite.tables import TableSuite

__all__ = [
    "Account",
    "BlobSuite",
    "LeaseEndSuite",
    "LeaseTimeSuite",
    "QueueSuite",
    "StorageSuite",
    "TableSuite",
]
