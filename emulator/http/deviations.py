"""Requests that the real product would answer otherwise: told in the log, or refused under `--parity strict`."""

from __future__ import annotations

from typing import Final

from emulator.core.parity import Deviation
from emulator.engine.parity_log import warn
from emulator.errors import InvalidRequestError

SUBJECTS_MAX: Final = 1000
"""So many subjects are remembered as told; then all are forgotten, and told again. Ours."""


class Deviations:
    """What one host tells of requests."""

    def __init__(self, *, is_strict: bool) -> None:
        """Nothing has been told yet."""
        self._is_strict = is_strict
        self._told: set[tuple[str, str]] = set()

    def meet(self, request: str, deviation: Deviation, *, about: str | None = None) -> None:
        """Tell of a request's deviation.

        Args:
            request: its method and path.
            about: what it is about, if it is told once for that and not for each request: a client that polls would
                fill the log.

        Raises:
            InvalidRequestError: the host is strict; with the rule's text.
        """
        self.refuse_if_strict(request, deviation)
        if about is None or self._is_new(deviation.rule, about):
            warn(request, deviation)

    def refuse_if_strict(self, request: str, deviation: Deviation) -> None:
        """Nothing, if whoever carries the request out tells of it.

        Raises:
            InvalidRequestError: the host is strict; with the rule's text.
        """
        if self._is_strict:
            warn(request, deviation, " It is refused under --parity strict.")
            raise InvalidRequestError(deviation.message)

    def _is_new(self, rule: str, about: str) -> bool:
        subject = (rule, about)
        if subject in self._told:
            return False
        if len(self._told) >= SUBJECTS_MAX:
            self._told.clear()
        self._told.add(subject)
        return True
