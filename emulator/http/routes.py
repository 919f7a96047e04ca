"""Route templates of HTTP functions, as ASP.NET Core reads them. Pure. Source: reference functions-host.md 3.2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote

from emulator.errors import ConfigError
from emulator.http.constraints import holds, is_known, known_names

_ENCODED_SLASH: Final = re.compile("(%2F)", re.IGNORECASE)
_NAME_FORBIDS: Final = frozenset("/{}?*")
_CONSTRAINT_NAME: Final = re.compile(r"[^(]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a template."""

    name: str
    default: str | None
    optional: bool
    catch_all: bool
    constraints: tuple[tuple[str, str], ...]
    """Name and text between the parentheses."""

    @property
    def may_be_absent(self) -> bool:
        """Whether its segment may be left out at the end of an address."""
        return self.optional or self.catch_all or self.default is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A compiled template. Group pN of the pattern holds parameter N."""

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
        for index, parameter in enumerate(self.parameters):
            value = found[f"p{index}"] or parameter.default
            if not value:
                continue
            if not all(holds(name, argument, value) for name, argument in parameter.constraints):
                return None
            values[parameter.name] = value
        return values


def decode_segments(raw: str) -> str:
    """A raw path as templates match it: decoded once, but for encoded slashes, which separate nothing."""
    parts = _ENCODED_SLASH.split(raw.strip("/"))
    return "".join(
        part if index % 2 else unquote(part, errors="replace") for index, part in enumerate(parts)
    )


def compile_template(text: str, where: str) -> Template:
    """Compile a template.

    Args:
        where: the function it belongs to, for messages.

    Raises:
        ConfigError: it is malformed; says where and how.
    """
    return _Compiler(text, where).compile()


_Section = str | Parameter
"""A literal or a parameter of a segment."""


class _Compiler:
    """Reads one template; knows its text for messages."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where

    def compile(self) -> Template:
        trimmed = self._text.strip("/")
        if "//" in trimmed:
            self._refuse(
                "has two slashes in a row; remove one (host.json's routePrefix is put before the route)"
            )
        segments = [self._sections(part) for part in trimmed.split("/")] if trimmed else []
        self._check(segments)
        parameters = tuple(s for segment in segments for s in segment if isinstance(s, Parameter))
        names = [parameter.name.lower() for parameter in parameters]
        for parameter in parameters:
            if names.count(parameter.name.lower()) > 1:
                self._refuse(f"names the parameter {parameter.name!r} more than once; rename one")
        return Template(
            text=self._text,
            pattern=re.compile(_pattern(segments), re.IGNORECASE | re.DOTALL),
            parameters=parameters,
        )

    def _check(self, segments: Sequence[Sequence[_Section]]) -> None:
        for index, sections in enumerate(segments):
            for position, section in enumerate(sections):
                if not isinstance(section, Parameter):
                    continue
                before = sections[position - 1] if position else ""
                if isinstance(before, Parameter):
                    self._refuse("has two parameters side by side; put a literal between them")
                if section.catch_all and (index < len(segments) - 1 or len(sections) > 1):
                    self._refuse("has a {*...} that is not the whole last segment")
                if section.optional and len(sections) > 1:
                    is_last = position == len(sections) - 1
                    if not is_last or not before.endswith("."):
                        self._refuse(
                            "has an optional parameter beside other text; only a period may stand before it, and "
                            "nothing behind it"
                        )

    def _sections(self, segment: str) -> list[_Section]:
        """Literals and parameters of a segment; doubled braces stand for single ones."""
        sections: list[_Section] = []
        literal, index = "", 0
        while index < len(segment):
            if segment.startswith(("{{", "}}"), index):
                literal, index = literal + segment[index], index + 2
            elif segment[index] == "{":
                end = self._closing(segment, index)
                sections += [literal] if literal else []
                sections.append(self._parameter(segment[index + 1 : end]))
                literal, index = "", end + 1
            elif segment[index] in "}?":
                self._refuse(f"has a {segment[index]} outside of a parameter")
            else:
                literal, index = literal + segment[index], index + 1
        return [*sections, literal] if literal else sections

    def _closing(self, segment: str, start: int) -> int:
        """Where the brace closes that opens at `start`; doubled ones within are part of the parameter."""
        index = start + 1
        while index < len(segment):
            if segment.startswith(("{{", "}}"), index) and "(" in segment[start:index]:
                index += 2
            elif segment[index] == "}":
                return index
            else:
                index += 1
        return self._refuse("has a { without its }")

    def _parameter(self, part: str) -> Parameter:
        stars = len(part) - len(part.lstrip("*"))
        optional = part.endswith("?")
        inner = part[stars : -1 if optional else None]
        name = re.split("[:=]", inner, maxsplit=1)[0]
        if not name or stars > 2 or _NAME_FORBIDS & set(name):
            self._refuse(f"has the unreadable parameter {{{part}}}")
        *items, default = _split_rest(inner[len(name) :])
        if stars and optional:
            self._refuse(f"has a {{*...}} that is optional, which it is anyway: {{{part}}}")
        if optional and default is not None:
            self._refuse(f"has an optional parameter with a default: {{{part}}}; remove one")
        return Parameter(
            name=name,
            default=default,
            optional=optional,
            catch_all=stars > 0,
            constraints=tuple(self._constraint(item) for item in items if item),
        )

    def _constraint(self, item: str) -> tuple[str, str]:
        name = _CONSTRAINT_NAME.match(item)
        word = name[0] if name else ""
        argument = item[len(word) + 1 : -1].replace("{{", "{").replace("}}", "}")
        if not is_known(word):
            self._refuse(f"has the unknown constraint {item!r}; known ones are {known_names()}")
        if word.lower() == "regex":
            self._check_expression(argument)
        return word, argument

    def _check_expression(self, argument: str) -> None:
        try:
            re.compile(argument)
        except re.error as error:
            self._refuse(f"has the regular expression {argument!r}, which is none: {error}")

    def _refuse(self, fault: str) -> NoReturn:
        raise ConfigError(f"{self._where}: the route {self._text!r} {fault}")


def _split_rest(rest: str) -> Iterator[str | None]:
    """The constraints behind a parameter's name, then its default or None.

    A parenthesis is closed by the `)` that stands before `:`, `=` or the end, so that expressions may hold others.
    """
    while rest.startswith(":"):
        match = re.match(r":[^:=(]*(?:\(.*?\)(?=[:=]|$))?", rest, re.DOTALL)
        end = match.end() if match else len(rest)
        yield rest[1:end]
        rest = rest[end:]
    yield rest[1:] if rest.startswith("=") else None


def _pattern(segments: Sequence[Sequence[_Section]]) -> str:
    """The regular expression; segments at the end that may be absent are optional together with their slash."""
    pattern, number = "", 0
    for index, sections in enumerate(segments):
        body = ""
        for section in sections:
            if isinstance(section, str):
                body += re.escape(section)
                continue
            group = f"(?P<p{number}>{'.*' if section.catch_all else '[^/]+'})"
            number += 1
            if section.optional and len(sections) > 1:
                body = f"{body.removesuffix(re.escape('.'))}(?:{re.escape('.')}{group})?"
            else:
                body += group
        slash = "/" if index else ""
        absent = all(_may_be_absent(later) for later in segments[index:])
        pattern += f"(?:{slash}{body})?" if absent else f"{slash}{body}"
    return pattern


def _may_be_absent(sections: Sequence[_Section]) -> bool:
    first = sections[0]
    return len(sections) == 1 and isinstance(first, Parameter) and first.may_be_absent
