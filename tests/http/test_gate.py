from __future__ import annotations

import pytest

from emulator.http.gate import Gate, Level, level_of
from emulator.http.queries import Query
from emulator.wire.secret_files import HostKeys, Key

HOST = HostKeys(
    master=Key(name="master", value="M"),
    function_keys=(Key(name="default", value="H"),),
    system_keys=(
        Key(name="durabletask_extension", value="S"),
        Key(name="eventgrid_extension", value="E"),
    ),
)


class FixedKeys:
    async def host(self) -> HostKeys:
        return HOST

    async def function(self, name: str) -> tuple[Key, ...]:
        return (Key(name="default", value="F"),) if name == "mine" else ()


@pytest.mark.parametrize(
    ("level", "answers"),
    [
        (
            "anonymous",
            {None: None, "M": None, "H": None, "F": None, "S": None, "E": None, "x": None},
        ),
        ("function", {None: 401, "M": None, "H": None, "F": None, "S": 403, "E": 403, "x": 401}),
        ("system", {None: 401, "M": None, "H": 403, "F": 403, "S": None, "E": 403, "x": 401}),
        (
            "admin",
            {None: 401, "M": None, "H": 403, "F": 403, "S": 403, "E": 403, "x": 401, "": 401},
        ),
    ],
)
async def test_what_each_key_opens(level: str, answers: dict[str | None, int | None]):
    gate = Gate(FixedKeys())
    for key, expected in answers.items():
        headers = {} if key is None else {"x-functions-key": key}
        answer = await gate.refusal(Level(level), headers, Query(""), function="mine")
        assert answer == expected, key


async def test_a_key_of_another_function_is_nobodys():
    gate = Gate(FixedKeys())
    headers = {"x-functions-key": "F"}
    assert await gate.refusal(Level.FUNCTION, headers, Query(""), function="other") == 401


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "code=M", None),
        ({}, "CODE=M", None),
        ({}, "code=x", 401),
        ({"x-functions-key": "M"}, "code=x", None),
        ({"x-functions-key": "x"}, "code=M", 401),
        ({"x-functions-key": ""}, "code=M", 401),
        ({"x-functions-key": "schlüssel\ud800"}, "", 401),
    ],
)
async def test_a_header_hides_the_query(headers: dict[str, str], query: str, expected: int | None):
    assert await Gate(FixedKeys()).refusal(Level.ADMIN, headers, Query(query)) == expected


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("ANONYMOUS", "anonymous"),
        ("anonymous", "anonymous"),
        ("Admin", "admin"),
        ("function", "function"),
        ("system", "function"),
        ("nonsense", "function"),
        (None, "function"),
    ],
)
def test_the_level_of_a_trigger(text: str | None, level: str):
    assert level_of(text) == level
