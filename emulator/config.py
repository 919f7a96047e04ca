"""From flags, environment, host.json and local.settings.json to Settings: the only reader of the environment.

Precedence: flags, then the process environment (non-empty), then local.settings.json, then host.json for what only it
holds; `AzureFunctionsJobHost__a__b` settings override host.json. Source: reference functions-host.md 1.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from emulator.engine.clock import SystemZone
from emulator.errors import ConfigError, PreconditionError
from emulator.host.expressions import resolve_settings, resolve_whole
from emulator.host.host_json import OVERRIDE_PREFIX, HostJson, json_object, read_json_file
from emulator.host.local_settings import (
    LOCAL_SETTINGS,
    LocalSettings,
    merged,
    read_local_settings,
)
from emulator.settings import (
    MIB,
    AppSettings,
    HttpSettings,
    HubSettings,
    LogLevel,
    ManagementUrls,
    Parity,
    QueueSettings,
    Settings,
    StorageKind,
    StorageSettings,
)
from emulator.wire.names import sanitise_hub_name, validate_hub_name

C = TypeVar("C", Parity, ManagementUrls)

HOST_JSON: Final = "host.json"
DEFAULT_STORAGE: Final = "AzureWebJobsStorage"
STATE_FOLDER: Final = ".durable"
THREADS_DEFAULT_MAX: Final = 32
QUEUE_POLLING_MIN_S: Final = 0.1
"""Source: WebJobs Storage extension, QueuesOptions."""
HOST_ID_LENGTH_MAX: Final = 32
"""Source: Functions host, HostIdValidator."""
PYTHON: Final = "python"
RUNTIME: Final = "FUNCTIONS_WORKER_RUNTIME"
THREADS: Final = "PYTHON_THREADPOOL_THREAD_COUNT"
_IDENTITY_MEMBERS: Final = (
    "accountName",
    "blobServiceUri",
    "queueServiceUri",
    "tableServiceUri",
    "credential",
    "clientId",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None where it says nothing."""

    port: int | None = None
    address: str | None = None
    storage: str | None = None
    verbose: bool = False
    start_azurite: bool = True
    enable_auth: bool = False
    cors: str | None = None
    cors_credentials: bool = False
    management_urls: str | None = None
    parity: str | None = None
    always_replay: bool = False
    functions: tuple[str, ...] | None = None


def process_environment() -> dict[str, str]:
    """A copy of the process's environment."""
    return dict(os.environ)


def set_default(name: str, value: str) -> None:
    """Give the process a variable that it does not have."""
    os.environ.setdefault(name, value)


def forget_variable(name: str) -> None:
    """Take a variable out of the process's environment, if it is there."""
    os.environ.pop(name, None)


def is_app(folder: Path) -> bool:
    """Whether a folder is an app's: it holds host.json or local.settings.json."""
    return (folder / HOST_JSON).exists() or (folder / LOCAL_SETTINGS).exists()


def find_root(start: Path) -> Path:
    """The app's folder: the first from here upward that holds host.json or local.settings.json.

    Raises:
        ConfigError: `start` is no folder.
        PreconditionError: there is none.
    """
    if not start.is_dir():
        raise ConfigError(f"{start} is no folder; name the folder of a function app")
    for folder in (start.resolve(), *start.resolve().parents):
        if is_app(folder):
            return folder
    raise PreconditionError(
        f"Unable to find project root. Expecting to find one of {HOST_JSON}, {LOCAL_SETTINGS} in project root: looked "
        f"in {start.resolve()} and the folders above it; name the folder of a function app, or add a {HOST_JSON}"
    )


def root_if_any(start: Path) -> Path:
    """The app's folder, or, where there is none, the folder itself."""
    try:
        return find_root(start)
    except (ConfigError, PreconditionError):
        return start.resolve()


def load(
    app: Path, flags: Flags, environment: Mapping[str, str], *, needs_app: bool = True
) -> Settings:
    """Read everything once.

    Args:
        app: a folder of the app, see find_root().
        environment: the process's environment.
        needs_app: whether there must be an app; without one, flags, environment and defaults are all there is.

    Raises:
        ConfigError: a file, field, setting or flag is wrong; says which, why, and what to do.
        PreconditionError: there is no app in the folder.
    """
    root = find_root(app) if needs_app else root_if_any(app)
    local = read_local_settings(root)
    values, notices = merged(local, environment)
    lookup = AppSettings(root=root, values=values)
    host = HostJson(_read_host_json(root), _overrides(values), str(root / HOST_JSON))
    http = _http(host, lookup, local, flags)
    hub = _hub(host, lookup, http.port)
    return Settings(
        app=_app(host, lookup, flags),
        http=http,
        hub=hub,
        storage=_storage(host, lookup, flags),
        queues=_queues(host),
        host_id=_host_id(lookup, hub),
        parity=_choice(Parity, flags.parity, "--parity"),
        always_replay=flags.always_replay,
        verbose=flags.verbose,
        log_levels=host.choices("logging.logLevel", LogLevel),
        notices=(*notices, *_notices(host, lookup)),
    )


def apply_environment(
    settings: Settings, environment: MutableMapping[str, str] | None = None
) -> None:
    """Give user code the environment that Core Tools gives it: app settings, host name, app folder."""
    target = os.environ if environment is None else environment
    for name, value in settings.app.values.items():
        target[name] = value
    tell_port(settings, settings.http.port, target)
    target["AzureWebJobsScriptRoot"] = str(settings.app.root)
    target["AZURE_FUNCTIONS_ENVIRONMENT"] = "Development"
    target["FUNCTIONS_CORETOOLS_ENVIRONMENT"] = "True"
    target["FUNCTIONS_WORKER_RUNTIME_VERSION"] = (
        f"{sys.version_info.major}.{sys.version_info.minor}"
    )
    target.setdefault("FUNCTIONS_WORKER_RUNTIME", PYTHON)
    target.setdefault("PYTHON_ENABLE_DEBUG_LOGGING", "1")


def tell_port(
    settings: Settings, port: int, environment: MutableMapping[str, str] | None = None
) -> None:
    """Tell user code where the host listens, which is not known before it does if any free port will do."""
    target = os.environ if environment is None else environment
    target["WEBSITE_HOSTNAME"] = settings.http.website_hostname or f"localhost:{port}"


# --- parts --------------------------------------------------------------------------------------------------------


def _read_host_json(root: Path) -> Mapping[str, object]:
    """The file; missing or `{}` it stands for the default one."""
    path = root / HOST_JSON
    content = json_object(read_json_file(path), str(path)) if path.exists() else None
    return content or {"version": "2.0"}


def _overrides(values: Mapping[str, str]) -> Mapping[str, str]:
    """Settings that stand for members of host.json, by their dotted path in lower case."""
    prefixes = (OVERRIDE_PREFIX.lower(), OVERRIDE_PREFIX.lower().replace("__", ":"))
    found: dict[str, str] = {}
    for name, value in values.items():
        for prefix in prefixes:
            if name.lower().startswith(prefix):
                path = name[len(prefix) :].replace("__", ".").replace(":", ".")
                found[path.lower()] = value
    return found


def _app(host: HostJson, lookup: AppSettings, flags: Flags) -> AppSettings:
    version = host.text("version")
    if version != "2.0":
        raise ConfigError(
            f'{host.where}: "version" must be "2.0", not {json.dumps(version)}; add "version": "2.0"'
        )
    runtime = lookup.get(RUNTIME)
    if runtime and runtime.lower() != PYTHON:
        raise ConfigError(
            f"{RUNTIME} is {runtime!r}, and only Python apps run here; set it to {PYTHON} in the Values of "
            f"{lookup.root / LOCAL_SETTINGS} or in the environment"
        )
    return replace(
        lookup,
        script_file=_script_file(lookup),
        functions=flags.functions if flags.functions is not None else host.names("functions"),
        watched_files=frozenset(host.names("watchFiles") or ()),
        watched_folders=frozenset(host.names("watchDirectories") or ()),
        function_timeout=host.timeout(
            "functionTimeout", AppSettings(root=lookup.root).function_timeout
        ),
        thread_count=_thread_count(lookup) or min(THREADS_DEFAULT_MAX, (os.cpu_count() or 1) + 4),
    )


def _thread_count(lookup: AppSettings) -> int | None:
    """The number of threads that the app's settings ask for; None if they ask for none or for nonsense."""
    text = lookup.get(THREADS) or ""
    return int(text) or None if re.fullmatch(r"[0-9]{1,4}", text) else None


def _notices(host: HostJson, lookup: AppSettings) -> tuple[str, ...]:
    """What is not taken as it is written; the real host says so too, and goes on."""
    notices: list[str] = []
    if lookup.get(THREADS) and _thread_count(lookup) is None:
        notices.append(
            f"{THREADS} is {lookup.get(THREADS)!r}, which is no whole number of at least 1; the default is used."
        )
    path = "extensions.durableTask.extendedSessionsEnabled"
    if host.flag(path, default=False):
        notices.append(
            f"{host.place(path)} is true; Python apps have no extended sessions, so it is ignored."
        )
    return tuple(notices)


def _script_file(lookup: AppSettings) -> str:
    name = lookup.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_\-]*\.py", name):
        raise ConfigError(
            f"PYTHON_SCRIPT_FILE_NAME is {name!r}, which is no file name of the form name.py; "
            "use letters, digits, _ and -"
        )
    return name


def _http(host: HostJson, lookup: AppSettings, local: LocalSettings, flags: Flags) -> HttpSettings:
    defaults = HttpSettings()
    port = flags.port if flags.port is not None else local.host.get("localhttpport", defaults.port)
    address = flags.address or local.host.get("localhttpaddress") or defaults.address
    cors = flags.cors if flags.cors is not None else local.host.get("cors")
    return HttpSettings(
        address=str(address),
        port=_port(
            port, "--port" if flags.port is not None else f"{LOCAL_SETTINGS}: Host.LocalHttpPort"
        ),
        route_prefix=(host.text("extensions.http.routePrefix") or "").strip("/")
        if host.has("extensions.http.routePrefix")
        else defaults.route_prefix,
        custom_headers=host.texts("extensions.http.customHeaders"),
        cors_origins=tuple(o.strip() for o in str(cors).split(",") if o.strip()) if cors else (),
        cors_credentials=flags.cors_credentials
        or str(local.host.get("corscredentials", False)).lower() == "true",
        management_urls=_choice(ManagementUrls, flags.management_urls, "--management-urls"),
        enable_auth=flags.enable_auth,
        use_forwarded_host=host.flag(
            "extensions.durableTask.httpSettings.useForwardedHost", default=False
        ),
        has_home_page=(lookup.get("AzureWebJobsDisableHomepage") or "").lower() != "true",
        time_zone=SystemZone(),
        body_bytes_held_max=_payload_bytes_max(host) // 4,
        website_hostname=lookup.get("WEBSITE_HOSTNAME") or None,
    )


def _payload_bytes_max(host: HostJson) -> int:
    path = "extensions.durableTask.storageProvider.cacheSizeMB"
    return host.number(path, HubSettings().payload_bytes_max // MIB, 1) * MIB


def _port(value: object, where: str) -> int:
    try:
        port = int(str(value))
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise ConfigError(
            f"{where}: {value!r} is no port; use a number from 1 to 65535, or 0 for any free one"
        )
    return port


def _hub(host: HostJson, lookup: AppSettings, port: int) -> HubSettings:
    d = HubSettings()
    base = "extensions.durableTask"
    store = f"{base}.storageProvider"
    cores = os.cpu_count() or 1
    slots = 10 * cores
    _check_provider(host, store)
    return HubSettings(
        hub_name=_hub_name(host, lookup),
        partition_count=host.number(f"{store}.partitionCount", d.partition_count, 1, 16),
        control_queue_batch_size=host.number(
            f"{store}.controlQueueBatchSize", d.control_queue_batch_size, 1, 32
        ),
        control_queue_buffer_threshold=host.number(
            f"{store}.controlQueueBufferThreshold", d.control_queue_buffer_threshold, 1, 1000
        ),
        control_queue_visibility_timeout=host.span(
            f"{store}.controlQueueVisibilityTimeout", d.control_queue_visibility_timeout, 1
        ),
        work_item_queue_visibility_timeout=host.span(
            f"{store}.workItemQueueVisibilityTimeout", d.work_item_queue_visibility_timeout, 1
        ),
        handover_visibility_timeout=min(
            d.handover_visibility_timeout,
            host.span(
                f"{store}.workItemQueueVisibilityTimeout", d.work_item_queue_visibility_timeout, 1
            ),
            host.span(
                f"{store}.controlQueueVisibilityTimeout", d.control_queue_visibility_timeout, 1
            ),
        ),
        max_queue_polling_interval=host.span(
            f"{store}.maxQueuePollingInterval", d.max_queue_polling_interval, 0.05
        ),
        payload_bytes_max=_payload_bytes_max(host),
        fetch_large_messages=host.flag(f"{store}.fetchLargeMessagesAutomatically", default=True),
        store_inputs_in_history=host.flag(
            f"{base}.storeInputsInOrchestrationHistory", default=False
        ),
        max_concurrent_orchestrations=host.number(
            f"{base}.maxConcurrentOrchestratorFunctions", slots, 1
        ),
        max_concurrent_activities=host.number(f"{base}.maxConcurrentActivityFunctions", slots, 1),
        max_concurrent_entities=host.number(f"{base}.maxConcurrentEntityFunctions", slots, 1),
        max_orchestration_actions=host.number(
            f"{base}.maxOrchestrationActions", d.max_orchestration_actions, 1
        ),
        max_entity_operation_batch_size=host.number(
            f"{base}.maxEntityOperationBatchSize", d.max_entity_operation_batch_size, 1
        ),
        overridable_states=host.choice(
            f"{base}.overridableExistingInstanceStates", d.overridable_states
        ),
        default_http_sleep=host.milliseconds(
            f"{base}.httpSettings.defaultAsyncRequestSleepTimeMilliseconds", d.default_http_sleep
        ),
        default_version=host.text(f"{base}.defaultVersion"),
        version_match=host.choice(f"{base}.versionMatchStrategy", d.version_match),
        version_failure=host.choice(f"{base}.versionFailureStrategy", d.version_failure),
        base64_messages=(host.text(f"{store}.queueClientMessageEncoding") or "").lower()
        == "base64",
        use_app_lease=host.flag(f"{base}.useAppLease", default=True),
        use_table_partition_management=host.flag(
            f"{store}.useTablePartitionManagement", default=True
        ),
        app_name=lookup.get("WEBSITE_SITE_NAME") or "",
        worker_id=f"{socket.gethostname()}-{port or os.getpid()}",
        trace_inputs_and_outputs=host.flag(f"{base}.tracing.traceInputsAndOutputs", default=False),
    )


class _Encoding(StrEnum):
    BASE64 = "base64"
    NONE = "none"


def _queues(host: HostJson) -> QueueSettings:
    d = QueueSettings()
    base = "extensions.queues"
    batch = host.number(f"{base}.batchSize", d.batch_size, 1, 32)
    encoding = host.choice(f"{base}.messageEncoding", _Encoding.BASE64)
    return QueueSettings(
        batch_size=batch,
        new_batch_threshold=host.number(f"{base}.newBatchThreshold", batch // 2, 0),
        max_dequeue_count=host.number(f"{base}.maxDequeueCount", d.max_dequeue_count, 1),
        max_polling_interval=host.span(
            f"{base}.maxPollingInterval", d.max_polling_interval, QUEUE_POLLING_MIN_S
        ),
        visibility_timeout=host.span(f"{base}.visibilityTimeout", d.visibility_timeout, 0),
        base64_messages=encoding is _Encoding.BASE64,
    )


def _host_id(lookup: AppSettings, hub: HubSettings) -> str:
    chosen = lookup.get("AzureFunctionsWebHost__hostid") or hub.app_name or hub.hub_name
    return chosen.lower()[:HOST_ID_LENGTH_MAX]


def _check_provider(host: HostJson, store: str) -> None:
    kind = host.text(f"{store}.type")
    if kind is not None and kind.lower() != "azurestorage":
        raise ConfigError(
            f"{host.place(f'{store}.type')} is {kind!r}, and only AzureStorage is supported here; remove it, or set "
            "it to AzureStorage for local runs"
        )
    if host.flag(f"{store}.useLegacyPartitionManagement", default=False):
        raise ConfigError(
            f"{host.place(f'{store}.useLegacyPartitionManagement')} is true, and that way to deal out control "
            "queues is not supported here: it takes a queue from a host while its work is running. Remove it, for "
            "all hosts of the hub; useTablePartitionManagement: false deals them out by leases on blobs, too, "
            "without that"
        )


def _hub_name(host: HostJson, lookup: AppSettings) -> str:
    path = "extensions.durableTask.hubName"
    configured = host.text(path)
    if configured:
        name = resolve_whole(configured, lookup, host.place(path))
        return validate_hub_name(name, host.place(path))
    site = lookup.get("WEBSITE_SITE_NAME")
    return sanitise_hub_name(site) if site else HubSettings().hub_name


def _storage(host: HostJson, lookup: AppSettings, flags: Flags) -> StorageSettings:
    store = "extensions.durableTask.storageProvider"
    named = _connection_name(host, lookup, store)
    wanted = flags.storage
    default_path = lookup.root / STATE_FOLDER / "state.db"
    if wanted is not None:
        kind, _, rest = wanted.partition(":")
        if kind == "memory" and not rest:
            return StorageSettings(kind=StorageKind.MEMORY)
        if kind == "embedded":
            path = Path(rest) if rest else default_path
            return StorageSettings(kind=StorageKind.EMBEDDED, path=path.absolute())
        if "=" in wanted:
            return StorageSettings(
                kind=StorageKind.AZURE,
                connection_string=wanted,
                start_azurite=flags.start_azurite,
            )
        named = wanted
    name = named or DEFAULT_STORAGE
    connection = resolve_connection(name, lookup)
    if connection is None and wanted is None and named is None:
        return StorageSettings(kind=StorageKind.EMBEDDED, path=default_path)
    if connection is None:
        source = "--storage" if wanted is not None else host.place(f"{store}.connectionName")
        raise ConfigError(
            f"{source} names the connection {name!r}, and there is no such setting: add {name} to the Values of "
            f"{LOCAL_SETTINGS} or to the environment, or use --storage memory or --storage embedded"
        )
    return replace(
        connection,
        connection="Storage" if name == DEFAULT_STORAGE else name,
        start_azurite=flags.start_azurite,
    )


def _connection_name(host: HostJson, lookup: AppSettings, store: str) -> str | None:
    for member in ("connectionName", "connectionStringName"):
        path = f"{store}.{member}"
        name = host.text(path)
        if name:
            return resolve_settings(name, lookup, host.place(path))
    return None


def resolve_connection(name: str, lookup: AppSettings) -> StorageSettings | None:
    """The connection that a name stands for, as one string or as an identity-based section; None if there is none."""
    prefixed = name if name.lower().startswith("azurewebjobs") else f"AzureWebJobs{name}"
    for candidate in (
        f"ConnectionStrings:{prefixed}",
        prefixed,
        f"ConnectionStrings:{name}",
        name,
    ):
        value = lookup.get(candidate)
        if value:
            return StorageSettings(kind=StorageKind.AZURE, connection=name, connection_string=value)
    for candidate in (prefixed, name):
        section: dict[str, str] = {}
        for member in _IDENTITY_MEMBERS:
            value = lookup.get(f"{candidate}__{member}") or lookup.get(f"{candidate}:{member}")
            if value:
                section[member] = value
        if section:
            return StorageSettings(kind=StorageKind.AZURE, connection=name, service_uris=section)
    return None


def _choice(kind: type[C], value: str | None, flag: str) -> C:
    """A flag's word as the value it stands for; the first value if the flag was not given."""
    if value is None:
        return next(iter(kind))
    try:
        return kind(value.lower())
    except ValueError as error:
        words = ", ".join(str(word) for word in kind)
        raise ConfigError(f"{flag}: {value!r} is none of {words}") from error
