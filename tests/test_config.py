from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator import config
from emulator.config import Flags
from emulator.errors import ConfigError, PreconditionError
from emulator.settings import LogLevel, ManagementUrls, Parity, Settings, StorageKind
from tests.support.apps import write_app

OVERRIDE = "AzureFunctionsJobHost__"
DURABLE = f"{OVERRIDE}extensions__durableTask__"


def read(
    folder: Path,
    host: Any = None,
    local: Any = None,
    environment: Mapping[str, str] | None = None,
    **flags: Any,
) -> Settings:
    files = {"host.json": {"version": "2.0"} if host is None else host}
    if local is not None:
        files["local.settings.json"] = local
    return config.load(write_app(folder, files), Flags(**flags), environment or {})


def durable(**members: Any) -> dict[str, Any]:
    return {"version": "2.0", "extensions": {"durableTask": members}}


def values(**members: Any) -> dict[str, Any]:
    return {"IsEncrypted": False, "Values": members}


# --- where the app is ---------------------------------------------------------------------------------------------


def test_the_app_is_the_first_folder_upward_with_a_settings_file(tmp_path: Path) -> None:
    write_app(tmp_path / "app", {"inner/deep/x.txt": ""})
    assert config.find_root(tmp_path / "app/inner/deep") == (tmp_path / "app").resolve()


def test_local_settings_alone_mark_an_app(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text("{}")
    assert config.find_root(tmp_path) == tmp_path.resolve()


def test_a_folder_without_an_app_is_refused_in_the_words_of_core_tools(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError) as refusal:
        config.find_root(tmp_path)
    assert str(refusal.value).startswith(
        "Unable to find project root. Expecting to find one of host.json, local.settings.json in project root"
    )
    assert str(tmp_path) in str(refusal.value)


def test_what_is_no_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder; name the folder of a function app"):
        config.find_root(tmp_path / "nowhere")


# --- host.json ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["{}", " {} ", "// nothing\n{ }"])
def test_an_empty_host_json_stands_for_the_default(tmp_path: Path, host: str) -> None:
    assert read(tmp_path, host).hub.hub_name == "TestHubName"


def test_without_host_json_the_default_holds_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text("{}")
    assert config.load(tmp_path, Flags(), {}).http.route_prefix == "api"
    assert [path.name for path in tmp_path.iterdir()] == ["local.settings.json"]


def test_comments_trailing_commas_and_any_case_are_tolerated(tmp_path: Path) -> None:
    text = """
    { // the version
      "Version": "2.0", /* and
      the hub */ "EXTENSIONS": { "durabletask": { "HubName": "Http//Hub", }, },
    }
    """.replace("Http//Hub", "Hub1")
    assert read(tmp_path, text).hub.hub_name == "Hub1"


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    write_app(tmp_path, {})
    (tmp_path / "host.json").write_bytes(b'\xef\xbb\xbf{"version": "2.0"}')
    assert config.load(tmp_path, Flags(), {}).hub.partition_count == 4


BAD_HOST_JSON: list[tuple[Any, str]] = [
    ('{"version": "2.0"', r"host\.json, line 1, column \d+: Expecting .* The line is: \{\"version\""),
    ('{\n  "version": 2.0.1\n}', r"host\.json, line 2, column"),
    ("[]", r"host\.json must be a JSON object, in braces, not \[\]"),
    ('{"logging": {}}', r'host\.json: "version" must be "2\.0", not null; add'),
    ({"version": "1.0"}, r'"version" must be "2\.0", not "1\.0"'),
    ({"version": "2.0", "extensions": []}, r"host\.json: extensions is \[\], but it must be an object"),
    (durable(hubName="1abc"), r"host\.json: extensions\.durableTask\.hubName.*1abc"),
    (durable(hubName="a b"), r"extensions\.durableTask\.hubName"),
    (durable(hubName="%HUB%"), r"hubName: '%HUB%' does not resolve to a value\. Add HUB to"),
    (durable(hubName="Hub%HUB%"), r"extensions\.durableTask\.hubName"),
    (durable(hubName={}), r"hubName is \{\}, but it must be text"),
    (durable(storageProvider={"type": "mssql"}), r"type is 'mssql', and only AzureStorage is supported"),
    (durable(storageProvider={"partitionCount": 17}), r"partitionCount is 17, .* from 1 to 16"),
    (durable(storageProvider={"partitionCount": 0}), r"partitionCount is 0, .* from 1 to 16"),
    (durable(storageProvider={"partitionCount": True}), r"partitionCount is true"),
    (durable(storageProvider={"cacheSizeMB": 0}), r"cacheSizeMB is 0, .* at least 1"),
    (durable(storageProvider={"controlQueueBatchSize": 33}), r"controlQueueBatchSize is 33, .* from 1 to 32"),
    (durable(storageProvider={"maxQueuePollingInterval": "soon"}), r"is \"soon\", but it must be a duration hh:mm:ss"),
    (durable(storageProvider={"useTablePartitionManagement": 0}), r"useTablePartitionManagement is 0"),
    (durable(storageProvider={"useLegacyPartitionManagement": True}), r"Legacy.* is true, .* not supported"),
    (durable(maxConcurrentActivityFunctions=0), r"maxConcurrentActivityFunctions is 0, .* at least 1"),
    (durable(maxConcurrentOrchestratorFunctions=-1), r"maxConcurrentOrchestratorFunctions is -1"),
    (durable(overridableExistingInstanceStates="Some"), r"must be NonRunningStates or AnyState"),
    (durable(httpSettings={"useForwardedHost": "maybe"}), r"useForwardedHost is \"maybe\", .* true or false"),
    ({"version": "2.0", "functionTimeout": "ten"}, r"functionTimeout is \"ten\""),
    ({"version": "2.0", "functionTimeout": "00:00:00"}, r"functionTimeout .* at least 1 seconds"),
    ({"version": "2.0", "functions": "Hello"}, r"functions is \"Hello\", .* a list of names"),
    ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, r"logging\.logLevel\.default is \"Loud\""),
    ({"version": "2.0", "logging": {"logLevel": "Debug"}}, r"logging\.logLevel is \"Debug\", .* an object"),
]  # fmt: skip


@pytest.mark.parametrize(("host", "message"), BAD_HOST_JSON)
def test_a_bad_host_json_is_refused_with_file_member_and_cure(
    tmp_path: Path, host: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, host)
    text = str(refusal.value)
    assert re.search(message, text), text
    assert str(tmp_path / "host.json") in text


def test_a_host_json_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_app(tmp_path, {})
    (tmp_path / "host.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match=r"host\.json cannot be read: .* UTF-8 text file"):
        config.load(tmp_path, Flags(), {})


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (None, timedelta(minutes=30)),
        ("00:10:00", timedelta(minutes=10)),
        ("1.00:00:00", timedelta(days=1)),
        ("-1", None),
        pytest.param(-1, None, id="number"),
        ("-00:00:01", None),
    ],
)
def test_the_function_timeout(tmp_path: Path, timeout: object, expected: timedelta | None) -> None:
    host = {"version": "2.0", **({} if timeout is None else {"functionTimeout": timeout})}
    assert read(tmp_path, host).app.function_timeout == expected


@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        ({}, "api"),
        ({"routePrefix": ""}, ""),
        ({"routePrefix": "v1/x"}, "v1/x"),
        ({"routePrefix": "/v1/"}, "v1"),
    ],
)
def test_the_route_prefix(tmp_path: Path, host: Mapping[str, str], prefix: str) -> None:
    content = {"version": "2.0", "extensions": {"http": host}}
    assert read(tmp_path, content).http.route_prefix == prefix


@pytest.mark.parametrize(
    ("configured", "site", "expected"),
    [
        (None, None, "TestHubName"),
        ("MyHub", "site", "MyHub"),
        ("%HUB%", None, "FromSetting"),
        (None, "my-site", "mysite"),
        (None, "x", "xHub"),
        (None, "s" * 60, "s" * 45),
    ],
)
def test_the_hub_name(
    tmp_path: Path, configured: str | None, site: str | None, expected: str
) -> None:
    environment = {"HUB": "FromSetting", **({"WEBSITE_SITE_NAME": site} if site else {})}
    host = durable(hubName=configured) if configured else durable()
    assert read(tmp_path, host, environment=environment).hub.hub_name == expected


# --- settings that override ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        f"{DURABLE}hubName",
        f"{DURABLE}hubName".upper(),
        "AzureFunctionsJobHost:extensions:durableTask:hubName",
    ],
)
def test_a_setting_overrides_a_member_of_host_json_in_any_case(tmp_path: Path, name: str) -> None:
    host = durable(hubName="FromFile")
    assert read(tmp_path, host, environment={name: "FromSetting"}).hub.hub_name == "FromSetting"
    local = values(**{name: "FromLocal"})
    assert read(tmp_path, host, local).hub.hub_name == "FromLocal"


def test_lists_and_levels_are_overridden_by_their_members(tmp_path: Path) -> None:
    host = {"version": "2.0", "functions": ["A"], "logging": {"logLevel": {"Function": "Error"}}}
    environment = {
        f"{OVERRIDE}functions__0": "B",
        f"{OVERRIDE}functions__1": "C",
        f"{OVERRIDE}logging__logLevel__default": "debug",
        f"{OVERRIDE}extensions__http__routePrefix": "",
    }
    settings = read(tmp_path, host, environment=environment)
    assert settings.app.functions == ("B", "C")
    assert settings.log_levels == {"Function": LogLevel.ERROR, "default": LogLevel.DEBUG}
    assert settings.http.route_prefix == ""


def test_an_override_that_is_wrong_names_the_member(tmp_path: Path) -> None:
    environment = {f"{DURABLE}storageProvider__partitionCount": "many"}
    with pytest.raises(ConfigError, match=r'partitionCount is "many", but it must be'):
        read(tmp_path, environment=environment)


# --- local.settings.json ------------------------------------------------------------------------------------------


def test_the_environment_wins_unless_it_is_empty(tmp_path: Path) -> None:
    local = values(Both="local", Empty="local", OnlyLocal="local", Nothing="")
    environment = {"Both": "process", "Empty": "", "OnlyProcess": "process"}
    settings = read(tmp_path, None, local, environment)
    assert settings.app.values == {
        "Both": "process",
        "Empty": "local",
        "OnlyLocal": "local",
        "OnlyProcess": "process",
        "Nothing": "",
    }
    assert settings.notices == (
        "Skipping 'Both' from local settings as it's already defined in current environment variables.",
    )


def test_scalars_become_text_and_nulls_are_passed_over(tmp_path: Path) -> None:
    settings = read(tmp_path, None, values(Yes=True, Number=7, Part=1.5, Gone=None))
    assert settings.app.values == {"Yes": "True", "Number": "7", "Part": "1.5"}
    assert "Skipping 'Gone' from local settings as its value is null" in settings.notices[0]


def test_connection_strings_are_settings_under_their_prefix(tmp_path: Path) -> None:
    local = {"ConnectionStrings": {"A": "x=1", "B": {"ConnectionString": "y=2"}}}
    settings = read(tmp_path, None, local)
    assert settings.app.get("ConnectionStrings:A") == "x=1"
    assert settings.app.get("connectionstrings:b") == "y=2"


def test_the_host_section_gives_port_address_and_cors(tmp_path: Path) -> None:
    host = {
        "LocalHttpPort": 7072,
        "LocalHttpAddress": "::1",
        "CORS": "a, b",
        "CORSCredentials": True,
    }
    http = read(tmp_path, None, {"Host": host}).http
    assert (http.port, http.address, http.cors_origins) == (7072, "::1", ("a", "b"))
    assert http.cors_credentials
    flagged = read(tmp_path, None, {"Host": host}, port=7, address="127.0.0.2", cors="*").http
    assert (flagged.port, flagged.address, flagged.cors_origins) == (7, "127.0.0.2", ("*",))


def test_a_key_vault_reference_is_left_as_it_is_and_said(tmp_path: Path) -> None:
    text = "@Microsoft.KeyVault(SecretUri=https://x)"
    settings = read(tmp_path, None, values(Secret=text))
    assert settings.app.get("Secret") == text
    assert "'Secret' is a Key Vault reference" in settings.notices[0]


BAD_LOCAL_SETTINGS: list[tuple[Any, str]] = [
    ('{"Values": ', r"local\.settings\.json, line 1, column"),
    ("[1]", r"must be a JSON object, in braces, not \[1\]"),
    ({"IsEncrypted": True}, r"IsEncrypted is true, .* Run `func settings decrypt`"),
    ({"Values": []}, r"Values must be a JSON object"),
    (values(A={"b": 1}), r"Values\.A must be text, but it is an object; write the value in quotes"),
    (values(A=[1]), r"Values\.A must be text, but it is a list"),
    ({"ConnectionStrings": {"A": {}}}, r"ConnectionStrings\.A\.ConnectionString must be text"),
    ({"Host": {"LocalHttpPort": "x"}}, r"Host\.LocalHttpPort: 'x' is no port; use a number from 1"),
    (values(FUNCTIONS_WORKER_RUNTIME="node"), r"FUNCTIONS_WORKER_RUNTIME is 'node', and only Python"),
    (values(PYTHON_SCRIPT_FILE_NAME="../x.py"), r"PYTHON_SCRIPT_FILE_NAME is '\.\./x\.py', which is no"),
]  # fmt: skip


@pytest.mark.parametrize(("local", "message"), BAD_LOCAL_SETTINGS)
def test_bad_local_settings_are_refused_with_file_member_and_cure(
    tmp_path: Path, local: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, None, local)
    text = str(refusal.value)
    assert re.search(message, text), text
    assert "local.settings.json" in text or "PYTHON_SCRIPT_FILE_NAME" in text


@pytest.mark.parametrize(
    ("value", "threads", "said"),
    [
        ("3", 3, False),
        ("0", None, True),
        ("-1", None, True),
        ("many", None, True),
        ("²", None, True),
    ],
)
def test_a_senseless_thread_count_is_said_and_the_default_holds(
    tmp_path: Path, value: str, threads: int | None, said: bool
) -> None:
    default = read(tmp_path).app.thread_count
    settings = read(tmp_path, environment={"PYTHON_THREADPOOL_THREAD_COUNT": value})
    assert settings.app.thread_count == (threads or default)
    assert ["PYTHON_THREADPOOL_THREAD_COUNT is" in notice for notice in settings.notices] == (
        [True] if said else []
    )


def test_extended_sessions_are_ignored_with_a_word(tmp_path: Path) -> None:
    (notice,) = read(tmp_path, durable(extendedSessionsEnabled=True)).notices
    assert "extendedSessionsEnabled is true" in notice


# --- flags --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"port": 65536}, r"--port: 65536 is no port"),
        ({"port": -1}, r"--port: -1 is no port"),
        ({"parity": "loose"}, r"--parity: 'loose' is none of warn, strict"),
        ({"management_urls": "x"}, r"--management-urls: 'x' is none of auto, webhooks, admin"),
        (
            {"storage": "nosuch"},
            r"--storage names the connection 'nosuch', and there is no such setting",
        ),
        ({"storage": "memory:x"}, r"--storage names the connection 'memory:x'"),
    ],
)
def test_a_senseless_flag_is_refused_by_name(
    tmp_path: Path, flags: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, **flags)


def test_words_of_flags_are_compared_without_case(tmp_path: Path) -> None:
    settings = read(tmp_path, parity="STRICT", management_urls="Admin")
    assert settings.parity is Parity.STRICT
    assert settings.http.management_urls is ManagementUrls.ADMIN


# --- the store ----------------------------------------------------------------------------------------------------

DEVELOPMENT = "UseDevelopmentStorage=true"


@pytest.mark.parametrize(
    "setting",
    [
        "AzureWebJobsStorage",
        "azurewebjobsstorage",
        "ConnectionStrings:AzureWebJobsStorage",
        "ConnectionStrings__AzureWebJobsStorage",
    ],
)
def test_the_default_connection_is_found_under_each_of_its_names(
    tmp_path: Path, setting: str
) -> None:
    storage = read(tmp_path, environment={setting: DEVELOPMENT}).storage
    assert (storage.kind, storage.connection) == (StorageKind.AZURE, "Storage")
    assert storage.connection_string == DEVELOPMENT


@pytest.mark.parametrize("setting", ["Mine", "AzureWebJobsMine", "ConnectionStrings:Mine"])
@pytest.mark.parametrize("member", ["connectionName", "connectionStringName"])
@pytest.mark.parametrize("name", ["Mine", "%WHICH%"])
def test_host_json_names_another_connection(
    tmp_path: Path, setting: str, member: str, name: str
) -> None:
    host = durable(storageProvider={member: name})
    storage = read(tmp_path, host, environment={setting: "A=b", "WHICH": "Mine"}).storage
    assert (storage.connection, storage.connection_string) == ("Mine", "A=b")


def test_a_connection_without_a_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"connectionName names the connection 'Mine', and there"):
        read(tmp_path, durable(storageProvider={"connectionName": "Mine"}))


@pytest.mark.parametrize("separator", ["__", ":"])
def test_an_identity_based_connection(tmp_path: Path, separator: str) -> None:
    environment = {f"AzureWebJobsStorage{separator}accountName": "acc"}
    storage = read(tmp_path, environment=environment).storage
    assert storage.kind is StorageKind.AZURE
    assert storage.service_uris == {"accountName": "acc"}


def test_without_a_connection_state_lies_beside_the_app(tmp_path: Path) -> None:
    storage = read(tmp_path).storage
    assert storage.kind is StorageKind.EMBEDDED
    assert storage.path == tmp_path.resolve() / ".durable/state.db"


@pytest.mark.parametrize(
    ("flag", "kind"),
    [
        ("memory", StorageKind.MEMORY),
        ("embedded", StorageKind.EMBEDDED),
        ("embedded:here.db", StorageKind.EMBEDDED),
        ("AccountName=x;AccountKey=eA==", StorageKind.AZURE),
    ],
)
def test_the_storage_flag_overrides_the_setting(
    tmp_path: Path, flag: str, kind: StorageKind
) -> None:
    storage = read(tmp_path, environment={"AzureWebJobsStorage": DEVELOPMENT}, storage=flag).storage
    assert storage.kind is kind
    assert storage.path is None or storage.path.is_absolute()


# --- what user code sees ------------------------------------------------------------------------------------------


def test_user_code_gets_the_environment_of_core_tools(tmp_path: Path) -> None:
    settings = read(tmp_path, None, values(Mine="1"), port=7073)
    environment: dict[str, str] = {}
    config.apply_environment(settings, environment)
    assert environment == {
        "Mine": "1",
        "WEBSITE_HOSTNAME": "localhost:7073",
        "AzureWebJobsScriptRoot": str(tmp_path.resolve()),
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "FUNCTIONS_CORETOOLS_ENVIRONMENT": "True",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_WORKER_RUNTIME_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}",
        "PYTHON_ENABLE_DEBUG_LOGGING": "1",
    }


def test_a_host_name_of_the_users_stays(tmp_path: Path) -> None:
    settings = read(tmp_path, environment={"WEBSITE_HOSTNAME": "me:1"})
    environment: dict[str, str] = {}
    config.apply_environment(settings, environment)
    assert environment["WEBSITE_HOSTNAME"] == "me:1"
