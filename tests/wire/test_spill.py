from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.wire import spill
from emulator.wire.queue_message import decode_envelope
from tests import vectors


@given(st.text())
def test_what_is_packed_is_unpacked(text: str) -> None:
    assert spill.unpack(spill.pack(text)) == text


def test_the_same_text_gives_the_same_bytes() -> None:
    assert spill.pack("x" * 50_000) == spill.pack("x" * 50_000)


def test_recorded_message_blobs_are_named_as_they_were() -> None:
    found = 0
    for path, text in vectors.packed_payloads().items():
        if "/message-" in path:
            assert path.endswith(f"/{spill.message_blob_name(decode_envelope(text))}")
            found += 1
    assert found > 5


def test_recorded_history_blobs_are_named_as_they_were() -> None:
    pattern = re.compile(r"[^/]+/((.*)/history-([0-9A-F]*)-(\w+)-([0-9A-F]{8})-(\w+)\.json\.gz)")
    found = 0
    for path in vectors.packed_payloads():
        if match := pattern.fullmatch(path):
            name, key, row, event, unique, column = match.groups()
            assert spill.history_blob_name(key, row, event, column, unique) == name
            if row == "":
                assert spill.instance_blob_name(key, column, unique) == name
            found += 1
    assert found > 10


@pytest.mark.parametrize(
    ("text", "oversized"),
    [
        ("x" * 30_720, False),
        ("x" * 30_721, True),
        ("\u00e9" * 30_721, True),
        ("\U0001f600" * 15_361, True),
    ],
)
def test_a_column_holds_sixty_kib_of_utf16(text: str, oversized: bool) -> None:
    assert spill.is_oversized(text) is oversized


@pytest.mark.parametrize(
    ("text", "oversized"), [("x" * 46_080, False), ("x" * 46_081, True), ("\u00e9" * 23_041, True)]
)
def test_a_message_holds_forty_five_kib_of_utf8(text: str, oversized: bool) -> None:
    assert spill.message_is_oversized(text) is oversized
