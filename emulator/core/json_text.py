"""JSON text as the .NET side writes it (Newtonsoft.Json, default settings).

No blanks; non-ASCII as it is, but for three line separators; numbers in .NET's shortest form (`1.50` is `1.5`,
`1e3` is `1000.0`, `1e100` is `1E+100`); NaN and the infinities as strings. Half of a surrogate pair, which no store
takes, becomes U+FFFD, as .NET's UTF-8 encoder has it.
"""

from __future__ import annotations

import json
import re
from typing import Final, cast

_LONE_SURROGATES: Final = range(0xD800, 0xE000)
_ESCAPED: Final = {
    0x85: "\\u0085",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
    **dict.fromkeys(_LONE_SURROGATES, "\ufffd"),
}
_MAYBE_FLOAT: Final = re.compile(r"(?:^|[\[,:{ ])(?:-?\d+(?:\.|[eE])|-?Infinity|NaN)")
_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|-?Infinity|NaN', re.DOTALL
)
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_INDENTED: Final = json.JSONEncoder(ensure_ascii=False, indent=2)
_PLAIN_DIGITS_MAX: Final = 15
_SMALLEST_PLAIN_EXPONENT: Final = -5


def compact(value: object) -> str:
    """Text of a value made of dict, list, str, int, float, bool and None."""
    return quote(value) if isinstance(value, str) else _finish(_COMPACT.encode(value))


def indented(value: object) -> str:
    """The same with two blanks a level, a blank after each colon and a line feed after each member."""
    return _finish(_INDENTED.encode(value))


def reserialise(text: str) -> str:
    """Parse JSON text and write it compactly; of duplicate keys the last one counts.

    Raises:
        ValueError: it is no JSON.
    """
    return compact(loads(text))


def loads(text: str) -> object:
    """Parse JSON text.

    Raises:
        ValueError: it is no JSON, or nested too deeply to be read.
    """
    try:
        return cast(object, json.loads(text))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def quote(text: str) -> str:
    """A JSON string literal."""
    quoted = json.encoder.encode_basestring(text)
    return quoted if quoted.isascii() else quoted.translate(_ESCAPED)


def quote_or_null(text: str | None) -> str:
    """A JSON string literal, or `null`."""
    return "null" if text is None else quote(text)


def _finish(text: str) -> str:
    if _MAYBE_FLOAT.search(text):
        text = _TOKEN.sub(_number, text)
    return text if text.isascii() else text.translate(_ESCAPED)


def _number(match: re.Match[str]) -> str:
    token = match[0]
    if token[0] == '"':
        return token
    if token[-1] in "yN":
        return f'"{token}"'
    if "." in token or "e" in token or "E" in token:
        return float_text(float(token))
    return token


def float_text(value: float) -> str:
    """A double as .NET's round-trip format has it, with a decimal place where there is no exponent."""
    if value == 0:
        return "-0.0" if str(value)[0] == "-" else "0.0"
    sign, digits, exponent = _decompose(value)
    place = len(digits) + exponent
    if place > _PLAIN_DIGITS_MAX or place < _SMALLEST_PLAIN_EXPONENT + 1:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        power = place - 1
        return f"{sign}{digits[0]}{fraction}E{'-' if power < 0 else '+'}{abs(power):02d}"
    if place <= 0:
        return f"{sign}0.{'0' * -place}{digits}"
    if exponent >= 0:
        return f"{sign}{digits}{'0' * exponent}.0"
    return f"{sign}{digits[:place]}.{digits[place:]}"


def _decompose(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits without zeros at either end, and the power of ten of the last digit."""
    mantissa, _, power = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    exponent = int(power or "0") - len(fraction)
    stripped = digits.rstrip("0")
    return sign, stripped.lstrip("0"), exponent + len(digits) - len(stripped)
