"""Inline constraints of route parameters, as ASP.NET Core checks them. Pure.

Source: reference functions-host.md 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

Check = Callable[[str, str], bool]
"""From a value and the text between the constraint's parentheses to whether it holds."""

_INT: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)")
_DOUBLE: Final = re.compile(
    rf"(?:{_DECIMAL.pattern})(?:e[+-]?[0-9]+)?|[+-]?infinity|nan", re.IGNORECASE
)
_HEX: Final = "[0-9a-f]"
_DASHED: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_GUID: Final = re.compile(rf"{_HEX}{{32}}|{_DASHED}|\({_DASHED}\)|{{{_DASHED}}}", re.IGNORECASE)
_TIMES: Final = (
    "%m-%d-%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%m-%d-%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%d %I:%M%p",
    "%m/%d/%Y %I:%M%p",
    "%m/%d/%Y %H:%M:%S",
    "%d %b %Y",
    "%d %B %Y",
    "%B %d %Y",
)
"""What DateTime.Parse takes under the invariant culture, beside ISO 8601: the forms that addresses may hold."""


def is_known(name: str) -> bool:
    """Whether a constraint exists; names are compared without case."""
    return name.lower() in _CHECKS


def known_names() -> str:
    """All constraints, for messages."""
    return ", ".join(sorted(_CHECKS))


def holds(name: str, argument: str, value: str) -> bool:
    """Whether a value fulfils a constraint that exists."""
    try:
        return _CHECKS[name.lower()](value, argument)
    except ValueError:
        return False


def _fits(bits: int) -> Check:
    limit = 1 << (bits - 1)
    return lambda value, _: bool(_INT.fullmatch(value)) and -limit <= int(value) < limit


def _long(value: str) -> int:
    if not _fits(64)(value, ""):
        raise ValueError(value)
    return int(value)


def _two(argument: str) -> tuple[int, int]:
    """`n` or `n,m`."""
    first, _, last = argument.partition(",")
    return int(first), int(last or first)


def _length(value: str, argument: str) -> bool:
    low, high = _two(argument)
    return low <= len(value) <= high


def _range(value: str, argument: str) -> bool:
    low, high = _two(argument)
    return low <= _long(value) <= high


def _is_time(value: str, _: str) -> bool:
    return _is_iso(value) or any(_has_form(value, form) for form in _TIMES)


def _is_iso(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return not value.isdigit()


def _has_form(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


_CHECKS: Final[Mapping[str, Check]] = {
    "int": _fits(32),
    "long": _fits(64),
    "bool": lambda value, _: value.lower() in ("true", "false"),
    "datetime": _is_time,
    "decimal": lambda value, _: bool(_DECIMAL.fullmatch(value)),
    "double": lambda value, _: bool(_DOUBLE.fullmatch(value)),
    "float": lambda value, _: bool(_DOUBLE.fullmatch(value)),
    "guid": lambda value, _: bool(_GUID.fullmatch(value)),
    "alpha": lambda value, _: bool(re.fullmatch(r"[A-Za-z]*", value)),
    "length": _length,
    "minlength": lambda value, argument: len(value) >= int(argument),
    "maxlength": lambda value, argument: len(value) <= int(argument),
    "min": lambda value, argument: _long(value) >= int(argument),
    "max": lambda value, argument: _long(value) <= int(argument),
    "range": _range,
    "regex": lambda value, argument: bool(re.search(argument, value, re.IGNORECASE)),
    "required": lambda value, _: bool(value),
}
