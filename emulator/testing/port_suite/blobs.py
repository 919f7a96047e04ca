"""What every Blob service must do."""

from __future__ import annotations

from typing import Final

import pytest

from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
)
from emulator.storage.ports import (
    BlobPort,
)
from emulator.testing.port_suite.account import Account

LEASE_A: Final = "aaaaaaaa-0000-0000-0000-000000000000"
LEASE_B: Final = "bbbbbbbb-0000-0000-0000-000000000000"
LEASE_C: Final = "cccccccc-0000-0000-0000-000000000000"


class BlobSuite:
    """The Blob service."""

    @pytest.fixture
    def blobs(self, account: Account) -> BlobPort:
        """The port."""
        return account.storage.blobs

    @pytest.fixture
    async def container(self, account: Account, blobs: BlobPort) -> str:
        """A new container."""
        name = account.name("c")
        await blobs.create_container(name)
        return name

    async def test_a_container_is_created_and_deleted_once(
        self, account: Account, blobs: BlobPort
    ) -> None:
        """With its blobs."""
        name = account.name("c")
        assert await blobs.create_container(name) is True
        assert await blobs.create_container(name) is False
        await blobs.upload(name, "b", b"x")
        assert name in await blobs.list_containers(name[:-1])
        assert await blobs.delete_container(name) is True
        assert await blobs.delete_container(name) is False
        assert await blobs.download(name, "b") is None
        assert name not in await blobs.list_containers(name[:-1])

    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 1000])
    async def test_a_blob_comes_back(self, container: str, blobs: BlobPort, content: bytes) -> None:
        """With the ETag of its last upload."""
        first = await blobs.upload(container, "a/b.gz", content)
        blob = await blobs.download(container, "a/b.gz")
        assert blob is not None
        assert (blob.content, blob.etag) == (content, first)
        second = await blobs.upload(container, "a/b.gz", b"new")
        blob = await blobs.download(container, "a/b.gz")
        assert blob is not None
        assert (blob.content, blob.etag) == (b"new", second)
        assert second != first

    async def test_a_missing_blob_is_none(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """And so is one of a missing container."""
        assert await blobs.download(container, "nobody") is None
        assert await blobs.download(account.name("c"), "nobody") is None

    async def test_a_blob_is_deleted_once(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """The second time says that there was none."""
        await blobs.upload(container, "b", b"x")
        assert await blobs.delete_blob(container, "b") is True
        assert await blobs.delete_blob(container, "b") is False
        assert await blobs.delete_blob(account.name("c"), "b") is False

    async def test_conditions_of_an_upload(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """Only if absent, only with an ETag, only into a container that is there."""
        etag = await blobs.upload(container, "b", b"1", only_if_absent=True)
        with pytest.raises(ConflictError):
            await blobs.upload(container, "b", b"2", only_if_absent=True)
        newer = await blobs.upload(container, "b", b"3", etag=etag)
        with pytest.raises(EtagMismatchError):
            await blobs.upload(container, "b", b"4", etag=etag)
        blob = await blobs.download(container, "b")
        assert blob is not None
        assert (blob.content, blob.etag) == (b"3", newer)
        with pytest.raises(NotFoundError):
            await blobs.upload(account.name("c"), "b", b"x")

    async def test_blobs_are_listed_by_prefix(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """In order of their names."""
        names = ["b/2", "a/1", "b/1", "b", "c d%/\u00e9'"]
        for name in names:
            await blobs.upload(container, name, b"")
        assert (await blobs.list_blobs(container)).names == tuple(sorted(names))
        assert (await blobs.list_blobs(container, prefix="b/")).names == ("b/1", "b/2")
        assert (await blobs.list_blobs(container, prefix="zz")).names == ()
        with pytest.raises(NotFoundError):
            await blobs.list_blobs(account.name("c"))

    @pytest.mark.parametrize(
        "name", ["it's", "a b", "%41", "a+b", "\u4e2d", "x?y", "x#y", "^0/^1", "a&b=c;"]
    )
    async def test_odd_names(self, container: str, blobs: BlobPort, name: str) -> None:
        """Are written, read, listed and deleted like others."""
        await blobs.upload(container, f"{name}/b", b"1")
        blob = await blobs.download(container, f"{name}/b")
        assert blob is not None
        assert (await blobs.list_blobs(container, prefix=f"{name}/")).names == (f"{name}/b",)
        assert await blobs.delete_blob(container, f"{name}/b") is True

    async def test_a_listing_tells_the_etag_of_each_blob(
        self, container: str, blobs: BlobPort
    ) -> None:
        """The very one that the last upload returned."""
        await blobs.upload(container, "a", b"1")
        first = await blobs.list_blobs(container)
        second = await blobs.upload(container, "a", b"2")
        third = await blobs.upload(container, "b", b"3")
        page = await blobs.list_blobs(container)
        assert (page.names, page.etags) == (("a", "b"), (second, third))
        assert first.etags != (second,)

    async def test_an_address_ends_with_the_encoded_name(
        self, container: str, blobs: BlobPort
    ) -> None:
        """As RFC 3986 has it."""
        url = blobs.blob_url(container, "a b/\u00e9%'.gz")
        assert url.startswith("http")
        assert url.endswith(f"/{container}/a%20b/%C3%A9%25%27.gz")

    @pytest.mark.parametrize("on_container", [True, False], ids=["container", "blob"])
    async def test_a_lease_is_held_by_one(
        self, container: str, blobs: BlobPort, on_container: bool
    ) -> None:
        """Who can renew it, change its id and give it up."""
        blob = None if on_container else "b"
        await blobs.upload(container, "b", b"1")
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.acquire_lease(container, blob, lease_id=LEASE_B, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, blob, lease_id=LEASE_B)
        with pytest.raises(LeaseLostError):
            await blobs.release_lease(container, blob, lease_id=LEASE_B)
        await blobs.renew_lease(container, blob, lease_id=LEASE_A)
        await blobs.change_lease(container, blob, lease_id=LEASE_A, proposed_id=LEASE_B)
        await blobs.change_lease(container, blob, lease_id=LEASE_A, proposed_id=LEASE_B)
        with pytest.raises(LeaseLostError):
            await blobs.change_lease(container, blob, lease_id=LEASE_A, proposed_id=LEASE_C)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, blob, lease_id=LEASE_A)
        await blobs.release_lease(container, blob, lease_id=LEASE_B)
        with pytest.raises(LeaseLostError):
            await blobs.change_lease(container, blob, lease_id=LEASE_B, proposed_id=LEASE_C)
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)

    async def test_a_leased_blob_is_written_by_its_holder(
        self, container: str, blobs: BlobPort
    ) -> None:
        """And read by everyone."""
        await blobs.upload(container, "b", b"1")
        await blobs.acquire_lease(container, "b", lease_id=LEASE_A, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.upload(container, "b", b"2")
        with pytest.raises(LeaseLostError):
            await blobs.upload(container, "b", b"2", lease_id=LEASE_B)
        await blobs.upload(container, "b", b"3", lease_id=LEASE_A)
        blob = await blobs.download(container, "b")
        assert blob is not None
        assert (blob.content, blob.leased) == (b"3", True)

    async def test_a_leased_container_is_deleted_by_its_holder(
        self, container: str, blobs: BlobPort
    ) -> None:
        """Its blobs are free."""
        await blobs.acquire_lease(container, None, lease_id=LEASE_A, duration_s=15)
        await blobs.upload(container, "b", b"1")
        with pytest.raises(LeaseLostError):
            await blobs.delete_container(container)
        assert await blobs.delete_container(container, lease_id=LEASE_A) is True

    async def test_leases_need_something_to_lease(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """NotFoundError for the blob and for the container."""
        gone = account.name("c")
        for place, blob in ((container, "nobody"), (gone, None), (gone, "b")):
            with pytest.raises(NotFoundError):
                await blobs.acquire_lease(place, blob, lease_id=LEASE_A, duration_s=15)
            with pytest.raises(NotFoundError):
                await blobs.renew_lease(place, blob, lease_id=LEASE_A)


class LeaseTimeSuite:
    """Leases that run out. They last 15 seconds at least, so this is for stores whose clock can be moved."""

    @pytest.fixture
    def blobs(self, account: Account) -> BlobPort:
        """The port."""
        return account.storage.blobs

    @pytest.fixture
    async def container(self, account: Account, blobs: BlobPort) -> str:
        """A new container, with the blob "b"."""
        name = account.name("c")
        await blobs.create_container(name)
        await blobs.upload(name, "b", b"1")
        return name

    @pytest.mark.parametrize("blob", [None, "b"], ids=["container", "blob"])
    async def test_a_lease_runs_out(
        self, account: Account, container: str, blobs: BlobPort, blob: str | None
    ) -> None:
        """Then anyone may take it; until then its holder may still renew it."""
        await blobs.acquire_lease(container, blob, lease_id=LEASE_A, duration_s=15)
        await account.elapse(14)
        with pytest.raises(LeaseLostError):
            await blobs.acquire_lease(container, blob, lease_id=LEASE_B, duration_s=15)
        await blobs.renew_lease(container, blob, lease_id=LEASE_A)
        await account.elapse(16)
        await blobs.renew_lease(container, blob, lease_id=LEASE_A)
        await account.elapse(16)
        await blobs.acquire_lease(container, blob, lease_id=LEASE_B, duration_s=60)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, blob, lease_id=LEASE_A)

    async def test_a_write_ends_a_lease_that_has_run_out(
        self, account: Account, container: str, blobs: BlobPort
    ) -> None:
        """Who held it cannot know what is there now, so it cannot be renewed."""
        await blobs.acquire_lease(container, "b", lease_id=LEASE_A, duration_s=15)
        await account.elapse(16)
        await blobs.upload(container, "b", b"2")
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, "b", lease_id=LEASE_A)


class LeaseEndSuite:
    """A lease that has run out, in one test: with a service whose clock cannot be moved it takes 16 seconds."""

    async def test_a_lease_that_has_run_out_gives_no_right(self, account: Account) -> None:
        """It can be neither changed nor written under; renewed, it is in force again."""
        blobs, container = account.storage.blobs, account.name("c")
        await blobs.create_container(container)
        for name in ("b", "renewed", "taken"):
            await blobs.upload(container, name, b"1")
            await blobs.acquire_lease(container, name, lease_id=LEASE_A, duration_s=15)
        await account.elapse(16)
        for name in ("b", "renewed", "taken"):
            blob = await blobs.download(container, name)
            assert blob is not None
            assert not blob.leased
        with pytest.raises(LeaseLostError):
            await blobs.change_lease(container, "b", lease_id=LEASE_A, proposed_id=LEASE_B)
        with pytest.raises(LeaseLostError):
            await blobs.upload(container, "b", b"2", lease_id=LEASE_A)
        await blobs.renew_lease(container, "renewed", lease_id=LEASE_A)
        await blobs.upload(container, "renewed", b"2", lease_id=LEASE_A)
        await blobs.acquire_lease(container, "taken", lease_id=LEASE_B, duration_s=15)
        with pytest.raises(LeaseLostError):
            await blobs.renew_lease(container, "taken", lease_id=LEASE_A)
