"""Walks over everything that a service gives out in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

from emulator.storage.ports import BlobPort, ETag, Filter, Row, TablePort


async def all_rows(tables: TablePort, table: str, where: Filter | None) -> AsyncIterator[Row]:
    """Rows of a table that match, in order of their keys.

    Raises:
        NotFoundError: there is no such table.
    """
    continuation: str | None = None
    while True:
        page = await tables.query(table, where, continuation=continuation)
        for row in page.rows:
            yield row
        continuation = page.continuation
        if continuation is None:
            return


async def all_blobs(
    blobs: BlobPort, container: str, *, prefix: str = ""
) -> AsyncIterator[tuple[str, ETag]]:
    """Name and ETag of the blobs whose name begins with a prefix, in order of name.

    Raises:
        NotFoundError: there is no such container.
    """
    continuation: str | None = None
    while True:
        page = await blobs.list_blobs(container, prefix=prefix, continuation=continuation)
        for item in zip(page.names, page.etags, strict=True):
            yield item
        continuation = page.continuation
        if continuation is None:
            return
