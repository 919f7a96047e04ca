"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("emulator", "bindings", "azurite")
MODULE_LINES_MAX = 600
BODY_LINES_MAX = 70
DOCSTRING_LENGTH_MIN = 40
"""A room's docstring says what the room is for: a sentence at least."""
MACHINE = re.compile(
    r"(?<![\w.*:)}/])/(?:root|work|tmp|home/\w+|Users/\w+)/"
    r"|\bpypi\.org\b|\bfiles\.pythonhosted\b|\bregistry\.npmjs\b|localhost:4873"
)
"""Paths of someone's machine, and hosts of package registries."""
TEXT = {".py", ".md", ".toml", ".json", ".yml", ".yaml", ".cfg", ".html", ".css", ".js", ""}
NOT_OURS = ("node_modules", "vectors", "package-lock.json", ".hypothesis", "__pycache__")


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in ours(ROOT / package, "*.py"))


def ours(folder: Path, pattern: str) -> Iterator[Path]:
    for path in folder.rglob(pattern):
        if not set(path.relative_to(ROOT).parts) & set(NOT_OURS):
            yield path


def written() -> list[Path]:
    """Every text file of the project."""
    folders = (*PACKAGES, "tests", "samples", "docs", ".ci")
    files = [path for folder in folders for path in ours(ROOT / folder, "*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")]
    return sorted(path for path in files if path.suffix in TEXT)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "a module says in its first line what it is for"
    if path.name == "__init__.py":
        assert len(docstring) >= DOCSTRING_LENGTH_MIN, "a room says what it is for"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= BODY_LINES_MAX, f"{node.name} has {lines} lines"


def test_every_room_is_a_package_with_a_text_of_its_own() -> None:
    texts = [
        ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        for package in PACKAGES
        for folder in {path.parent for path in ours(ROOT / package, "*.py")}
    ]
    assert len(texts) == len(set(texts))


def test_nothing_names_the_machine_that_it_was_written_on() -> None:
    found = [
        f"{name(path)}, line {number}: {match[0]}"
        for path in written()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in MACHINE.finditer(line)
    ]
    assert not found


def test_nothing_is_skipped_and_nothing_is_left_to_do() -> None:
    words = re.compile(r"pytest\.mark\.(?:skip|xfail)|\b(?:TODO|FIXME|XXX)\b")
    found = [
        f"{name(path)}, line {number}"
        for folder in (*PACKAGES, "tests")
        for path in ours(ROOT / folder, "*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert not found


# --- documents ----------------------------------------------------------------------------------------------------


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([\w$()./-]+):(?!=)", text, re.MULTILINE))


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_commands_and_files_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([\w-]+)`|^make ([\w-]+)", text, re.MULTILINE))
    assert {one or other for one, other in named} <= targets()
    paths = re.findall(r"`((?:emulator|bindings|azurite|samples|tests|docs|\.ci)/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert {"run", "test", "check"} <= targets()


def test_the_readme_names_every_option_of_start() -> None:
    from emulator.cli import start

    options = {
        parameter.replace("_", "-")
        for parameter in start.__annotations__
        if parameter not in {"app_folder", "return"}
    }
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {
        option for option in options if f"--{option}" not in text and f"--no-{option}" not in text
    } == set()


def test_the_readme_tells_every_deliberate_difference() -> None:
    from emulator.core.parity import Rule

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {rule.value for rule in Rule if f"`{rule.value}`" not in text} == set()


def test_the_changelog_begins_with_what_is_not_released() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## Unreleased"
