"""Says once that the store cannot be reached, and once that it is back."""

from __future__ import annotations

from emulator.errors import StorageError
from emulator.log import fields, get_logger

_log = get_logger(__name__)


class Outage:
    """Shared by all loops of one engine."""

    def __init__(self, store: str) -> None:
        """Name the store as a person would."""
        self._store = store
        self._failing: set[str] = set()

    def failed(self, what: str, error: StorageError) -> None:
        """A call failed; only the first of an outage is worth a line."""
        if not self._failing:
            _log.warning(
                "cannot reach the store %s (%s); trying again until it answers",
                self._store,
                error,
                extra=fields("storage_unreachable", what=what),
            )
        self._failing.add(what)

    def worked(self, what: str) -> None:
        """A call of that kind worked again."""
        if not self._failing:
            return
        self._failing.discard(what)
        if not self._failing:
            _log.warning("the store %s answers again", self._store, extra=fields("storage_back"))
