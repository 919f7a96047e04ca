"""What every account must do as a whole."""

from __future__ import annotations

from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
    PayloadTooLargeError,
    PopReceiptMismatchError,
    StorageError,
)
from emulator.testing.port_suite.account import Account


class StorageSuite:
    """The account as a whole."""

    async def test_it_says_what_it_is(self, account: Account) -> None:
        """Without secrets."""
        assert account.storage.description
        assert "AccountKey" not in account.storage.description
        assert account.storage.is_local is True

    async def test_opening_and_closing_twice_is_harmless(self, account: Account) -> None:
        """And it works after it was opened again."""
        await account.storage.open()
        await account.storage.close()
        await account.storage.close()
        await account.storage.open()
        assert await account.storage.queues.create_queue(account.name("q")) is True

    async def test_every_error_is_a_storage_error(self) -> None:
        """So that callers can catch them in one place."""
        for error in (
            ConflictError,
            EtagMismatchError,
            LeaseLostError,
            NotFoundError,
            PayloadTooLargeError,
            PopReceiptMismatchError,
        ):
            assert issubclass(error, StorageError)
