"""Route templates of HTTP functions, as ASP.NET Core reads them. Pure. Source: reference functions-host.md 3.2."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from emulator.errors import ConfigError

_PARAMETER: Final = re.compile(
    r"(?P<stars>\*{0,2})(?P<name>[A-Za-z_][\w.\-]*)(?P<rest>(?::[^=?]*(?:\([^)]*\))?)*)"
    r"(?:=(?P<default>[^?]*))?(?P<optional>\?)?"
)
_CONSTRAINT: Final = re.compile(r"(?P<name>\w+)(?:\((?P<arguments>.*)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a template."""

    name: str
    group: str
    default: str | None
    optional: bool
    catch_all: bool
    constraints: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A compiled template."""

    text: str
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Parameter values of a decoded path (no slash at either end), None if it does not match.

        Literals are compared without case; optional parameters that are not there are absent.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for parameter in self.parameters:
            value = found[parameter.group]
            if not value:
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
                continue
            if not all(_holds(name, arguments, value) for name, arguments in parameter.constraints):
                return None
            values[parameter.name] = value
        return values


def compile_template(text: str, where: str) -> Template:
    """Compile a template.

    Args:
        where: the function it belongs to, for messages.

    Raises:
        ConfigError: it is malformed; says where and how.
    """
    trimmed = text.strip("/")
    if "//" in trimmed:
        raise ConfigError(
            f"{where}: the route {text!r} has two slashes in a row; remove one (host.json's routePrefix is put "
            "before the route)"
        )
    parameters: list[Parameter] = []
    pattern = ""
    segments = trimmed.split("/") if trimmed else []
    for index, segment in enumerate(segments):
        compiled, own = _segment(segment, len(parameters), text, where)
        parameters.extend(own)
        catch_all = any(parameter.catch_all for parameter in own)
        if catch_all and index != len(segments) - 1:
            raise ConfigError(f"{where}: in the route {text!r}, {{*...}} must be the last part")
        slash = "/" if index else ""
        leaves_out = own and (own[-1].optional or own[-1].default is not None or catch_all)
        pattern += f"(?:{slash}{compiled})?" if leaves_out else f"{slash}{compiled}"
    return Template(
        text=text,
        pattern=re.compile(pattern, re.IGNORECASE | re.DOTALL),
        parameters=tuple(parameters),
    )


def _segment(segment: str, first: int, text: str, where: str) -> tuple[str, list[Parameter]]:
    pattern = ""
    parameters: list[Parameter] = []
    for kind, part in _pieces(segment, text, where):
        if kind == "literal":
            pattern += re.escape(part)
            continue
        parameter = _parameter(part, f"p{first + len(parameters)}", text, where)
        if any(other.name.lower() == parameter.name.lower() for other in parameters):
            raise ConfigError(f"{where}: the route {text!r} names {parameter.name!r} twice")
        parameters.append(parameter)
        body = ".*" if parameter.catch_all else "[^/]+?" if _is_mixed(segment) else "[^/]+"
        pattern += f"(?P<{parameter.group}>{body})"
    return pattern, parameters


def _is_mixed(segment: str) -> bool:
    return not (segment.startswith("{") and segment.endswith("}") and segment.count("{") == 1)


def _pieces(segment: str, text: str, where: str) -> list[tuple[str, str]]:
    """Literals and parameters of a segment; doubled braces stand for single ones."""
    pieces: list[tuple[str, str]] = []
    literal = ""
    index = 0
    while index < len(segment):
        if segment.startswith(("{{", "}}"), index):
            literal += segment[index]
            index += 2
        elif segment[index] == "{":
            end = _closing(segment, index)
            if end < 0:
                raise ConfigError(f"{where}: the route {text!r} has a {{ without its }}")
            if literal:
                pieces.append(("literal", literal))
                literal = ""
            pieces.append(("parameter", segment[index + 1 : end]))
            index = end + 1
        elif segment[index] == "}":
            raise ConfigError(f"{where}: the route {text!r} has a }} without its {{")
        else:
            literal += segment[index]
            index += 1
    if literal:
        pieces.append(("literal", literal))
    return pieces


def _closing(segment: str, start: int) -> int:
    index = start + 1
    while index < len(segment):
        if segment.startswith(("{{", "}}"), index) and "(" in segment[start:index]:
            index += 2
        elif segment[index] == "}":
            return index
        else:
            index += 1
    return -1


def _parameter(part: str, group: str, text: str, where: str) -> Parameter:
    match = _PARAMETER.fullmatch(part)
    if match is None:
        raise ConfigError(f"{where}: the route {text!r} has the unreadable parameter {{{part}}}")
    constraints: list[tuple[str, str]] = []
    for item in filter(None, re.split(r":(?![^(]*\))", match["rest"] or "")):
        found = _CONSTRAINT.fullmatch(item)
        if found is None or found["name"].lower() not in _CONSTRAINTS:
            known = ", ".join(sorted(_CONSTRAINTS))
            raise ConfigError(
                f"{where}: the route {text!r} has the unknown constraint {item!r}; known ones are {known}"
            )
        arguments = (found["arguments"] or "").replace("{{", "{").replace("}}", "}")
        constraints.append((found["name"].lower(), arguments))
    return Parameter(
        name=match["name"],
        group=group,
        default=match["default"],
        optional=match["optional"] is not None,
        catch_all=bool(match["stars"]),
        constraints=tuple(constraints),
    )


# --- constraints --------------------------------------------------------------------------------------------------


def _holds(name: str, arguments: str, value: str) -> bool:
    try:
        return _CONSTRAINTS[name](
            value, [a.strip() for a in arguments.split(",")] if arguments else []
        )
    except ValueError:
        return False


def _is_guid(value: str) -> bool:
    UUID(value)
    return True


def _is_number(value: str) -> bool:
    float(value)
    return True


def _is_time(value: str) -> bool:
    return re.match(r"\d{1,4}[-/]\d{1,2}[-/]\d{1,4}", value) is not None


def _length(value: str, arguments: list[str]) -> bool:
    low = int(arguments[0])
    return low <= len(value) <= int(arguments[-1])


_CONSTRAINTS: Final[Mapping[str, Callable[[str, list[str]], bool]]] = {
    "int": lambda value, _: re.fullmatch(r"[+-]?\d+", value) is not None,
    "long": lambda value, _: re.fullmatch(r"[+-]?\d+", value) is not None,
    "bool": lambda value, _: value.lower() in ("true", "false"),
    "datetime": lambda value, _: _is_time(value),
    "decimal": lambda value, _: _is_number(value),
    "double": lambda value, _: _is_number(value),
    "float": lambda value, _: _is_number(value),
    "guid": lambda value, _: _is_guid(value),
    "alpha": lambda value, _: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "length": _length,
    "minlength": lambda value, arguments: len(value) >= int(arguments[0]),
    "maxlength": lambda value, arguments: len(value) <= int(arguments[0]),
    "min": lambda value, arguments: int(value) >= int(arguments[0]),
    "max": lambda value, arguments: int(value) <= int(arguments[0]),
    "range": lambda value, arguments: int(arguments[0]) <= int(value) <= int(arguments[1]),
    "regex": lambda value, arguments: (
        re.search(",".join(arguments), value, re.IGNORECASE) is not None
    ),
    "required": lambda value, _: bool(value),
}
