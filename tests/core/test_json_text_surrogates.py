"""Halves of surrogate pairs: valid in JSON escapes, but in no UTF-8 text."""

from __future__ import annotations

import json

import pytest

from emulator.core.json_text import compact, indented, quote, reserialise


@pytest.mark.parametrize("text", ['"\\ud83d"', '{"a\\udc00":["x\\ud83dy"]}'])
def test_half_a_pair_is_replaced(text: str) -> None:
    value = json.loads(text)
    for written in (compact(value), indented(value), reserialise(text)):
        assert "\ufffd" in written
        written.encode()
    quote(str(value)).encode()


def test_a_whole_pair_is_kept() -> None:
    assert reserialise('"\\ud83d\\ude00"') == '"\U0001f600"'
