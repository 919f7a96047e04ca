from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from emulator.host.binding_api import FunctionLoadError
from tests.support.apps import HTTP, bound, function_json, loaded, write_app

MAIN = "def main(req): return 'x'"


def v1_app(folder: Path, declaration: Any, script: str | None = MAIN, **files: Any) -> Path:
    own = {} if script is None else {"F/__init__.py": script}
    fine = {"Fine/function.json": function_json(*HTTP), "Fine/__init__.py": MAIN}
    return write_app(folder, {"F/function.json": declaration, **own, **fine, **files})


@pytest.mark.parametrize(
    ("declaration", "files"),
    [
        (function_json(*HTTP), {"F/__init__.py": MAIN}),
        (function_json(*HTTP, scriptFile="other.py"), {"F/other.py": MAIN, "F/x.py": ""}),
        (function_json(*HTTP), {"F/only.py": MAIN}),
        (function_json(*HTTP), {"F/run.py": MAIN, "F/helper.py": ""}),
        (function_json(*HTTP, scriptFile="../shared/code.py"), {"shared/code.py": MAIN}),
        (function_json(*HTTP, entryPoint="go"), {"F/__init__.py": "def go(req): return 'x'"}),
        (function_json(*HTTP, disabled=True), {"F/__init__.py": MAIN}),
        (function_json(*HTTP, generatedBy="x", configurationSource="y"), {"F/__init__.py": MAIN}),
        ('{"BINDINGS": [{"TYPE": "HTTPTRIGGER", "Name": "req"},], // c\n}', {"F/__init__.py": MAIN}),
    ],
    ids=["default", "scriptFile", "only", "run", "outside", "entryPoint", "disabled", "extra", "case"],
)  # fmt: skip
def test_where_a_functions_code_is_found(
    tmp_path: Path, declaration: Any, files: dict[str, str]
) -> None:
    with loaded(write_app(tmp_path, {"F/function.json": declaration, **files})) as found:
        assert not found.failures
        assert [f.name for f in found.functions] == ["F"]
        assert found.functions[0].callable(req=None) == "x"


def test_shared_code_is_imported_in_each_of_the_three_ways(tmp_path: Path) -> None:
    script = """
    from ..shared_v1 import helper as relative
    from __app__.shared_v1 import helper as absolute
    import shared_v1.helper as plain
    from . import beside

    def main(req): return relative.VALUE + absolute.VALUE + plain.VALUE + beside.VALUE
    """
    files = {
        "shared_v1/__init__.py": "",
        "shared_v1/helper.py": "VALUE = 1",
        "F/beside.py": "VALUE = 1",
    }
    with loaded(v1_app(tmp_path, function_json(*HTTP), script, **files)) as found:
        assert not found.failures
        function = found.find("f")
        assert function is not None
        assert function.callable(req=None) == 4


def test_folders_without_a_declaration_are_passed_over(tmp_path: Path) -> None:
    files = {"shared/x.py": "", ".hidden/function.json": "{", "node_modules/function.json": "{"}
    with loaded(v1_app(tmp_path, function_json(*HTTP), **files)) as found:
        assert [f.name for f in found.functions] == ["F", "Fine"]
        assert not found.failures


def test_the_client_is_bound_by_both_its_names(tmp_path: Path) -> None:
    script = "async def main(req, old, new): return 'x'"
    bindings = [*HTTP, bound("orchestrationClient", "old"), bound("durableClient", "new")]
    with loaded(v1_app(tmp_path, function_json(*bindings), script)) as found:
        assert not found.failures
        assert found.uses_2018_names


def test_the_client_is_an_output_too(tmp_path: Path) -> None:
    script = """
    import azure.functions as func
    def main(req, starter: func.Out[str]): starter.set("{}")
    """
    bindings = [*HTTP, bound("orchestrationClient", "starter", "out")]
    with loaded(v1_app(tmp_path, function_json(*bindings), script)) as found:
        assert not found.failures


IN_ERROR: list[tuple[str, Any, str]] = [
    ("no JSON", '{"bindings": [', r"function\.json, line 1, column .*The line is"),
    ("a list", "[]", r"function\.json must be a JSON object"),
    ("no bindings", {}, r'function\.json: "bindings" must be a list with at least a trigger'),
    ("empty bindings", function_json(), r'"bindings" must be a list with at least a trigger'),
    ("a binding that is text", {"bindings": ["x"]}, r"every binding must be a JSON object"),
    ("a binding without a type", function_json({"name": "x"}), r'every binding needs a "type" and a "name"'),
    ("no trigger", function_json(HTTP[1]), r"'F' must have exactly one trigger binding; it has none"),
    ("two triggers", function_json(HTTP[0], bound("activityTrigger", "b")),
     r"exactly one trigger binding; it has httpTrigger, activityTrigger"),
    ("a bad binding name", function_json(bound("httpTrigger", "1x")), r"The binding name 1x is invalid"),
    ("one name twice", function_json(*HTTP, bound("http", "REQ", "out")), r"is used twice; rename one"),
    ("an input named $return", function_json(HTTP[0], bound("durableClient", "$return")),
     r'\$return must have "direction": "out"'),
    ("inout", function_json(*HTTP, bound("durableClient", "c", "inout")), r"direction 'inout'; use in or out"),
    ("an unknown type", function_json(*HTTP, bound("cosmosDB", "items", "in")),
     r"The binding type\(s\) 'cosmosDB' \(binding 'items', direction in\) are not served here"),
    ("a script that is not there", function_json(*HTTP, scriptFile="gone.py"),
     r'gone\.py does not exist; correct "scriptFile" or add the file'),
    ("a script of another language", function_json(*HTTP, scriptFile="index.js"), r"index\.js is no Python file"),
    ("a setting that is not there", function_json(*HTTP, bound("durableClient", "c", taskHub="%X%")),
     r"binding 'c', taskhub: '%X%' does not resolve to a value\. Add X to"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("declaration", "message"), [row[1:] for row in IN_ERROR], ids=[row[0] for row in IN_ERROR]
)
def test_a_bad_declaration_is_one_functions_error(
    tmp_path: Path, declaration: Any, message: str
) -> None:
    app = v1_app(tmp_path, declaration, **{"F/index.js": ""})
    with loaded(app) as found:
        assert [f.name for f in found.functions] == ["Fine"]
        (failure,) = found.failures
        assert failure.message.startswith("The 'F' function is in error: ")
        assert re.search(message, failure.message, re.DOTALL), failure.message
        assert str(tmp_path / "F" / "function.json") in failure.message, "it is wrong there"


UNLOADABLE: list[tuple[str, str, str]] = [
    ("an import that fails", "import no_such_module_xyz", r"ModuleNotFoundError: .*Install it into this"),
    ("an exception", "1 / 0", r"ZeroDivisionError: division by zero \(.*line 1: 1 / 0\)"),
    ("a syntax error", "def main(:", r"__init__\.py, line 1: SyntaxError"),
    ("an exit", "exit(3)", r"SystemExit: 3"),
    ("no entry point", "def other(req): ...",
     r"cannot load function F: function main\(\) is not present in .*__init__\.py; define it, or correct entryPoint"),
    ("an entry point that is no function", "main = 3", r"function main\(\) is not present"),
    ("a parameter too few", "def main(): ...", r"declared by bindings but not in Python: \['req'\]"),
    ("a parameter too many", "def main(req, x): ...", r"declared in Python but by no binding: \['x'\]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "message"), [row[1:] for row in UNLOADABLE], ids=[row[0] for row in UNLOADABLE]
)
def test_code_that_cannot_be_loaded_fails_each_call_of_its_function_only(
    tmp_path: Path, script: str, message: str
) -> None:
    with loaded(v1_app(tmp_path, function_json(*HTTP), script)) as found:
        assert [f.name for f in found.functions] == ["F", "Fine"]
        (failure,) = found.failures
        assert failure.message.startswith("Worker failed to load function: 'F': ")
        assert re.search(message, failure.message, re.DOTALL), failure.message
        with pytest.raises(FunctionLoadError, match="Worker failed to load function: 'F'"):
            found.functions[0].callable(req=None)


def test_a_script_outside_of_the_app_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.py").write_text(MAIN)
    app = v1_app(tmp_path / "app", function_json(*HTTP, scriptFile="../../out.py"))
    with loaded(app) as found:
        assert "lies outside of the app's folder" in found.failures[0].message


@pytest.mark.parametrize("name", ["1f", "f f", "host", "x" * 129])
def test_a_folder_with_a_bad_name_is_in_error(tmp_path: Path, name: str) -> None:
    files = {f"{name}/function.json": function_json(*HTTP), f"{name}/__init__.py": MAIN}
    with loaded(write_app(tmp_path, files)) as found:
        assert f"{name!r} is no function name" in found.failures[0].message
