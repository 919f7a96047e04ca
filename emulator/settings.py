"""Every setting: its default, its unit, and where the default comes from. Frozen once read.

`config.py` makes these from flags, environment, host.json and local.settings.json; nobody else does. Durations are
timedelta. "Source" names the document or program whose default is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Final

PARTITION_COUNT_MAX: Final = 16
CONTROL_QUEUE_BATCH_SIZE_MAX: Final = 32
MIB: Final = 1024 * 1024


class StorageKind(StrEnum):
    """Which adapter keeps the state."""

    MEMORY = "memory"
    EMBEDDED = "embedded"
    AZURE = "azure"


class ManagementUrls(StrEnum):
    """Scheme of the management links that the host prints and hands out."""

    AUTO = "auto"
    """webhooks, or admin for apps that bind with the 2018 names."""
    WEBHOOKS = "webhooks"
    """`/runtime/webhooks/durabletask/...`"""
    ADMIN = "admin"
    """`/admin/extensions/DurableTaskExtension/...`"""


class Parity(StrEnum):
    """What to do where the real product would behave differently (docs: parity)."""

    WARN = "warn"
    STRICT = "strict"


class LogLevel(StrEnum):
    """Thresholds of `logging.logLevel`, lowest first."""

    TRACE = "Trace"
    DEBUG = "Debug"
    INFORMATION = "Information"
    WARNING = "Warning"
    ERROR = "Error"
    CRITICAL = "Critical"
    NONE = "None"


class OverridableStates(StrEnum):
    """Which existing instances a start with the same id may replace."""

    NON_RUNNING = "NonRunningStates"
    ANY = "AnyState"


class VersionMatch(StrEnum):
    """Which orchestration versions a host runs, measured by its defaultVersion."""

    NONE = "None"
    STRICT = "Strict"
    CURRENT_OR_OLDER = "CurrentOrOlder"


class VersionFailure(StrEnum):
    """What becomes of an instance whose version the host does not run."""

    REJECT = "Reject"
    """Its message goes back to the queue, for a host that does."""
    FAIL = "Fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where the state lies."""

    kind: StorageKind = StorageKind.EMBEDDED
    path: Path | None = None
    """File of the embedded store."""
    connection: str = "Storage"
    """Name of the connection as it appears in links (`connection=`); source: extension, AzureWebJobsStorage."""
    connection_string: str | None = None
    """Value of the connection setting, when it is one string."""
    service_uris: Mapping[str, str] = field(default_factory=dict[str, str])
    """Identity-based form: `accountName`, `blobServiceUri`, `queueServiceUri`, `tableServiceUri`, `credential`,
    `clientId`, as they follow the connection's name in the settings."""
    start_azurite: bool = True
    """Start Azurite when `UseDevelopmentStorage=true` and nobody listens."""
    development_ports: tuple[int, int, int] = (10000, 10001, 10002)
    """Where `UseDevelopmentStorage=true` finds blobs, queues and tables. Source: Azurite."""
    timeout: timedelta = timedelta(seconds=20)
    """Of one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """`extensions.durableTask` of host.json. Sources: reference azure-storage-provider.md 10, functions-host.md 1.1."""

    hub_name: str = "TestHubName"
    partition_count: int = 4
    control_queue_batch_size: int = 32
    control_queue_buffer_threshold: int = 256
    control_queue_visibility_timeout: timedelta = timedelta(minutes=5)
    work_item_queue_visibility_timeout: timedelta = timedelta(minutes=5)
    handover_visibility_timeout: timedelta = timedelta(seconds=30)
    """Time-out of messages that are put and handed on in memory; renewed while they are held. Ours: after a crash
    the message waits this long instead of the five minutes of a dequeued one."""
    payload_bytes_max: int = 256 * MIB
    """Payloads that are held in memory: a quarter each for bodies of HTTP requests (to the local listener, another
    quarter), messages of instances, histories of instances that wait, and activity requests; what runs comes on top.
    Ours: the real provider bounds only how many messages are held."""
    max_queue_polling_interval: timedelta = timedelta(seconds=30)
    fetch_large_messages: bool = True
    store_inputs_in_history: bool = False
    max_concurrent_orchestrations: int = 20
    max_concurrent_activities: int = 20
    max_concurrent_entities: int = 20
    max_orchestration_actions: int = 100_000
    max_entity_operation_batch_size: int = 5000
    entity_message_reorder_window: timedelta = timedelta(minutes=30)
    overridable_states: OverridableStates = OverridableStates.NON_RUNNING
    default_http_sleep: timedelta = timedelta(seconds=30)
    default_version: str | None = None
    version_match: VersionMatch = VersionMatch.CURRENT_OR_OLDER
    version_failure: VersionFailure = VersionFailure.REJECT
    max_short_timer: timedelta = timedelta(days=6)
    long_timer_interval: timedelta = timedelta(days=3)
    base64_messages: bool = False
    use_app_lease: bool = True
    use_table_partition_management: bool = True
    app_name: str = ""
    worker_id: str = "worker"
    lease_acquire_interval: timedelta = timedelta(seconds=10)
    lease_renew_interval: timedelta = timedelta(seconds=10)
    lease_interval: timedelta = timedelta(seconds=30)
    app_lease_interval: timedelta = timedelta(seconds=60)
    app_lease_renew_interval: timedelta = timedelta(seconds=25)
    app_lease_acquire_interval: timedelta = timedelta(seconds=300)
    trace_inputs_and_outputs: bool = False

    @property
    def activity_bytes_max(self) -> int:
        """Of activity requests that are held."""
        return self.payload_bytes_max // 4

    @property
    def partition_message_bytes_max(self) -> int:
        """Of messages that one partition holds."""
        return self.payload_bytes_max // 4 // self.partition_count

    @property
    def partition_session_bytes_max(self) -> int:
        """Of histories of one partition that are kept while their instances wait."""
        return self.payload_bytes_max // 4 // self.partition_count


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """`extensions.queues` of host.json. Source: reference functions-host.md 1.1."""

    batch_size: int = 16
    """Messages taken at once."""
    new_batch_threshold: int = 8
    """More are taken when no more than this many are being handled; half the batch size unless set."""
    max_dequeue_count: int = 5
    """Tries before a message goes to the poison queue."""
    max_polling_interval: timedelta = timedelta(seconds=2)
    """Source: the default in the Development environment, which Core Tools sets."""
    visibility_timeout: timedelta = timedelta(0)
    """Between a failed try and the next."""
    base64_messages: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The listeners. Sources: Core Tools, `extensions.http` of host.json."""

    address: str = "127.0.0.1"
    port: int = 7071
    rpc_port: int = 17071
    """Loopback listener of the SDK's client; another free port is taken if this one is not."""
    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    management_urls: ManagementUrls = ManagementUrls.AUTO
    enable_auth: bool = False
    use_forwarded_host: bool = False
    has_home_page: bool = True
    """False under AzureWebJobsDisableHomepage."""
    time_zone: tzinfo = UTC
    """Of the host: where times without a zone are, and the offset in which histories tell when work was scheduled."""
    website_hostname: str | None = None
    """WEBSITE_HOSTNAME; None means `localhost:<port>`."""
    max_body_bytes: int = 104_857_600
    head_timeout: timedelta = timedelta(seconds=30)
    """How long a client may take to send the request line and the headers. Source: Kestrel, RequestHeadersTimeout."""
    idle_timeout: timedelta = timedelta(seconds=130)
    """How long a connection may be open without a request. Source: Kestrel, KeepAliveTimeout."""
    body_bytes_held_max: int = 64 * MIB
    """Of all bodies that one listener holds at once. Ours: see HubSettings.payload_bytes_max."""
    body_timeout: timedelta = timedelta(seconds=100)
    """How long a client may take to send a body. Ours: the real server asks for 240 bytes a second."""
    readiness_timeout: timedelta = timedelta(seconds=30)
    """How long a request is held that comes before the host is ready. Source: reference functions-host.md 3.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """The function app."""

    root: Path
    script_file: str = "function_app.py"
    functions: tuple[str, ...] | None = None
    """Allow-list of host.json; None: all."""
    watched_files: frozenset[str] = frozenset()
    watched_folders: frozenset[str] = frozenset()
    """Names of files, and folders of the app, whose changes make a new beginning necessary, beside code and
    configuration (watchFiles and watchDirectories of host.json)."""
    function_timeout: timedelta | None = timedelta(minutes=30)
    thread_count: int = 6
    """Pool for synchronous functions. Source: PYTHON_THREADPOOL_THREAD_COUNT, else min(32, cores + 4)."""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """App settings as the app sees them: environment over local.settings.json. Looked up without case."""

    def get(self, name: str) -> str | None:
        """A setting by name: exact first, then without case, then with `__` for each `:`."""
        if name in self.values:
            return self.values[name]
        lowered = name.lower()
        value = next((v for k, v in self.values.items() if k.lower() == lowered), None)
        if value is None and ":" in name:
            return self.get(name.replace(":", "__"))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, frozen."""

    app: AppSettings
    hub: HubSettings = HubSettings()
    http: HttpSettings = HttpSettings()
    storage: StorageSettings = StorageSettings()
    queues: QueueSettings = QueueSettings()
    host_id: str = "host"
    """Names the app among those that share a store's locks, timers and receipts. Source:
    AzureFunctionsWebHost__hostid, else the site's or the hub's name."""
    parity: Parity = Parity.WARN
    always_replay: bool = False
    sticky_sessions_max: int = 1000
    """Orchestrators kept alive between episodes."""
    verbose: bool = False
    log_levels: Mapping[str, LogLevel] = field(default_factory=dict[str, LogLevel])
    """`logging.logLevel` of host.json, by category or prefix of one."""
    notices: tuple[str, ...] = ()
    """What was passed over or changed while the settings were read, for people."""
