"""Filters that people write in OData: `PartitionKey eq 'a' and (Age gt 5 or Member eq true)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from emulator.core.instant import Instant
from emulator.errors import DecodeError
from emulator.storage.ports import AllOf, AnyOf, Comparison, Condition, Filter, Int64, Value

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<bracket>[()])|(?P<text>(?:datetime|guid)?'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?L?)(?![\w.])|(?P<word>[A-Za-z_]\w*))"
)
_HELP: Final = "write COLUMN eq|gt|ge|lt|le VALUE, joined by and, or and parentheses"


class FilterError(ValueError):
    """The text is no filter that is understood."""


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        FilterError: it cannot be read; says where it ends to make sense.
    """
    return _Parser(text).whole()


class _Parser:
    """`or` binds weaker than `and`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._at = 0

    def whole(self) -> Filter:
        found = self._any()
        if self._at < len(self._tokens):
            raise self._wrong()
        return found

    def _split(self) -> Iterator[str]:
        text, position = self._text.rstrip(), 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise FilterError(
                    f"the filter {text!r} cannot be read at {text[position:]!r}; {_HELP}"
                )
            position = match.end()
            yield match[0].strip()

    def _any(self) -> Filter:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all(self) -> Filter:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _term(self) -> Filter:
        if self._take("("):
            found = self._any()
            if not self._take(")"):
                raise self._wrong()
            return found
        column, operator, literal = (self._next() for _ in range(3))
        if not column.isidentifier() or operator.lower() not in {str(op) for op in Comparison}:
            raise self._wrong()
        return Condition(column, Comparison(operator.lower()), self._value(literal))

    def _value(self, literal: str) -> Value:
        kind, quote, rest = literal.partition("'")
        if quote:
            content = rest[:-1].replace("''", "'")
            return self._time(content) if kind == "datetime" else content
        if literal.lower() in ("true", "false"):
            return literal.lower() == "true"
        if literal.endswith("L"):
            return Int64(literal[:-1])
        try:
            return int(literal) if literal.lstrip("-").isdigit() else float(literal)
        except ValueError as error:
            raise self._wrong() from error

    def _time(self, content: str) -> Instant:
        try:
            return Instant.parse(content)
        except DecodeError as error:
            raise FilterError(f"the filter {self._text!r}: {error}") from error

    def _take(self, word: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at].lower() == word
        self._at += found
        return found

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise self._wrong()
        self._at += 1
        return self._tokens[self._at - 1]

    def _wrong(self) -> FilterError:
        rest = " ".join(self._tokens[max(self._at - 1, 0) :])
        return FilterError(f"the filter {self._text!r} cannot be read at {rest!r}; {_HELP}")
