"""How the management API answers where its old release and today's differ.

Apps that bind with the names of 2018 were written against extension 1.6 to 1.8, and the documents of that time describe
it. They get its answers on the scheme of that time, /admin/extensions/DurableTaskExtension. Everybody else, the app's
SDK included, gets today's. Source: reference http-api.md 1.15; docs/decisions/ says what of it was left out, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way to answer.

    Attributes:
        failed_status: status code of an instance that has failed, if the request does not ask for 500.
        page_rows: rows of a page if the request does not say how many; None for all, which are sent as they are read.
        takes_empty_events: whether an event without a body is one with null as its content.
        unknown_operation: the message that an unknown operation on an instance is refused with, code 400; None for
            an empty 404.
        links_rewind: whether the answer to a start has rewindPostUri.
    """

    failed_status: int
    page_rows: int | None
    takes_empty_events: bool
    unknown_operation: str | None
    links_rewind: bool


TODAY: Final = Dialect(
    failed_status=200,
    page_rows=100,
    takes_empty_events=False,
    unknown_operation=None,
    links_rewind=False,
)
OF_2018: Final = Dialect(
    failed_status=500,
    page_rows=None,
    takes_empty_events=True,
    unknown_operation="No such API",
    links_rewind=True,
)
