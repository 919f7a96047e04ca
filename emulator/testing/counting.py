"""Counts the storage transactions of a run, at the ports: what a storage account would bill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Final, cast

from emulator.storage.ports import BlobPort, QueuePort, Storage, TablePort

EMPTY: Final = "receive, empty"
"""Polls that found nothing are counted apart: they depend on time, not on work."""


class _Counted:
    """A port whose every call is counted under its name."""

    def __init__(self, port: object, count: Callable[[str, tuple[Any, ...], object], None]) -> None:
        self._port = port
        self._count = count

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        method = getattr(self._port, name)
        if name == "blob_url":
            return method

        async def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = await cast("Coroutine[Any, Any, Any]", method(*args, **kwargs))
            self._count(name, args, result)
            return result

        return counted


class CountedStorage:
    """An account that counts (storage.ports.Storage).

    Attributes:
        calls: how often each operation was called: `put`, `transact`, `query Instances`, ...; tables are named
            without their hub.
    """

    def __init__(self, inner: Storage, hub_name: str) -> None:
        """Wrap an account; only what happens to this hub matters."""
        self._inner = inner
        self._hub = hub_name.lower()
        self.calls: Counter[str] = Counter()

    @cached_property
    def queues(self) -> QueuePort:
        """See Storage."""
        return cast("QueuePort", _Counted(self._inner.queues, self._count_queue))

    @cached_property
    def tables(self) -> TablePort:
        """See Storage."""
        return cast("TablePort", _Counted(self._inner.tables, self._count_table))

    @cached_property
    def blobs(self) -> BlobPort:
        """See Storage."""
        return cast("BlobPort", _Counted(self._inner.blobs, self._count_blob))

    @property
    def transactions(self) -> int:
        """All but polls that found nothing, and the leases of partitions."""
        return sum(
            count
            for name, count in self.calls.items()
            if name != EMPTY and not name.endswith(("Partitions", "leases"))
        )

    @property
    def description(self) -> str:
        """See Storage."""
        return self._inner.description

    @property
    def is_local(self) -> bool:
        """See Storage."""
        return self._inner.is_local

    async def open(self) -> None:
        """See Storage."""
        await self._inner.open()

    async def close(self) -> None:
        """See Storage."""
        await self._inner.close()

    def _count_queue(self, name: str, args: tuple[Any, ...], result: object) -> None:
        del args
        self.calls[EMPTY if name == "receive" and result == () else name] += 1

    def _count_table(self, name: str, args: tuple[Any, ...], result: object) -> None:
        del result
        table = str(args[0]) if args else ""
        short = table[len(self._hub) :] if table.lower().startswith(self._hub) else table
        self.calls[f"{name} {short}".strip()] += 1

    def _count_blob(self, name: str, args: tuple[Any, ...], result: object) -> None:
        del result
        if args and args[0] == f"{self._hub}-leases":
            name = f"{name} leases"
        elif name in ("upload", "download"):
            name = f"{name} blob"
        self.calls[name] += 1
