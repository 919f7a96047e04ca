"""What two runs cannot have in common is made the same here, and nowhere else.

Times keep their shape, generated ids are numbered in order of appearance, and the text of a C# failure (its stack, its
exception as JSON) stands for the text of a Python one; activities that ran at one time end in any order. All other text
is compared as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_SECOND_MEMBERS = "createdTime|lastUpdatedTime"
_TIME_MEMBERS = "Timestamp|FireAt|ScheduledStartTime|lastOperationTime"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
_FRACTION = r"(?:\.\d{0,6}[1-9])?"
_HEX32 = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_GUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])")
_STORED_TIME = re.compile(
    rf'(\\"(?:Timestamp|Predecessor|requestTime)\\":\\")(?!0001){_TIME}(?:\.\d+)?(?:Z|\+00:00)?'
)
_HOST_FAILURES = ("doesn't exist, is disabled",)
"""Failure texts that the host writes, not the app: they are compared."""


def _failure(match: re.Match[str]) -> str:
    text = match[0]
    return text if any(own in text for own in _HOST_FAILURES) else f"{match[1]}<failure>"


def _sorted_names(match: re.Match[str]) -> str:
    return match[1] + ", ".join(sorted(re.findall(r"'[^']+'", match[2]))) + "."


def _sorted_completions(match: re.Match[str]) -> str:
    return ",".join(sorted(re.findall(_COMPLETION, match[0])))


_COMPLETION = r'\{"EventType":"TaskCompleted"[^{}]*\}'
_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (rf'"({_SECOND_MEMBERS})":"{_TIME}Z"', r'"\1":"<second>"'),
    (rf'"({_TIME_MEMBERS})":"{_TIME}{_FRACTION}Z"', r'"\1":"<time>"'),
    (rf'"ScheduledTime":"{_TIME}{_FRACTION}([+-]\d\d:\d\d)"', r'"ScheduledTime":"<time>\1"'),
    (r'"StackTrace":"[^"]+(?:\\"[^"]*)*"', '"StackTrace":"<stack>"'),
    (r"(Orchestrator function '\w+' failed: )(?:[^\"\\]|\\.)*", _failure),
    (r"((?:Activity function) '\w+' failed: )(?:[^\"\\]|\\.)*", _failure),
    (r'"(Last|ReceiveHorizon|ExecutionId)":"[^"\\]+"', r'"\1":"<own>"'),
    (r'\\"(Last|ReceiveHorizon|ExecutionId)\\":\\"[^"\\]+\\"', r'"\1":"<own>"'),
    (r'"Details":"(?:[^"\\]|\\.)*"', '"Details":"<details>"'),
    (rf"{_COMPLETION}(?:,{_COMPLETION})+", _sorted_completions),
    (r"(following are the known \w+ functions: )((?:'[^']+'(?:, )?)+)\.", _sorted_names),
    # The recorded host printed its system key in links; here none is, because none is asked for.
    (r"(connection=\w+)&code=mykey", r"\1"),
    (r"code=mykey", ""),
)


class Normaliser:
    """Makes recorded and own texts comparable, and recorded requests usable here."""

    def __init__(self, rpc_port: int, now_text: Callable[[str], str]) -> None:
        """Begin a file.

        Args:
            now_text: our time for a recorded one in a request.
        """
        self._rpc_port = rpc_port
        self._now_text = now_text
        self._ours: dict[str, str] = {}

    def request_text(self, text: str) -> str:
        """A recorded path or header value with our ids, times and tokens."""
        for recorded, own in self._ours.items():
            text = text.replace(recorded, own)
        return self._now_text(text)

    def learn(self, recorded: str, own: str) -> None:
        """Ids in the same place of two answers are the same id."""
        known = set(self._ours.values())
        for theirs, ours in zip(_HEX32.findall(recorded), _HEX32.findall(own), strict=False):
            if ours not in known:
                self._ours.setdefault(theirs, ours)

    def learn_token(self, recorded: str, own: str) -> None:
        """Continuation tokens are opaque."""
        self._ours[recorded] = own

    def recorded(self, text: str) -> str:
        """A recorded body or header."""
        for theirs, ours in self._ours.items():
            text = text.replace(theirs, ours)
        return self._common(text)

    def own(self, text: str) -> str:
        """A body or header of ours."""
        return self._common(text.replace(f":{self._rpc_port}", ":17071"))

    def steady(self, text: str) -> str:
        """A shown answer without what every run makes anew inside of stored texts."""
        text = _STORED_TIME.sub(r"\1<time>", text)
        numbers: dict[str, str] = {}
        return _GUID.sub(lambda m: numbers.setdefault(m[0], f"<guid {len(numbers)}>"), text)

    def _common(self, text: str) -> str:
        for pattern, replacement in _RULES:
            text = re.sub(pattern, replacement, text)
        return _numbered(_sorted_array(text))


def _numbered(text: str) -> str:
    numbers: dict[str, str] = {}
    return _HEX32.sub(lambda m: numbers.setdefault(m[0], f"<id {len(numbers)}>"), text)


def _sorted_array(text: str) -> str:
    """Elements in an order that does not depend on generated ids, if there are any."""
    if not text.startswith("[") or not _HEX32.search(text):
        return text
    elements: list[str] = []
    at = 1
    while text[at] != "]":
        _, end = json.JSONDecoder().raw_decode(text, at)
        elements.append(text[at:end])
        at = end + (text[end] == ",")
    return f"[{','.join(sorted(elements, key=lambda e: _HEX32.sub('', e)))}]"
