"""The composition root: builds everything from Settings and joins it. The only module that may know every room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from socket import socket

from bindings.activity_trigger import Activities
from bindings.entity_trigger import Entities
from bindings.oop_schema import ContextSettings
from bindings.orchestration_trigger import OrchestratorFunction, Orchestrators
from bindings.registry import Registry
from bindings.sdk_session import close as close_sdk_session
from bindings.sdk_speed import install as make_sdk_fast
from emulator import product_version
from emulator.config import STATE_FOLDER
from emulator.core.entity import EntityRules
from emulator.core.episode import EpisodeSettings
from emulator.core.http_call import HTTP_ACTIVITY
from emulator.core.parity import Deviation
from emulator.core.replay import Rules
from emulator.engine.clock import Clock, IdSource, SystemClock, SystemIds
from emulator.engine.engine import Engine
from emulator.engine.ports import OrchestrationClient, Runners
from emulator.errors import ConfigError
from emulator.host.asgi import shut_down
from emulator.host.binding_api import Services, TriggerKind
from emulator.host.function_app import FunctionApp
from emulator.host.http_activity import HttpActivity
from emulator.host.identity import identity_token
from emulator.host.indexing import load_app
from emulator.host.invoker import Invoker
from emulator.host.keys import KeyStore, host_id
from emulator.http.admin import AdminApi, Who
from emulator.http.app import HttpServer
from emulator.http.deviations import Deviations
from emulator.http.functions import HttpFunctions, RouteTable, build_routes
from emulator.http.gate import Gate
from emulator.http.key_routes import KeyRoutes
from emulator.http.management import ManagementApi
from emulator.http.readiness import Readiness
from emulator.http.surface import Surface
from emulator.http.urls import ADMIN, WEBHOOKS, Links
from emulator.hub.task_hub import TaskHub
from emulator.listeners.listeners import Listeners
from emulator.log import get_logger
from emulator.providers import Clients, HttpValues, Urls
from emulator.settings import (
    HubSettings,
    ManagementUrls,
    Parity,
    Settings,
    StorageKind,
    StorageSettings,
)
from emulator.storage.ports import Storage
from emulator.stores import Stores, azurite_if_needed
from emulator.supervision import Background, supervised, until_ready

_log = get_logger(__name__)


def make_storage(settings: StorageSettings, clock: Clock, ids: IdSource) -> Storage:
    """The adapter that the settings choose; it is not open yet. Only its own modules are imported."""
    match settings.kind:
        case StorageKind.MEMORY:
            from emulator.storage.memory import MemoryStorage

            return MemoryStorage(clock, ids)
        case StorageKind.EMBEDDED:
            from emulator.storage.sqlite import SqliteStorage

            if settings.path is None:
                raise ConfigError("the embedded store has no path; use --storage embedded:PATH")
            return SqliteStorage(settings.path, clock, ids)
        case StorageKind.AZURE:
            from emulator.storage.azure import AzureStorage

            return AzureStorage(settings, clock)


# --- the host -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An app joined to a store: everything but listeners."""

    settings: Settings
    app: FunctionApp
    storage: Storage
    clock: Clock
    ids: IdSource
    invoker: Invoker
    engine: Engine
    clients: Clients
    urls: Urls
    listeners: Listeners


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that is up."""

    settings: Settings
    app: FunctionApp
    routes: RouteTable
    server: HttpServer
    engine: Engine
    links: Links
    storage: Storage

    @property
    def client(self) -> OrchestrationClient:
        """The client of the app's own hub."""
        return self.engine.client


@asynccontextmanager
async def running_host(
    settings: Settings,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    storage: Storage | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    sockets: Sequence[socket] = (),
) -> AsyncGenerator[Host]:
    """A host from readiness to drained stop.

    Args:
        sockets: of the public listener, bound already and shared with other processes.
        storage: an adapter in place of the one that the settings choose.

    Raises:
        ConfigError: settings, app, store or port are not usable; nothing is left running.
    """
    clock, ids = clock or SystemClock(), ids or SystemIds()
    async with AsyncExitStack() as stack:
        if storage is None:
            folder = settings.app.root / STATE_FOLDER / "azurite"
            await stack.enter_async_context(
                azurite_if_needed(settings.storage, folder, environment, say)
            )
            storage = make_storage(settings.storage, clock, ids)
        await storage.open()
        stack.push_async_callback(storage.close)
        parts = _parts(settings, _loaded(settings, stack), storage, clock, ids, stack)
        host, background = await _listening(parts, stack, sockets)
        group = await stack.enter_async_context(supervised())
        background.group = group
        await stack.enter_async_context(_running(parts, group))
        group.create_task(parts.engine.partitions.look_for_others(), name="other hosts")
        try:
            yield host
        finally:
            await host.server.stop()


@asynccontextmanager
async def running_engine(
    settings: Settings,
    storage: Storage,
    *,
    clock: Clock,
    ids: IdSource,
    app: FunctionApp | None = None,
) -> AsyncGenerator[Parts]:
    """An app on an open store without listeners: orchestrations, activities and entities, but no HTTP.

    Args:
        app: what the settings name, if it is loaded already; whoever has loaded it shuts it down.

    Raises:
        ConfigError: settings or app are not usable.
    """
    async with AsyncExitStack() as stack:
        if app is None:
            app = _loaded(settings, stack)
        parts = _parts(settings, app, storage, clock, ids, stack)
        group = await stack.enter_async_context(supervised())
        await stack.enter_async_context(_running(parts, group))
        yield parts


@asynccontextmanager
async def _running(parts: Parts, group: asyncio.TaskGroup) -> AsyncGenerator[None]:
    """Engine and listeners from readiness until they are told to stop; the listeners stop first."""
    ready = asyncio.Event()
    engine = group.create_task(parts.engine.run(ready), name="engine")
    await until_ready(ready, engine)
    listeners = group.create_task(parts.listeners.run(), name="listeners")
    try:
        yield
    finally:
        listeners.cancel()
        await asyncio.wait({listeners})
        engine.cancel()


def _loaded(settings: Settings, stack: AsyncExitStack) -> FunctionApp:
    app = load_functions(settings)
    stack.push_async_callback(shut_down, app.source)
    return app


def _parts(
    settings: Settings,
    app: FunctionApp,
    storage: Storage,
    clock: Clock,
    ids: IdSource,
    stack: AsyncExitStack,
) -> Parts:
    registry = Registry()
    urls = Urls(settings, _prefix(settings, app))
    hub = TaskHub(storage, settings.hub, ids.hex32)
    box: list[Clients] = []
    stores = Stores(settings, storage, lambda found: make_storage(found, clock, ids))
    stack.push_async_callback(stores.close)
    services = Services(
        client_urls=urls,
        starter=lambda h, c: box[0].client(h, c),
        storage=stores.open,
        base64_messages=settings.queues.base64_messages,
        guid=ids.guid,
        now=clock.now,
    )
    invoker = Invoker(
        registry,
        services,
        ids=ids,
        clock=clock,
        threads=settings.app.thread_count,
        time_limit=settings.app.function_timeout,
    )
    stack.callback(invoker.close)
    stack.push_async_callback(close_sdk_session)
    requests = HttpActivity(identity_token)
    stack.push_async_callback(requests.close)
    engine = _engine(settings, app, hub, invoker, requests, clock, ids)
    clients = Clients(engine.client, settings, storage, clock, ids)
    clients.orchestrators = _names(app, TriggerKind.ORCHESTRATION)
    clients.entities = _names(app, TriggerKind.ENTITY)
    box.append(clients)
    listeners = Listeners(
        app, invoker, settings, stores.open, clock=clock, ids=ids, outage=engine.outage
    )
    return Parts(
        settings=settings,
        listeners=listeners,
        app=app,
        storage=storage,
        clock=clock,
        ids=ids,
        invoker=invoker,
        engine=engine,
        clients=clients,
        urls=urls,
    )


def _check_parity(settings: Settings, deviations: Sequence[Deviation]) -> None:
    """Under strict parity, end a start at what works here and not on Azure; else it is told when the host is up."""
    if deviations and settings.parity is Parity.STRICT:
        texts = "\n".join(found.message for found in deviations)
        raise ConfigError(f"{texts}\nUnder --parity strict the app does not start with this.")


async def _listening(
    parts: Parts, stack: AsyncExitStack, sockets: Sequence[socket]
) -> tuple[Host, Background]:
    """Open the listeners of an app; the stack closes them."""
    routes = build_routes(parts.app, parts.settings.http.route_prefix)
    _check_parity(parts.settings, (*parts.app.deviations, *routes.deviations))
    background = Background()
    keys = key_store(parts.settings, parts.storage, parts.clock, parts.ids)
    if parts.settings.http.enable_auth:
        await keys.host()
        parts.urls.code = lambda: keys.system_key
    server = _server(parts, routes, background, keys)
    await server.start_rpc()
    stack.push_async_callback(server.stop)
    await server.start(sockets)
    parts.urls.rpc_base_url = server.rpc_base_url
    parts.urls.port = server.port
    host = Host(
        settings=parts.settings,
        app=parts.app,
        routes=routes,
        server=server,
        engine=parts.engine,
        links=parts.urls.links(),
        storage=parts.storage,
    )
    return host, background


def _prefix(settings: Settings, app: FunctionApp) -> str:
    """Which scheme links carry: what the flag says, else that of the documents the app was written against."""
    choice = settings.http.management_urls
    if choice is ManagementUrls.AUTO:
        choice = ManagementUrls.ADMIN if app.uses_2018_names else ManagementUrls.WEBHOOKS
    return ADMIN if choice is ManagementUrls.ADMIN else WEBHOOKS


def _names(app: FunctionApp, kind: TriggerKind) -> tuple[str, ...]:
    return tuple(function.spec.durable_name for function in app.of_kind(kind))


def _by_lower(names: Sequence[str]) -> dict[str, str]:
    return {name.lower(): name for name in names}


def _engine(
    settings: Settings,
    app: FunctionApp,
    hub: TaskHub,
    invoker: Invoker,
    requests: HttpActivity,
    clock: Clock,
    ids: IdSource,
) -> Engine:
    orchestrators = _orchestrators(settings, app)
    activities = Activities(
        {f.spec.durable_name: f for f in app.of_kind(TriggerKind.ACTIVITY)},
        invoker,
        built_in={HTTP_ACTIVITY: requests},
    )
    rules = Rules(
        activities=_by_lower(_names(app, TriggerKind.ACTIVITY)),
        orchestrators=_by_lower(_names(app, TriggerKind.ORCHESTRATION)),
        entities=_by_lower(_names(app, TriggerKind.ENTITY)),
        max_actions=settings.hub.max_orchestration_actions,
        max_short_timer=settings.hub.max_short_timer,
        long_timer_interval=settings.hub.long_timer_interval,
        default_http_sleep=settings.hub.default_http_sleep,
        entity_reorder_window=settings.hub.entity_message_reorder_window,
        refuses_unknown=True,
    )
    entities = Entities({f.spec.durable_name: f for f in app.of_kind(TriggerKind.ENTITY)}, invoker)
    return Engine(
        hub,
        Runners(orchestrators=orchestrators, activities=activities, entities=entities),
        EpisodeSettings(
            rules=rules,
            store_inputs=settings.hub.store_inputs_in_history,
            is_strict=settings.parity is Parity.STRICT,
            default_version=settings.hub.default_version,
        ),
        entity_rules(settings.hub),
        clock=clock,
        ids=ids,
        sessions_max=settings.sticky_sessions_max,
    )


def _orchestrators(settings: Settings, app: FunctionApp) -> Orchestrators:
    return Orchestrators(
        [
            OrchestratorFunction(
                name=f.spec.durable_name, handle=f.callable, file=str(f.spec.script)
            )
            for f in app.of_kind(TriggerKind.ORCHESTRATION)
        ],
        context_settings(settings.hub),
        always_replay=settings.always_replay,
    )


def load_orchestrators(settings: Settings) -> Orchestrators:
    """The orchestrators of an app, to replay histories with; nothing else of it is set up.

    Raises:
        ConfigError: the app cannot be loaded.
    """
    return _orchestrators(settings, load_functions(settings))


def load_functions(settings: Settings) -> FunctionApp:
    """The functions of an app, and those that failed; nothing runs.

    Raises:
        ConfigError: the app's script cannot be loaded, or its SDK cannot.
    """
    try:
        make_sdk_fast()
    except ValueError as error:  # it reads the host.json of the current folder as it is imported
        raise ConfigError(
            f"{Path('host.json').resolve()}: azure-functions-durable reads it, too, and takes no comments, trailing "
            f"commas or byte order mark ({error}). Remove them; on Azure, too, no function would run"
        ) from error
    return load_app(settings.app, Registry())


def entity_rules(hub: HubSettings) -> EntityRules:
    """What entities need of the settings."""
    return EntityRules(
        batch_size_max=hub.max_entity_operation_batch_size,
        reorder_window=hub.entity_message_reorder_window,
        max_delay=hub.max_short_timer,
        delay_slice=hub.long_timer_interval,
    )


def context_settings(hub: HubSettings) -> ContextSettings:
    """What orchestrators are told of the settings."""
    return ContextSettings(
        long_timer_interval=hub.long_timer_interval,
        max_short_timer=hub.max_short_timer,
        default_http_sleep=hub.default_http_sleep,
    )


def _server(parts: Parts, routes: RouteTable, background: Background, keys: KeyStore) -> HttpServer:
    settings, clock, engine = parts.settings, parts.clock, parts.engine
    began = clock.monotonic()

    def uptime_ms() -> int:
        return timedelta(seconds=clock.monotonic() - began) // timedelta(milliseconds=1)

    async def wait() -> None:
        await engine.partitions.ready.wait()
        await parts.listeners.up.wait()

    def awaited() -> str | None:
        return engine.awaited or parts.listeners.awaited

    readiness = Readiness(awaited, wait, settings.http.readiness_timeout)
    deviations = Deviations(is_strict=settings.parity is Parity.STRICT)
    management = ManagementApi(
        Surface(
            clients=parts.clients,
            connection=settings.storage.connection,
            code=parts.urls.code,
            zone=settings.http.time_zone,
            is_store_lost=lambda: engine.outage.is_told,
            deviations=deviations,
            use_forwarded_host=settings.http.use_forwarded_host,
            is_of_2018=parts.app.uses_2018_names,
        )
    )
    admin = AdminApi(
        parts.app,
        routes,
        parts.invoker,
        readiness=readiness,
        uptime_ms=uptime_ms,
        background=background,
        who=Who(
            host_id=settings.host_id,
            instance_id=settings.hub.worker_id,
            version=product_version,
        ),
        keys=KeyRoutes(keys),
    )
    functions = HttpFunctions(routes, parts.invoker, HttpValues(), deviations)
    gate = Gate(keys) if settings.http.enable_auth else None
    return HttpServer(
        settings.http,
        management,
        functions,
        admin,
        gate,
        readiness=readiness,
        version=product_version,
    )


def key_store(settings: Settings, storage: Storage, clock: Clock, ids: IdSource) -> KeyStore:
    """The keys of an app's host, on an open store."""
    name = settings.http.website_hostname or f"localhost:{settings.http.port}"
    return KeyStore(storage.blobs, host_id(settings), host_name=name, clock=clock, ids=ids)
