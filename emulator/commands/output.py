"""What commands print: tables and colours on a terminal, JSON for scripts, trouble on standard error."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from emulator.core.instant import Instant
from emulator.core.json_text import compact, indented

WIDTH_WITHOUT_TERMINAL: Final = 200
STATUS_COLOURS: Final = {
    "Completed": "green",
    "Failed": "red",
    "Terminated": "red",
    "Canceled": "red",
    "Running": "cyan",
    "ContinuedAsNew": "cyan",
    "Pending": "yellow",
    "Suspended": "yellow",
}


class Output:
    """Where one command prints."""

    def __init__(self, *, as_json: bool) -> None:
        """Choose between people and scripts."""
        self.as_json = as_json
        self.console = _console(stderr=False)
        self._errors = _console(stderr=True)

    def result(self, value: object, text: RenderableType | None = None) -> None:
        """The answer: `value` as JSON for scripts, else the text, or the value as indented JSON if there is none."""
        if self.as_json:
            self.plain(compact(value))
        elif isinstance(text, str):
            self.plain(text)
        elif text is None:
            self.plain(indented(value))
        else:
            self.console.print(text)

    def plain(self, text: str, *, end: str = "\n") -> None:
        """Text as it is, however wide."""
        typer.echo(f"{text}{end}", nl=False)

    def note(self, text: str) -> None:
        """Something beside the answer; scripts do not read it."""
        self._errors.print(Text(text, style="yellow"), soft_wrap=True)

    @contextmanager
    def progress(self, what: str) -> Generator[Callable[[int], None]]:
        """A bar on a terminal while something long runs; call it with how much is done."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}"),
            TimeElapsedColumn(),
        )
        bar = Progress(*columns, console=self._errors, transient=True)
        with bar:
            task = bar.add_task(what, total=None)

            def update(done: int) -> None:
                bar.update(task, completed=done)

            yield update


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def table(headings: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """A table without frames; what does not fit is folded, never cut off."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STATUS_COLOURS.get(status, ""))


def age(since: Instant, now: Instant) -> str:
    """`5s`, `12m`, `3h`, `2d`: how long ago, cut to its largest unit."""
    return span(now.minus(since))


def span(length: timedelta) -> str:
    """A length of time, cut to its largest unit."""
    seconds = max(0, int(length.total_seconds()))
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def second(instant: Instant) -> str:
    """A time in whole seconds."""
    return f"{instant.to_datetime():%Y-%m-%dT%H:%M:%SZ}"


def shortened(text: str | None, length: int = 60) -> str:
    """One line of a text, cut to a length."""
    line = " ".join((text or "").split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
