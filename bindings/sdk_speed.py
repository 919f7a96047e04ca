"""Two things of the app's SDK that cost more than all the rest of a replay, made cheap.

The SDK parses the timestamp of every history row with dateutil, and makes a new namedtuple class for every replay. The
names are wrapped in the SDK's own modules: the objects that come out are the same, time zone object included.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from emulator.core.instant import Instant

_EVENT_MODULE = "azure.durable_functions.models.history.HistoryEvent"
_EXECUTOR_MODULE = "azure.durable_functions.models.TaskOrchestrationExecutor"


class _FastParse:
    """Stands for dateutil's parse: takes ready-made times, and reads the form that hosts write."""

    def __init__(self, original: Callable[..., datetime]) -> None:
        self._original = original
        self._utc = original("2000-01-01T00:00:00Z").tzinfo

    def __call__(self, text: str | datetime, *args: Any, **kwargs: Any) -> datetime:  # noqa: ANN401
        if isinstance(text, datetime):
            return text.replace(tzinfo=self._utc)
        if not args and not kwargs and text.endswith("Z"):
            try:
                return datetime.fromisoformat(text[:-1]).replace(tzinfo=self._utc)
            except ValueError:
                pass
        return self._original(text, *args, **kwargs)


def install() -> None:
    """Wrap the names, if the SDK has them. Doing it twice is doing it once."""
    _wrap(_EVENT_MODULE, "dt_parse", _FastParse, lambda value: isinstance(value, _FastParse))
    _wrap(_EXECUTOR_MODULE, "namedtuple", lru_cache, lambda value: hasattr(value, "cache_info"))


def timestamp(instant: Instant) -> object:
    """A row's time as the SDK's event takes it: an object if it is taken ready-made, else text."""
    module = sys.modules.get(_EVENT_MODULE)
    if isinstance(getattr(module, "dt_parse", None), _FastParse):
        return instant.to_datetime()
    return instant.text()


def _wrap(
    module_name: str,
    name: str,
    wrap: Callable[[Any], Any],
    is_wrapped: Callable[[Any], bool],
) -> None:
    module = importlib.import_module(module_name)
    original: Any = getattr(module, name, None)
    if original is not None and not is_wrapped(original):
        setattr(module, name, wrap(original))
