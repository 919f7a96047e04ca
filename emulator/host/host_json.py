"""host.json and other JSON that people write by hand: lenient reading, and typed access with good messages.

Comments and trailing commas are tolerated, names are compared without case. Source: reference functions-host.md 1.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar, cast

from emulator.errors import ConfigError

S = TypeVar("S", bound=StrEnum)

_COMMENT: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|,(?=\s*[}\]])')
_SPAN: Final = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?")
_WORDS: Final = {"Extra data": "the JSON ends before this; delete what follows"}
"""What the parser of the standard library says too shortly."""
MISSING: Final = object()


def read_json_text(text: str, where: str) -> object:
    """Parse JSON with comments and trailing commas.

    Raises:
        ConfigError: it is no JSON; names file, line and column, and shows the line.
    """
    plain = _TRAILING_COMMA.sub(_keep_strings, _COMMENT.sub(_blank, text))
    try:
        return cast(object, json.loads(plain))
    except json.JSONDecodeError as error:
        lines = text.splitlines() or [""]
        line = lines[min(error.lineno, len(lines)) - 1].strip()
        raise ConfigError(
            f"{where}, line {error.lineno}, column {error.colno}: {_WORDS.get(error.msg, error.msg)}. "
            f"The line is: {line[:80]}"
        ) from error


def read_json_file(path: Path) -> object:
    """Read a UTF-8 file of JSON with comments and trailing commas.

    Raises:
        ConfigError: it cannot be read or is no JSON.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}. It must be a UTF-8 text file"
        ) from error
    return read_json_text(text, str(path))


def json_object(value: object, where: str) -> Mapping[str, object]:
    """A value that must be an object.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, dict):
        shown = json.dumps(value)[:60]
        raise ConfigError(f"{where} must be a JSON object, in braces, not {shown}")
    return cast("Mapping[str, object]", value)


def _blank(match: re.Match[str]) -> str:
    """Keep strings; put blanks in the place of a comment, so that positions stay right."""
    token = match[0]
    return token if token[0] == '"' else re.sub(r"[^\n]", " ", token)


def _keep_strings(match: re.Match[str]) -> str:
    return match[0] if match[0][0] == '"' else " "


OVERRIDE_PREFIX: Final = "AzureFunctionsJobHost__"
"""What the names of settings begin with that override members of host.json."""


class HostJson:
    """A parsed host.json, with the settings that override its members."""

    def __init__(
        self, content: Mapping[str, object], overrides: Mapping[str, str], where: str
    ) -> None:
        """Wrap the content.

        Args:
            overrides: values by lower-case dotted path; they win.
            where: the file, for messages.
        """
        self._content = content
        self._overrides = overrides
        self.where = where

    def place(self, path: str) -> str:
        """Where a member's value stands, for messages: file and member, or the setting that overrides it."""
        if path.lower() in self._overrides:
            return f"{OVERRIDE_PREFIX}{path.replace('.', '__')}"
        return f"{self.where}: {path}"

    def has(self, path: str) -> bool:
        """Whether a member is there."""
        return self._get(path) is not MISSING

    def text(self, path: str) -> str | None:
        """A text; None if it is missing or null.

        Raises:
            ConfigError: it is an object or a list.
        """
        value = self._get(path)
        if value is MISSING or value is None:
            return None
        if isinstance(value, dict | list):
            raise self._wrong(path, cast(object, value), "text")
        return str(value)

    def flag(self, path: str, *, default: bool) -> bool:
        """True or false.

        Raises:
            ConfigError: it is neither.
        """
        value = self._get(path)
        if value is MISSING or value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise self._wrong(path, value, "true or false")

    def number(self, path: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number within limits.

        Raises:
            ConfigError: it is none, or beyond them.
        """
        value = self._get(path)
        if value is MISSING or value is None:
            return default
        allowed = (
            f"a whole number from {low} to {high}" if high else f"a whole number of at least {low}"
        )
        if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value)):
            raise self._wrong(path, value, allowed)
        number = int(str(value))
        if number < low or (high is not None and number > high):
            raise self._wrong(path, value, allowed)
        return number

    def span(self, path: str, default: timedelta, low_s: float) -> timedelta:
        """A duration written `[d.]hh:mm:ss[.fffffff]`.

        Raises:
            ConfigError: it is none, or shorter than `low_s` seconds.
        """
        value = self._get(path)
        if value is MISSING or value is None:
            return default
        span = parse_span(str(value))
        if span is None or span < timedelta(seconds=low_s):
            raise self._wrong(path, value, f"a duration hh:mm:ss of at least {low_s:g} seconds")
        return span

    def timeout(self, path: str, default: timedelta | None) -> timedelta | None:
        """A duration, or None for `-1`.

        Raises:
            ConfigError: it is neither.
        """
        value = self._get(path)
        if value is MISSING or value is None:
            return default
        if str(value) in ("-1", "-00:00:01"):
            return None
        return self.span(path, timedelta(0), 1)

    def milliseconds(self, path: str, default: timedelta) -> timedelta:
        """A duration written as a number of milliseconds."""
        return timedelta(milliseconds=self.number(path, default // timedelta(milliseconds=1), 0))

    def choice(self, path: str, default: S) -> S:
        """One of a few words, compared without case.

        Raises:
            ConfigError: it is none of them.
        """
        value = self.text(path)
        return default if value is None else self._word(path, value, type(default))

    def choices(self, path: str, words: type[S]) -> Mapping[str, S]:
        """An object whose members are each one of a few words.

        Raises:
            ConfigError: it is no object, or a member is none of them.
        """
        return {
            name: self._word(f"{path}.{name}", value, words)
            for name, value in self.texts(path).items()
        }

    def _word(self, path: str, value: str, words: type[S]) -> S:
        for word in words:
            if word.value.lower() == value.lower():
                return word
        raise self._wrong(path, value, " or ".join(str(word) for word in words))

    def texts(self, path: str) -> Mapping[str, str]:
        """An object whose members are texts; empty if it is missing.

        Raises:
            ConfigError: it is no object.
        """
        value = self._get(path)
        found: dict[str, str] = {}
        if isinstance(value, dict):
            found.update({k: str(v) for k, v in cast("dict[str, object]", value).items()})
        elif value is not MISSING and value is not None:
            raise self._wrong(path, value, "an object, in braces")
        prefix = f"{path.lower()}."
        for name, text in self._overrides.items():
            if name.startswith(prefix):
                found[name[len(prefix) :]] = text
        return found

    def names(self, path: str) -> tuple[str, ...] | None:
        """A list of texts; None if it is missing.

        Raises:
            ConfigError: it is no list.
        """
        listed = {k: v for k, v in self._overrides.items() if k.startswith(f"{path.lower()}.")}
        if listed:
            return tuple(listed[key] for key in sorted(listed))
        value = self._get(path)
        if value is MISSING or value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong(path, value, "a list of names")
        return tuple(str(item) for item in cast("list[object]", value))

    def _get(self, path: str) -> object:
        if path.lower() in self._overrides:
            return self._overrides[path.lower()]
        value = cast(object, self._content)
        walked: list[str] = []
        for step in path.split("."):
            if not isinstance(value, dict):
                raise self._wrong(".".join(walked), value, "an object, in braces")
            walked.append(step)
            members = cast("dict[str, object]", value)
            value = next((v for k, v in members.items() if k.lower() == step.lower()), MISSING)
            if value is MISSING or value is None:
                return value
        return value

    def _wrong(self, path: str, value: object, allowed: str) -> ConfigError:
        shown = json.dumps(value)[:60]
        return ConfigError(
            f"{self.place(path)} is {shown}, but it must be {allowed}; change or remove it"
        )


def parse_span(text: str) -> timedelta | None:
    """A .NET TimeSpan; None if it is none."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds, fraction = match.groups()
    return timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "0").ljust(7, "0")) // 10,
    )
