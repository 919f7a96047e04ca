"""Tells the log where the real product would do something else."""

from __future__ import annotations

from emulator.core.parity import Deviation
from emulator.log import fields, get_logger

_log = get_logger(__name__)


def warn(subject: str, deviation: Deviation, then: str = "") -> None:
    """One line for an instance or a request, and what comes of it here."""
    _log.warning(
        "%s: %s%s",
        subject,
        deviation.message,
        then,
        extra=fields("parity_warning", rule=str(deviation.rule)),
    )
