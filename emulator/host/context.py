"""What a function may be told of its own invocation. Class names are those that the worker checks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class Out(Generic[T]):
    """The place where a function puts an output."""

    def __init__(self) -> None:
        """Nothing is set."""
        self._value: T | None = None

    def set(self, value: T) -> None:
        """Set the output; the last value counts, and None means none."""
        self._value = value

    def get(self) -> T | None:
        """What was set."""
        return self._value


@dataclass(slots=True)
class TraceContext:
    """W3C trace context of the invocation."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def Traceparent(self) -> str:  # noqa: N802 - the older spelling, which apps may use
        """See trace_parent."""
        return self.trace_parent

    @property
    def Tracestate(self) -> str:  # noqa: N802 - the older spelling, which apps may use
        """See trace_state."""
        return self.trace_state


@dataclass(slots=True)
class RetryException:
    """Why the call before failed."""

    message: str
    stack_trace: str
    source: str = ""


@dataclass(slots=True)
class RetryContext:
    """Which attempt of a function with a retry policy this is."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RetryException | None = None


class Context:
    """Metadata of one invocation."""

    def __init__(
        self,
        invocation_id: str,
        function_name: str,
        function_directory: Path,
        retry_context: RetryContext,
    ) -> None:
        """Describe the invocation."""
        self.invocation_id = invocation_id
        self.function_name = function_name
        self.function_directory = str(function_directory)
        self.thread_local_storage = threading.local()
        self.thread_local_storage.invocation_id = invocation_id
        self.trace_context = TraceContext()
        self.retry_context = retry_context
