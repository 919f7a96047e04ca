"""Binding expressions: `{name}` in a path, queue name or key stands for a value of the call.

Source: reference functions-host.md 4.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from emulator.core.json_text import compact
from emulator.host.binding_api import Invocation, Services

_EXPRESSION: Final = re.compile(r"\{([^{}]+)\}")
_DATE_PART: Final = re.compile(r"yyyy|yy|MM|dd|HH|mm|ss|f{1,6}")
_DEFAULT_DATE: Final = "yyyy-MM-ddTHH-mm-ssZ"
_DATE_PARTS: Final = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
}


class ExpressionError(ValueError):
    """An expression that stands for nothing in this call."""


def expand(template: str, invocation: Invocation, services: Services) -> str:
    """A template with the values of one call in it.

    Raises:
        ExpressionError: a name is unknown; lists the known ones.
    """
    return _EXPRESSION.sub(lambda match: _value(match[1], invocation, services), template)


def _value(expression: str, invocation: Invocation, services: Services) -> str:
    name, _, format_ = expression.partition(":")
    match name.strip().lower():
        case "rand-guid" | "sys.randguid":
            return _guid(services.guid(), format_)
        case "datetime":
            return _date(services.now().to_datetime(), format_ or _DEFAULT_DATE)
        case "sys.utcnow":
            return _date(services.now().to_datetime(), format_ or _DEFAULT_DATE)
        case "sys.methodname":
            return invocation.function
        case _:
            return _text(_found(expression, invocation))


def _found(expression: str, invocation: Invocation) -> object:
    """Follow a dotted path through what the trigger made known; names are compared without case."""
    value: object = dict(invocation.data)
    for step in expression.strip().split("."):
        members = _members(value)
        named = {key.lower(): key for key in members}
        if step.lower() not in named:
            known = ", ".join(sorted(invocation.data)) or "none"
            raise ExpressionError(
                f"the binding expression {{{expression}}} has no value in this call of {invocation.function}: its "
                f"trigger makes known {known}; besides there are rand-guid, datetime and sys.utcnow"
            )
        value = members[named[step.lower()]]
    return value


def _members(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case _:
            return compact(value)


def _guid(text: str, format_: str) -> str:
    match format_.upper():
        case "N":
            return UUID(text).hex
        case "B":
            return f"{{{text}}}"
        case _:
            return text


def _date(moment: datetime, format_: str) -> str:
    """The usual parts of a .NET date format; everything else stands for itself."""

    def part(match: re.Match[str]) -> str:
        if match[0].startswith("f"):
            return f"{moment.microsecond:06d}"[: len(match[0])]
        return moment.strftime(_DATE_PARTS[match[0]])

    return _DATE_PART.sub(part, format_)
