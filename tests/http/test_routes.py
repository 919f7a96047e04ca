from __future__ import annotations

import re

import pytest

from emulator.errors import ConfigError
from emulator.http.routes import compile_template, decode_segments

GUID = "00000000-0000-0000-0000-00000000000a"

MATCHES: list[tuple[str, str, dict[str, str] | None]] = [
    # literals
    ("api/ping", "api/ping", {}),
    ("api/ping", "API/Ping", {}),
    ("api/ping", "api/pong", None),
    ("api/ping", "api/ping/x", None),
    ("api/ping", "api", None),
    ("", "", {}),
    ("/api/ping/", "api/ping", {}),
    ("a.b", "axb", None),
    ("a{{b}}", "a{b}", {}),
    # parameters
    ("{id}", "Value", {"id": "Value"}),
    ("x/{id}", "x", None),
    ("x/{id}", "x/a/b", None),
    ("x/{id?}", "x", {}),
    ("x/{id?}", "x/1", {"id": "1"}),
    ("x/{id=7}", "x", {"id": "7"}),
    ("x/{id=7}", "x/1", {"id": "1"}),
    ("x/{a=1}/{b=2}", "x", {"a": "1", "b": "2"}),
    ("x/{a=1}/{b=2}", "x/3", {"a": "3", "b": "2"}),
    ("x/{a?}/{b?}", "x/3", {"a": "3"}),
    ("x/{a?}/y", "x/y", None),
    ("x/{a?}/y", "x/1/y", {"a": "1"}),
    ("{*rest}", "", {}),
    ("{*rest}", "a/b", {"rest": "a/b"}),
    ("{**rest}", "a/b", {"rest": "a/b"}),
    ("x/{*rest}", "x", {}),
    ("x/{*rest}", "xy", None),
    ("x/{*rest=all}", "x", {"rest": "all"}),
    # mixed segments
    ("file.{ext}", "file.txt", {"ext": "txt"}),
    ("file.{ext}", "file.", None),
    ("file.{ext?}", "file", {}),
    ("file.{ext?}", "file.txt", {"ext": "txt"}),
    ("x/file.{ext?}", "x", None),
    ("{a}-{b}", "1-2", {"a": "1", "b": "2"}),
    ("{a}-{b}", "1-2-3", {"a": "1-2", "b": "3"}),
    ("{name}.{ext}", "a.tar.gz", {"name": "a.tar", "ext": "gz"}),
    # constraints
    ("{n:int}", "-12", {"n": "-12"}),
    ("{n:int}", "2147483647", {"n": "2147483647"}),
    ("{n:int}", "2147483648", None),
    ("{n:int}", "1_0", None),
    ("{n:int}", "1.5", None),
    ("{n:int?}", "", {}),
    ("{n:int=3}", "", {"n": "3"}),
    ("{n:INT}", "1", {"n": "1"}),
    ("{n:long}", "2147483648", {"n": "2147483648"}),
    ("{n:long}", "9223372036854775808", None),
    ("{b:bool}", "TRUE", {"b": "TRUE"}),
    ("{b:bool}", "1", None),
    ("{d:decimal}", "1.50", {"d": "1.50"}),
    ("{d:decimal}", "1e3", None),
    ("{d:double}", "-1e3", {"d": "-1e3"}),
    ("{d:float}", ".5", {"d": ".5"}),
    ("{d:double}", "x", None),
    ("{t:datetime}", "2024-05-01", {"t": "2024-05-01"}),
    ("{t:datetime}", "2024-05-01T10:00:00Z", {"t": "2024-05-01T10:00:00Z"}),
    ("{t:datetime}", "12-31-2024", {"t": "12-31-2024"}),
    ("{t:datetime}", "2024-13-01", None),
    ("{t:datetime}", "20240501", None),
    ("{g:guid}", GUID, {"g": GUID}),
    ("{g:guid}", GUID.replace("-", ""), {"g": GUID.replace("-", "")}),
    ("{g:guid}", f"({GUID})", {"g": f"({GUID})"}),
    ("{g:guid}", "0-0", None),
    ("{s:alpha}", "abC", {"s": "abC"}),
    ("{s:alpha}", "a1", None),
    ("{s:length(3)}", "abc", {"s": "abc"}),
    ("{s:length(3)}", "ab", None),
    ("{s:length(1,2)}", "ab", {"s": "ab"}),
    ("{s:length(1,2)}", "abc", None),
    ("{s:minlength(2)}", "a", None),
    ("{s:maxlength(2)}", "abc", None),
    ("{n:min(5)}", "5", {"n": "5"}),
    ("{n:min(5)}", "4", None),
    ("{n:max(5)}", "6", None),
    ("{n:range(1,5)}", "3", {"n": "3"}),
    ("{n:range(1,5)}", "x", None),
    ("{n:int:min(1):max(9)}", "5", {"n": "5"}),
    ("{n:int:min(1):max(9)}", "10", None),
    ("{s:required}", "x", {"s": "x"}),
    (r"{s:regex(^\d{{3}}$)}", "123", {"s": "123"}),
    (r"{s:regex(^\d{{3}}$)}", "12", None),
    ("{s:regex(^(a|b)$)}", "B", {"s": "B"}),
    ("{s:regex(^a?b$)}", "b", {"s": "b"}),
    ("{s:regex(^x=y$)}", "x=y", {"s": "x=y"}),
    ("{s:regex(^a, b$)}", "a, b", {"s": "a, b"}),
    ("{s:regex(^(?:a)$)?}", "a", {"s": "a"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("template", "path", "expected"), MATCHES, ids=[f"{t} | {p}" for t, p, _ in MATCHES]
)
def test_a_template_and_a_path(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert compile_template(template, "function 'f'").match(path) == expected


MALFORMED: list[tuple[str, str]] = [
    ("api//x", "has two slashes in a row; remove one"),
    ("{id", "has a { without its }"),
    ("id}", "has a } outside of a parameter"),
    ("x?", "has a ? outside of a parameter"),
    ("{}", "has the unreadable parameter {}"),
    ("{?}", "has the unreadable parameter {?}"),
    ("{a{b}", "has the unreadable parameter {a{b}"),
    ("{***x}", "has the unreadable parameter {***x}"),
    ("{a}/{A}", "names the parameter 'a' more than once"),
    ("{a}-{a}", "names the parameter 'a' more than once"),
    ("{a}{b}", "has two parameters side by side"),
    ("{*a}/b", "has a {*...} that is not the whole last segment"),
    ("x.{*a}", "has a {*...} that is not the whole last segment"),
    ("{*a?}", "has a {*...} that is optional"),
    ("{a?}-x", "has an optional parameter beside other text"),
    ("x-{a?}", "has an optional parameter beside other text"),
    ("{a=1?}", "has an optional parameter with a default"),
    ("{a:int:odd}", "has the unknown constraint 'odd'; known ones are alpha, bool,"),
    ("{a:regex([)}", "has the regular expression '[', which is none"),
]


@pytest.mark.parametrize(("template", "fault"), MALFORMED)
def test_a_malformed_template_is_refused_with_place_and_cause(template: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"the route {template!r} {fault}")) as refusal:
        compile_template(template, "function 'f' (here.py)")
    assert str(refusal.value).startswith("function 'f' (here.py): ")


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("/api/x/", "api/x"),
        ("/a%20b/%C3%A9", "a b/é"),
        ("/a%2Fb/%2f", "a%2Fb/%2f"),
        ("/a%252Fb", "a%2Fb"),
        ("/a+b", "a+b"),
        ("/%FF", "\ufffd"),
        ("/", ""),
    ],
)
def test_a_path_is_decoded_once_and_encoded_slashes_separate_nothing(
    raw: str, decoded: str
) -> None:
    assert decode_segments(raw) == decoded
