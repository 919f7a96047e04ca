from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.lenient_json import LenientJsonError, Parsed, parse, parse_first

VALUES = [
    ("{'a': 1}", {"a": 1}),
    ("{a: 1, $b_2: 'x'}", {"a": 1, "$b_2": "x"}),
    ("007", 7),
    ("0x1F", 31),
    ("[1,2,]", [1, 2]),
    ('{"a":1,}', {"a": 1}),
    ("[1, /* two */ 2] // end", [1, 2]),
    ('{"a":1,"a":2}', {"a": 2}),
    ("-Infinity", -math.inf),
    ("1.5e3", 1500.0),
    ("12345678901234567890", 12345678901234567890),
    ('"2024-01-02T03:04:05Z"', "2024-01-02T03:04:05Z"),
    ('"\\u00e9\\ud83d\\ude00\\/"', "é😀/"),
    ("\u00a0 1 \u2003", 1),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_what_newtonsoft_takes_is_taken(text: str, value: object) -> None:
    assert parse(text).value == value


def test_nan_is_a_number() -> None:
    value = parse("NaN").value
    assert isinstance(value, float)
    assert math.isnan(value)


FIRST = [
    ("42 is the answer", 42),
    ("true story", True),
    ("null pointer", None),
    ("'x' y", "x"),
    ('{"a":1} trailing', {"a": 1}),
    ("[1]]", [1]),
]


@pytest.mark.parametrize(("text", "value"), FIRST)
def test_only_the_first_value_counts_where_text_may_follow(text: str, value: object) -> None:
    assert parse_first(text) == Parsed(value=value)


@pytest.mark.parametrize("text", ["undefined", "[undefined]", "[1,,2]", "/* c */ 5", "/*c*/"])
def test_what_cannot_be_written_is_marked(text: str) -> None:
    assert not parse_first(text).is_writable


ERRORS = [
    ("", "Error reading JToken from JsonReader. Path '', line 0, position 0."),
    ("  ", "Error reading JToken from JsonReader. Path '', line 1, position 2."),
    (
        "hello",
        "Unexpected character encountered while parsing value: h. Path '', line 0, position 0.",
    ),
    ("{bad", "Unexpected end while parsing unquoted property name. Path '', line 1, position 4."),
    ('"abc', "Unterminated string. Expected delimiter: \". Path '', line 1, position 4."),
    (
        '{"a":1} x',
        "Additional text encountered after finished reading JSON content: x. Path '', line 1, position 8.",
    ),
    (
        "1 2",
        "Additional text encountered after finished reading JSON content: 2. Path '', line 1, position 2.",
    ),
    ('{"a":1', "Unexpected end of content while loading JObject. Path 'a', line 1, position 6."),
    ("[1", "Unexpected end of content while loading JArray. Path '[0]', line 1, position 2."),
    ("{", "Unexpected end of content while loading JObject. Path '', line 1, position 1."),
    (
        '{"a b":[1, x]}',
        "Unexpected character encountered while parsing value: x. Path '['a b'][0]', line 1, position 11.",
    ),
    (
        '{\n"a":\n{"b": tru}}',
        "Error parsing boolean value. Path 'a.b', line 3, position 9.",
    ),
    ("08", "Input string '08' is not a valid number. Path '', line 1, position 2."),
    (
        "2024-01-02T03",
        "Unexpected character encountered while parsing number: T. Path '', line 1, position 10.",
    ),
    (
        "[1}",
        "JsonToken EndObject is not valid for closing JsonType Array. Path '[0]', line 1, position 3.",
    ),
    (
        "[1 2]",
        "After parsing a value an unexpected character was encountered: 2. Path '[0]', line 1, position 3.",
    ),
    ('"\\q"', "Bad JSON escape sequence: \\q. Path '', line 1, position 3."),
    ("nul", "Unexpected end when reading JSON. Path '', line 1, position 3."),
    ("/* c", "Unexpected end while parsing comment. Path '', line 1, position 4."),
    (
        "[" * 65,
        f"The reader's MaxDepth of 64 has been exceeded. Path '{'[0]' * 64}', line 1, position 65.",
    ),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_errors_say_what_newtonsoft_says(text: str, message: str) -> None:
    with pytest.raises(LenientJsonError) as caught:
        parse(text)
    assert str(caught.value) == message


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_strict_json_means_the_same(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert parse(f"{text} // end").value == parse(text).value == value


@given(st.text(alphabet="{}[]:,'\"\\/*truefalsn0123456789.eE+- x\n\0ué", max_size=20))
def test_every_text_is_read_or_refused_with_a_place(text: str) -> None:
    for read in (parse, parse_first):
        refusal = _refusal(read, text)
        assert refusal is None or ", position " in refusal


def _refusal(read: Callable[[str], Parsed], text: str) -> str | None:
    try:
        read(text)
    except LenientJsonError as error:
        return str(error)
    return None


_DEEP = 64


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("beside", ["", '"[[[[{\\"",' * 40, "[],{}," * 40])
def test_containers_count_by_how_deep_they_lie_and_not_by_how_many_there_are(
    opening: str, beside: str
) -> None:
    def nested(depth: int) -> str:
        inner = opening * depth
        return f"[{beside}{inner}1{''.join(']' if c == '[' else '}' for c in inner if c in '[{')}]"

    assert parse(nested(_DEEP - 1)).value == json.loads(nested(_DEEP - 1))
    with pytest.raises(LenientJsonError, match=r"MaxDepth of 64 has been exceeded"):
        parse(nested(_DEEP))


@given(st.recursive(st.text('[]{}"\\a'), st.lists, max_leaves=150))
def test_strict_json_is_read_as_it_is(value: object) -> None:
    text = json.dumps(value)
    assert parse(text).value == value
    assert parse_first(text).value == value
