"""Log events: a closed list of names, each with fixed text and the rest as fields."""

from __future__ import annotations

import logging
from typing import Final

ROOT: Final = "emulator"

EVENTS: Final = frozenset(
    {
        "host_started",
        "host_stopping",
        "host_stopped",
        "worker_ended",
        "function_loaded",
        "function_failed",
        "function_executing",
        "function_executed",
        "function_user_error",
        "function_retried",
        "timer_scheduled",
        "timer_unscheduled_run",
        "trigger_waiting",
        "trigger_poisoned",
        "trigger_failed",
        "listener_opened",
        "partition_claimed",
        "partition_stolen",
        "partition_released",
        "partition_lost",
        "partitions_leased_otherwise",
        "lease_unreadable",
        "app_lease_acquired",
        "app_lease_waiting",
        "app_lease_lost",
        "messages_received",
        "message_sent",
        "message_discarded",
        "message_deferred",
        "message_abandoned",
        "message_unreadable",
        "history_loaded",
        "history_appended",
        "history_unreadable",
        "split_brain",
        "version_rejected",
        "instance_mended",
        "episode_failed",
        "orchestration_ended",
        "operation_failed",
        "parity_warning",
        "files_not_watched",
        "activity_abandoned",
        "storage_unreachable",
        "storage_back",
        "azurite_started",
        "azurite_stopped",
        "request_failed",
        "output_not_sent",
    }
)


def get_logger(name: str) -> logging.Logger:
    """The logger of a module, below `emulator`."""
    return logging.getLogger(name if name.startswith(ROOT) else f"{ROOT}.{name}")


def tell(logger: logging.Logger, text: str, *values: object, extra: dict[str, object]) -> None:
    """Log at INFO without looking for the line of code that asked for it.

    That takes a third of the time of a line, and there are two for each call of user code.
    """
    if logger.isEnabledFor(logging.INFO):
        record = logger.makeRecord(
            logger.name, logging.INFO, __file__, 0, text, values, None, extra=extra
        )
        logger.handle(record)


def fields(event: str, **values: object) -> dict[str, object]:
    """The `extra` of a log call: the event's name and its fields.

    Raises:
        KeyError: the event is not in the list above.
    """
    if event not in EVENTS:
        raise KeyError(event)
    return {"event": event, **values}
