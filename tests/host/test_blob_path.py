from __future__ import annotations

import pytest

from emulator.errors import ConfigError
from emulator.host.blob_path import parse_blob_path

MATCHES = [
    ("in/{name}", "a.txt", {"name": "a.txt"}),
    ("in/{name}", "folder/a.txt", {"name": "folder/a.txt"}),
    ("in/{name}.txt", "a.txt", {"name": "a"}),
    ("in/{name}.txt", "a.csv", None),
    ("in/{name}.{ext}", "a.b.txt", {"name": "a.b", "ext": "txt"}),
    ("in/orders-{id}.json", "orders-5.json", {"id": "5"}),
    ("in/orders-{id}.json", "bills-5.json", None),
    ("in/fixed.txt", "fixed.txt", {}),
    ("in/fixed.txt", "fixedXtxt", None),
    ("in", "anything/at all", {}),
]


@pytest.mark.parametrize(("path", "name", "expected"), MATCHES)
def test_a_path_says_which_blobs_and_what_their_parts_are_called(
    path: str, name: str, expected: dict[str, str] | None
) -> None:
    found = parse_blob_path(path)
    assert found.container == "in"
    assert found.match(name) == expected
    assert expected is None or name.startswith(found.prefix)


@pytest.mark.parametrize("path", ["", "/", "{container}/{name}", "in/{name}-{name}"])
def test_a_path_that_cannot_be_watched_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="of a blob trigger"):
        parse_blob_path(path)
