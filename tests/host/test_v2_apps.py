from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from emulator.core.parity import Rule
from emulator.errors import ConfigError
from tests.support.apps import HTTP, V2, function_json, loaded, v2_app, write_app

PING = """
@app.route(route="ping")
def ping(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("pong")
"""


def http_function(name: str, *, decorators: str = "@app.route()", parameters: str = "req") -> str:
    return f"\n{decorators}\ndef {name}({parameters}):\n    return 'x'\n"


def names(app: Any) -> list[str]:
    return [function.name for function in app.functions]


def test_functions_and_blueprints_are_found_in_the_hosts_order(tmp_path: Path) -> None:
    functions = """
    from parts_of_v2 import blueprint
    app.register_functions(blueprint)

    @app.route()
    def ab(req): return 'x'

    @app.route()
    def a_b(req): return 'x'

    @app.function_name("Beta")
    @app.activity_trigger(input_name="n", activity="Renamed")
    def b(n): return n

    @app.orchestration_trigger(context_name="context")
    def _alpha(context): return 1
    """.replace("_alpha", "alpha")
    blueprint = """
    import azure.durable_functions as df
    blueprint = df.Blueprint()

    @blueprint.activity_trigger(input_name="n")
    def from_blueprint(n: int) -> int: return n
    """
    app = v2_app(tmp_path, functions, **{"parts_of_v2.py": blueprint})
    with loaded(app) as found:
        assert names(found) == ["ab", "alpha", "a_b", "Beta", "from_blueprint"]
        assert not found.failures
        beta = found.find("BETA")
        assert beta is not None
        assert beta.spec.durable_name == "Renamed"
        assert found.functions[-1].spec.script.name == "parts_of_v2.py"


def test_function_json_folders_beside_a_script_are_ignored_with_their_names(tmp_path: Path) -> None:
    files = {"Old/function.json": function_json(*HTTP), "Old/__init__.py": "def main(req): ..."}
    with loaded(v2_app(tmp_path, PING, **files)) as found:
        assert names(found) == ["ping"]
        (warning,) = found.warnings
        assert "Detected mixed function app. Some functions may not be indexed - Old" in warning


def test_a_script_without_functions_leaves_the_folders_their_place(tmp_path: Path) -> None:
    files = {"Old/function.json": function_json(*HTTP), "Old/__init__.py": "def main(req): ..."}
    with loaded(v2_app(tmp_path, "", **files)) as found:
        assert names(found) == ["Old"]
        assert not found.warnings


def test_a_script_of_another_name(tmp_path: Path) -> None:
    write_app(tmp_path, {"my-app.py": V2 + PING})
    with loaded(tmp_path, script_file="my-app.py") as found:
        assert names(found) == ["ping"]


def test_packages_published_with_the_app_are_found(tmp_path: Path) -> None:
    package = {".python_packages/lib/site-packages/published_with_app.py": "VALUE = 1"}
    with loaded(v2_app(tmp_path, f"import published_with_app\n{PING}", **package)) as found:
        assert names(found) == ["ping"]


@pytest.mark.parametrize(
    ("setting", "value", "is_disabled"),
    [
        ("AzureWebJobs.ping.Disabled", "1", True),
        ("AzureWebJobs.ping.Disabled", "True", True),
        ("azurewebjobs.PING.disabled", "true", True),
        ("AzureWebJobs_ping_Disabled", "true", True),
        ("AzureWebJobs.ping.Disabled", "0", False),
        ("AzureWebJobs.ping.Disabled", "false", False),
        ("AzureWebJobs.pong.Disabled", "1", False),
    ],
)
def test_a_setting_disables_a_function(
    tmp_path: Path, setting: str, value: str, *, is_disabled: bool
) -> None:
    with loaded(v2_app(tmp_path, PING), values={setting: value}) as found:
        assert [spec.name for spec in found.disabled] == (["ping"] if is_disabled else [])
        assert names(found) == ([] if is_disabled else ["ping"])


def test_the_allow_list_is_compared_without_case_and_unknown_names_are_said(tmp_path: Path) -> None:
    app = v2_app(tmp_path, PING + http_function("other"))
    with loaded(app, functions=("PING", "pong")) as found:
        assert names(found) == ["ping"]
        (warning,) = found.warnings
        assert "name pong, which the app does not have" in warning


def test_settings_stand_in_bindings_but_not_in_routes(tmp_path: Path) -> None:
    function = """
    @app.route(route="a%20b")
    @app.durable_client_input(client_name="client", task_hub="%HUB%x")
    async def starter(req: func.HttpRequest, client): ...
    """
    with loaded(v2_app(tmp_path, function), values={"hub": "Mine"}) as found:
        (starter,) = found.functions
        hubs = [binding.text("taskHub") for binding in starter.spec.bindings]
        assert "Minex" in hubs
        assert starter.spec.trigger.text("route") == "a%20b"


WHOLE_APP: list[tuple[str, str, str]] = [
    ("a module that is not there", "import no_such_module_xyz",
     r"function_app\.py cannot be imported: ModuleNotFoundError: No module named 'no_such_module_xyz' "
     r"\(.*function_app\.py, line 6: import no_such_module_xyz\)\. Install it"),
    ("a syntax error", "def broken(:", r"function_app\.py, line 6: SyntaxError: .*def broken\(:"),
    ("an exception", "1 / 0", r"cannot be imported: ZeroDivisionError: division by zero \(.*line 6: 1 / 0\)"),
    ("an exit", "raise SystemExit(3)", r"cannot be imported: SystemExit: 3 \(.*line 6"),
    ("no app", "del app", r"Could not find top level function app instances in function_app\.py .*Make one: app ="),
    ("two apps", "second = func.FunctionApp()", r"More than one DFApp or other .*: app, second\. Keep one"),
    ("an alias", "alias = app", r"More than one .*: app, alias"),
    ("one name twice", http_function("same") * 2,
     r"Function same does not have a unique function name\. Please change @app\.function_name\(\)"),
    ("no trigger", '@app.function_name("lonely")\ndef lonely(): ...', r"function_app\.py: .*lonely.*trigger"),
    ("a parameter without a binding", http_function("f", parameters="req, extra"),
     r"function 'f' \(.*function_app\.py\): .* declared in Python but by no binding: \['extra'\]; remove them"),
    ("a binding without a parameter", http_function("f", parameters=""),
     r"declared by bindings but not in Python: \['req'\]; add them"),
    ("stars", http_function("f", parameters="req, *rest"), r"\*rest is not supported; name every parameter"),
    ("a union", http_function("f", parameters="req: func.HttpRequest | None"),
     r"'req' has the invalid non-type annotation .*HttpRequest.*one class; Optional and Union"),
    ("the wrong class", http_function("f", parameters="req: func.TimerRequest"),
     r"the type of 'req' \(httpTrigger\) does not match its Python annotation TimerRequest"),
    ("an annotation that is not there", http_function("f", parameters="req: 'Nowhere'"),
     r"its annotations cannot be read: NameError: name 'Nowhere' is not defined"),
    ("a context that is none", http_function("f", parameters="req, context: int"),
     r"its annotation must be func\.Context, not int"),
    ("an output that is none", "@app.route()\ndef f(req: func.Out[str]): ...", r"annotation must be no func\.Out"),
    ("a wrong answer", "@app.route()\ndef f(req) -> int: ...", r"type of '\$return' \(http\) .* annotation int"),
    ("an activity of a union", "@app.activity_trigger(input_name='n')\ndef f(n: int | None): ...",
     r"'n' has the invalid non-type annotation int \| None"),
    ("a list by its own name",
     "@app.queue_output('q', 'out', 'Storage')\n@app.route()\ndef f(req, q: func.Out[list[str]]) -> str: ...",
     r"type of 'q' \(queue\) does not match .* list\[str\]; .*; write typing\.List instead of list"),
    ("a context by another name", "@app.orchestration_trigger(context_name='ctx')\ndef f(ctx): ...",
     r"write context_name=\"context\""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("functions", "message"), [row[1:] for row in WHOLE_APP], ids=[row[0] for row in WHOLE_APP]
)
def test_a_fault_of_the_script_is_one_of_the_whole_app(
    tmp_path: Path, functions: str, message: str
) -> None:
    app = v2_app(tmp_path, functions)
    with pytest.raises(ConfigError) as refusal, loaded(app):
        pass
    text = str(refusal.value)
    assert text.startswith("Worker failed to index functions: ")
    assert re.search(message, text, re.DOTALL), text
    assert str(tmp_path) in text
    assert "Traceback" not in text


ONE_FUNCTION: list[tuple[str, str, str]] = [
    ("a name that is none", http_function("f", decorators='@app.function_name("1f")\n@app.route()'),
     r"The '1f' function is in error: .*function_app\.py: '1f' is no function name; use letters"),
    ("the name host", http_function("f", decorators='@app.function_name("Host")\n@app.route()'),
     r"The 'Host' function is in error: .*do not use 'host'"),
    ("names that differ in case", http_function("F", decorators='@app.function_name("PING")\n@app.route()'),
     r"Function (PING|ping) does not have a unique function name"),
    ("a setting that is not there",
     http_function("f", decorators="@app.route()\n@app.generic_input_binding(arg_name='c', type='durableClient', "
                   "taskHub='%NOWHERE%')", parameters="req, c"),
     r"The 'f' function is in error: .*'%NOWHERE%' does not resolve to a value\. Add NOWHERE to the Values"),
    ("an odd percent sign",
     http_function("f", decorators="@app.route()\n@app.generic_input_binding(arg_name='c', type='durableClient', "
                   "taskHub='50%')", parameters="req, c"),
     r"'50%' has a % without a second one"),
    ("a binding type that is not served",
     http_function("f", decorators="@app.route()\n@app.generic_input_binding(arg_name='c', type='teapot')",
                   parameters="req, c"),
     r"The binding type\(s\) 'teapot' \(binding 'c', direction in\) are not served here\. Known bindings"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "message"), [row[1:] for row in ONE_FUNCTION], ids=[row[0] for row in ONE_FUNCTION]
)
def test_a_fault_of_one_declaration_leaves_the_others_alone(
    tmp_path: Path, function: str, message: str
) -> None:
    with loaded(v2_app(tmp_path, PING + function)) as found:
        assert names(found) == ["ping"]
        (failure,) = found.failures
        assert re.search(message, failure.message, re.DOTALL), failure.message
        assert "function_app.py" in failure.message


def test_an_underscore_in_a_binding_name_works_and_is_said(tmp_path: Path) -> None:
    function = "@app.activity_trigger(input_name='my_input')\ndef f(my_input): ..."
    with loaded(v2_app(tmp_path, function)) as found:
        assert names(found) == ["f"]
        (deviation,) = found.deviations
        assert deviation.rule is Rule.BINDING_UNDERSCORE
        assert "'my_input' of function 'f' has an underscore" in deviation.message


def test_two_activities_of_one_durable_name(tmp_path: Path) -> None:
    functions = """
    @app.activity_trigger(input_name="n", activity="Same")
    def one(n): ...

    @app.activity_trigger(input_name="n", activity="SAME")
    def two(n): ...
    """
    with loaded(v2_app(tmp_path, functions)) as found:
        assert names(found) == ["one"]
        assert "durable name 'SAME' is that of function 'one'; rename one" in (
            found.failures[0].message
        )


def test_annotations_that_the_worker_takes(tmp_path: Path) -> None:
    functions = """
    import typing

    @app.route()
    @app.durable_client_input(client_name="client")
    async def one(req: func.HttpRequest, client: df.DurableOrchestrationClient, context: func.Context
                  ) -> func.HttpResponse: ...

    @app.route(route="b")
    def two(req: str) -> str: ...

    @app.activity_trigger(input_name="items")
    def three(items: typing.List[int]) -> typing.Optional[int]: ...

    @app.activity_trigger(input_name="items")
    def four(items: dict[str, int]) -> int: ...

    @app.route(route="c")
    @app.queue_output(arg_name="sent", queue_name="out", connection="Storage")
    def five(req, sent: func.Out[typing.List[str]]) -> str: ...
    """
    with loaded(v2_app(tmp_path, functions)) as found:
        assert names(found) == ["five", "four", "one", "three", "two"]
        assert not found.failures
