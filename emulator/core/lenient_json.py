"""JSON as Newtonsoft.Json reads it: more than the standard allows, and with that library's own error texts. Pure.

Accepted beside strict JSON: single quotes, names without quotes, comments, hexadecimal and octal numbers, NaN and the
infinities, `undefined`, a comma before a closing bracket, line feeds in strings. Dates stay text.
Source: Newtonsoft.Json 13 (JsonTextReader, JsonPosition, JToken.ReadFrom); recorded texts in the HTTP vectors.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, cast

DEPTH_MAX: Final = 64
"""JsonReader.MaxDepth since version 13."""
_BIG_INTEGER_DIGITS_MAX: Final = 380
_LONG_MAX: Final = 2**63 - 1
_NUMBER_CHARACTERS: Final = frozenset("0123456789+-.abcdefABCDEFxX")
_NUMBER_ENDS: Final = frozenset(",}])/")
_SEPARATORS: Final = frozenset("}],")
_ESCAPES: Final = {
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "f": "\f",
    "r": "\r",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "/": "/",
}
_STRINGS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS: Final = re.compile(r"[^\[\]{}]++")
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class LenientJsonError(ValueError):
    """The text is not JSON even for Newtonsoft.Json; the message is the one that it would give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A value that was read.

    Attributes:
        is_writable: False if it holds `undefined` or is a comment: the real product fails to write those, or writes
            what is no JSON.
    """

    value: object
    is_writable: bool = True


def parse(text: str) -> Parsed:
    """Read a whole text: one value, and nothing but blanks and comments after it.

    Raises:
        LenientJsonError: it is not one.
    """
    strict = _strict(text)
    if strict is not None:
        return strict
    reader = _Reader(text)
    parsed = reader.first_value()
    reader.expect_end()
    return parsed


def parse_first(text: str) -> Parsed:
    """Read the first value in a text; what follows it is not looked at.

    Raises:
        LenientJsonError: it does not begin with one.
    """
    return _strict(text) or _Reader(text).first_value()


def _strict(text: str) -> Parsed | None:
    """The value of a text that every reader takes the same way; None if the lenient one is needed."""
    if text.count("[") + text.count("{") > DEPTH_MAX and _depth(text) > DEPTH_MAX:
        return None
    try:
        return Parsed(value=cast(object, json.loads(text)))
    except ValueError:
        return None


def _depth(text: str) -> int:
    """How deep containers lie in each other; of a text that is no strict JSON, anything."""
    brackets = _NO_BRACKETS.sub("", _STRINGS.sub("", text))
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


class _Scope:
    """A container that is being read: where it is at, for the path in messages."""

    __slots__ = ("index", "is_array", "name")

    def __init__(self, *, is_array: bool) -> None:
        self.is_array = is_array
        self.index = -1
        self.name = ""

    def text(self) -> str:
        """This step of a path."""
        if self.is_array:
            return f"[{self.index}]"
        if any(c in " '/\"[]()\t\n\r\f\b\\." for c in self.name):
            escaped = self.name.replace("\\", "\\\\").replace("'", "\\'")
            return f"['{escaped}']"
        return self.name


class _Reader:
    """One pass over a text, character by character, as the original does it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._scopes: list[_Scope] = []
        self._fresh = True
        """Whether the innermost container has just been opened: it is not part of the path then."""
        self._started = False
        self._writable = True

    # --- errors -----------------------------------------------------------------------------------------------

    def _error(self, message: str) -> LenientJsonError:
        position = self._at - self._line_start
        line = self._line if self._started or position else 0
        scopes = self._scopes[:-1] if self._fresh else self._scopes
        path = ""
        for scope in scopes:
            step = scope.text()
            path += f".{step}" if path and not step.startswith("[") else step
        ended = message.strip()
        ended = ended if ended.endswith(".") else f"{ended}."
        return LenientJsonError(f"{ended} Path '{path}', line {line}, position {position}.")

    def _peek(self) -> str:
        """The character here; NUL at the end, as in the original's buffer."""
        return self._text[self._at] if self._at < len(self._text) else "\0"

    @property
    def _ended(self) -> bool:
        return self._at >= len(self._text)

    # --- the whole --------------------------------------------------------------------------------------------

    def first_value(self) -> Parsed:
        """Read one value."""
        self._skip_blanks()
        if self._ended:
            raise self._error("Error reading JToken from JsonReader.")
        if self._peek() == "/":
            self._comment()
            return Parsed(value=None, is_writable=False)
        if self._peek() in "],)":
            kind = {"]": "EndArray", ",": "Undefined", ")": "EndConstructor"}[self._peek()]
            raise self._error(f"Error reading JToken from JsonReader. Unexpected token: {kind}.")
        value = self._value()
        return Parsed(value=value, is_writable=self._writable)

    def expect_end(self) -> None:
        """Nothing but blanks and comments may follow; after a comment, one more value may."""
        while True:
            self._skip_blanks()
            if self._ended:
                return
            if self._peek() == "/":
                self._comment()
            elif not self._started:
                self._value()
            else:
                raise self._error(
                    f"Additional text encountered after finished reading JSON content: {self._peek()}."
                )

    def _skip_blanks(self) -> None:
        while not self._ended:
            character = self._text[self._at]
            if character == "\n" or (
                character == "\r" and self._text[self._at + 1 : self._at + 2] != "\n"
            ):
                self._line += 1
                self._line_start = self._at + 1
            elif not (character.isspace() or character == "\0"):
                return
            self._at += 1

    def _comment(self) -> None:
        self._at += 1
        if self._ended:
            raise self._error("Unexpected end while parsing comment.")
        opening = self._peek()
        if opening not in "*/":
            raise self._error(f"Error parsing comment. Expected: *, got {opening}.")
        self._at += 1
        if opening == "/":
            ends = [
                e
                for e in (self._text.find("\n", self._at), self._text.find("\r", self._at))
                if e >= 0
            ]
            self._at = min(ends, default=len(self._text))
            return
        end = self._text.find("*/", self._at)
        body = self._text[self._at : end if end >= 0 else None]
        if "\n" in body:
            self._line += body.count("\n")
            self._line_start = self._at + body.rindex("\n") + 1
        if end < 0:
            self._at = len(self._text)
            raise self._error("Unexpected end while parsing comment.")
        self._at = end + 2

    # --- values -----------------------------------------------------------------------------------------------

    def _value(self) -> object:
        """Read the value that begins here."""
        character = self._peek()
        match character:
            case '"' | "'":
                self._at += 1
                return self._finished(self._string(character))
            case "{":
                return self._object()
            case "[":
                return self._array()
            case "t":
                return self._finished(self._word("true", True, "Error parsing boolean value."))
            case "f":
                return self._finished(self._word("false", False, "Error parsing boolean value."))
            case "n":
                return self._null_or_constructor()
            case "N":
                return self._finished(self._word("NaN", float("nan"), "Error parsing NaN value."))
            case "I":
                error = "Error parsing Infinity value."
                return self._finished(self._word("Infinity", float("inf"), error))
            case "u":
                self._writable = False
                return self._finished(
                    self._word("undefined", None, "Error parsing undefined value.")
                )
            case _:
                return self._number_or_error(character)

    def _number_or_error(self, character: str) -> object:
        if self._text.startswith("-I", self._at):
            error = "Error parsing -Infinity value."
            return self._finished(self._word("-Infinity", float("-inf"), error))
        if character.isdecimal() or character in "-.":
            return self._finished(self._number())
        raise self._error(f"Unexpected character encountered while parsing value: {character}.")

    def _finished(self, value: object) -> object:
        """A value is complete: the path goes on."""
        self._started = True
        self._fresh = False
        if self._scopes and self._scopes[-1].is_array:
            self._scopes[-1].index += 1
        return value

    def _word(self, word: str, value: object, error: str) -> object:
        if len(self._text) - self._at < len(word):
            self._at = len(self._text)
            raise self._error("Unexpected end when reading JSON.")
        for expected in word:
            if self._peek() != expected:
                raise self._error(error)
            self._at += 1
        following = self._peek()
        comment = self._text[self._at : self._at + 2] in ("/*", "//")
        if (
            self._ended
            or following in _SEPARATORS
            or following.isspace()
            or following == "\0"
            or comment
        ):
            return value
        raise self._error(error)

    def _null_or_constructor(self) -> object:
        following = self._text[self._at + 1 : self._at + 2]
        if following == "u":
            return self._finished(self._word("null", None, "Error parsing null value."))
        if following == "e":
            self._word("new", None, "Unexpected content while parsing JSON.")
            self._skip_blanks()
            while self._peek().isalnum():
                self._at += 1
            raise self._error(f"Unexpected character while parsing constructor: {self._peek()}.")
        if not following:
            self._at += 1
            raise self._error("Unexpected end when reading JSON.")
        raise self._error("Unexpected character encountered while parsing value: n.")

    # --- numbers ----------------------------------------------------------------------------------------------

    def _number(self) -> object:
        start = self._at
        while not self._ended and self._text[self._at] in _NUMBER_CHARACTERS:
            self._at += 1
        following = self._peek()
        if not (self._ended or following.isspace() or following in _NUMBER_ENDS):
            raise self._error(
                f"Unexpected character encountered while parsing number: {following}."
            )
        text = self._text[start : self._at]
        try:
            return self._number_of(text)
        except ValueError:
            raise self._error(f"Input string '{text}' is not a valid number.") from None

    def _number_of(self, text: str) -> object:
        if len(text) > 1 and text[0] == "0" and text[1] not in ".eE":
            hexadecimal = text[:2] in ("0x", "0X")
            value = int(text, 16) if hexadecimal else int(text, 8)
            if value > _LONG_MAX:
                raise ValueError
            return value
        if text.lstrip("-").isdigit():
            if len(text) > _BIG_INTEGER_DIGITS_MAX:
                raise self._error(f"JSON integer {text} is too large to parse.")
            return int(text)
        if set(text) & set("abcdfABCDFxX"):
            raise ValueError
        return float(text)

    # --- strings ----------------------------------------------------------------------------------------------

    def _string(self, quote: str) -> str:
        """Read up to and over the closing quote."""
        parts: list[str] = []
        start = self._at
        while True:
            if self._ended:
                raise self._error(f"Unterminated string. Expected delimiter: {quote}.")
            character = self._text[self._at]
            if character == quote:
                parts.append(self._text[start : self._at])
                self._at += 1
                return "".join(parts)
            if character == "\\":
                parts.append(self._text[start : self._at])
                parts.append(self._escape(quote))
                start = self._at
                continue
            self._at += 1
            if character == "\n":
                self._line += 1
                self._line_start = self._at

    def _escape(self, quote: str) -> str:
        self._at += 1
        if self._ended:
            raise self._error(f"Unterminated string. Expected delimiter: {quote}.")
        character = self._text[self._at]
        self._at += 1
        if character == "u":
            return self._unicode()
        if character not in _ESCAPES:
            raise self._error(f"Bad JSON escape sequence: \\{character}.")
        return _ESCAPES[character]

    def _unicode(self) -> str:
        """Four hexadecimal digits; two halves of a pair make one character."""
        code = self._hex_digits()
        low = self._text[self._at : self._at + 2] == "\\u"
        if 0xD800 <= code < 0xDC00 and low:
            before = self._at
            self._at += 2
            second = self._hex_digits()
            if 0xDC00 <= second < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00))
            self._at = before
        return chr(code)

    def _hex_digits(self) -> int:
        digits = self._text[self._at : self._at + 4]
        if len(digits) < 4:
            self._at = len(self._text)
            raise self._error("Unexpected end while parsing Unicode escape sequence.")
        if not set(digits) <= _HEX:
            raise self._error(f"Invalid Unicode escape sequence: \\u{digits}.")
        self._at += 4
        return int(digits, 16)

    # --- containers -------------------------------------------------------------------------------------------

    def _open(self, *, is_array: bool) -> None:
        if self._scopes and self._scopes[-1].is_array:
            self._scopes[-1].index += 1
        self._at += 1
        self._started = True
        if len(self._scopes) >= DEPTH_MAX:
            self._fresh = False
            raise self._error(f"The reader's MaxDepth of {DEPTH_MAX} has been exceeded.")
        self._scopes.append(_Scope(is_array=is_array))
        self._fresh = True

    def _close(self) -> None:
        self._at += 1
        self._scopes.pop()
        self._fresh = False

    def _skip_comments(self) -> None:
        self._skip_blanks()
        while self._peek() == "/":
            self._comment()
            self._skip_blanks()

    def _array(self) -> list[object]:
        items: list[object] = []
        self._open(is_array=True)
        while True:
            self._skip_comments()
            self._check_end("JArray")
            if self._peek() == "]":
                self._close()
                return items
            if self._peek() == ",":
                self._writable = False
                items.append(self._finished(None))
            else:
                items.append(self._value())
            if not self._more("]", "JArray"):
                return items

    def _object(self) -> dict[str, object]:
        members: dict[str, object] = {}
        self._open(is_array=False)
        while True:
            self._skip_comments()
            self._check_end("JObject")
            if self._peek() == "}":
                self._close()
                return members
            name = self._name()
            self._skip_comments()
            self._check_end("JObject")
            members[name] = self._value()
            if not self._more("}", "JObject"):
                return members

    def _check_end(self, kind: str) -> None:
        if self._ended:
            raise self._error(f"Unexpected end of content while loading {kind}.")

    def _more(self, closing: str, kind: str) -> bool:
        """Go over the comma to the next member; False at the end of the container."""
        self._skip_comments()
        self._check_end(kind)
        character = self._peek()
        if character == closing:
            self._close()
            return False
        if character in "}])":
            found = {"}": "EndObject", "]": "EndArray", ")": "EndConstructor"}[character]
            self._at += 1
            holder = "Array" if closing == "]" else "Object"
            raise self._error(f"JsonToken {found} is not valid for closing JsonType {holder}.")
        if character != ",":
            raise self._error(
                f"After parsing a value an unexpected character was encountered: {character}."
            )
        self._at += 1
        return True

    def _name(self) -> str:
        first = self._peek()
        if first in "\"'":
            self._at += 1
            name = self._string(first)
        elif _is_identifier(first):
            name = self._unquoted_name()
        else:
            raise self._error(f"Invalid property identifier character: {first}.")
        self._skip_blanks()
        if self._peek() != ":":
            raise self._error(
                f"Invalid character after parsing property name. Expected ':' but got: {self._peek()}."
            )
        self._at += 1
        self._scopes[-1].name = name
        self._fresh = False
        return name

    def _unquoted_name(self) -> str:
        start = self._at
        while not self._ended and _is_identifier(self._text[self._at]):
            self._at += 1
        if self._ended:
            raise self._error("Unexpected end while parsing unquoted property name.")
        following = self._peek()
        if not (following.isspace() or following == ":"):
            raise self._error(f"Invalid JavaScript property identifier character: {following}.")
        return self._text[start : self._at]


def _is_identifier(character: str) -> bool:
    return character.isalnum() or character in "_$"
