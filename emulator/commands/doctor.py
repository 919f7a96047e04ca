"""`durable doctor`: looks at Python, packages, Node, ports, settings, store and messages, and knows cures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import typer
from rich.console import RenderableType
from rich.text import Text

from emulator import config
from emulator.commands.diagnosis import SDK, WORKER_PACKAGE, Check, Facts, Level, diagnose
from emulator.commands.endings import FAILED, fail
from emulator.commands.output import Output, table
from emulator.commands.store import (
    Needs,
    Target,
    app_environment,
    load_settings,
    on_target,
    open_hub,
)
from emulator.errors import ConfigError, EmulatorError
from emulator.hub.census import leases_of, owners, queue_states
from emulator.hub.directory import hub_names
from emulator.hub.soundness import leased_otherwise, unreadable_rows
from emulator.settings import Settings, StorageKind

_PACKAGES: Final = (WORKER_PACKAGE, SDK, "azure-storage-queue", "azure-data-tables", "aiohttp")
_COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}

app = typer.Typer()


@app.command("doctor")
@on_target
async def doctor(target: Target) -> None:
    """Look for what is missing or wrong, and say how to put it right."""
    out = Output(as_json=target.as_json)
    facts = _machine(config.process_environment())
    try:
        settings = load_settings(target)
    except EmulatorError as error:
        facts = replace(facts, app_problem=str(error))
    else:
        facts = await _store(_app(_ports(facts, settings), settings), target, settings)
    checks = diagnose(facts)
    out.result([asdict(check) for check in checks], _listing(checks))
    if any(check.level is Level.ERROR for check in checks):
        fail("", FAILED)


def _listing(checks: list[Check]) -> RenderableType:
    rows: list[tuple[str | Text, ...]] = []
    for check in checks:
        rows.append((Text(check.level, style=_COLOURS[check.level]), check.topic, check.text))
        if check.cure:
            rows.append(("", "", Text(f"→ {check.cure}", style="cyan")))
    return table(("", "", ""), rows)


# --- facts --------------------------------------------------------------------------------------------------------


def _machine(environment: Mapping[str, str]) -> Facts:
    from azurite.install import AzuriteError, find_node, installed_version

    facts = Facts(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        packages={name: _version(name) for name in _PACKAGES},
        azurite=installed_version(environment),
    )
    try:
        return replace(facts, node=find_node(environment).version)
    except AzuriteError as error:
        return replace(facts, node_problem=str(error))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _ports(facts: Facts, settings: Settings) -> Facts:
    from azurite import Ports, is_listening
    from emulator.storage.azure_connection import is_development

    wanted = {"host": settings.http.port, "local RPC listener": settings.http.rpc_port}
    needs_azurite = is_development(settings.storage)
    if needs_azurite:
        ports = Ports()
        wanted |= {
            "Azurite, blobs": ports.blob,
            "Azurite, queues": ports.queue,
            "Azurite, tables": ports.table,
        }
    found = {purpose: (port, is_listening(port)) for purpose, port in wanted.items() if port}
    return replace(facts, ports=found, needs_azurite=needs_azurite)


def _app(facts: Facts, settings: Settings) -> Facts:
    root = settings.app.root
    requirements = root / "requirements.txt"
    facts = replace(
        facts,
        app=str(root),
        worker_runtime=settings.app.get("FUNCTIONS_WORKER_RUNTIME"),
        own_environment=_own_environment(root),
        requirements=requirements.read_text(errors="replace") if requirements.is_file() else None,
    )
    if not config.is_app(root):
        return facts
    from emulator.compose import load_functions

    try:
        with app_environment(settings):
            loaded = load_functions(settings)
    except ConfigError as error:
        return replace(facts, app_failures=(str(error),))
    return replace(
        facts,
        app_functions=len(loaded.functions),
        app_failures=tuple(failure.message for failure in loaded.failures),
    )


def _own_environment(root: Path) -> str | None:
    """The interpreter of the app's own environment, if this program runs in another."""
    for name in (".venv/bin/python", ".venv/Scripts/python.exe", "venv/bin/python"):
        python = root / name
        if python.exists() and Path(sys.prefix).resolve() != python.parent.parent.resolve():
            return str(python)
    return None


async def _store(facts: Facts, target: Target, settings: Settings) -> Facts:
    if settings.storage.kind is StorageKind.EMBEDDED and not _exists(settings.storage.path):
        return replace(facts, store=f"embedded store {settings.storage.path}, not made yet")
    try:
        async with open_hub(target, Needs.STORE) as hub:
            hubs = await hub_names(hub.storage)
            facts = replace(facts, store=hub.storage.description, hubs=hubs)
            if hub.hub.name not in hubs:
                return facts
            now, by_table = hub.clock.now(), settings.hub.use_table_partition_management
            leases = await leases_of(hub.hub, now)
            with hub.out.progress("Looking at instances") as progress:
                unreadable = await unreadable_rows(hub.hub, progress)
            return replace(
                facts,
                hub=hub.hub.name,
                queues=await queue_states(hub.hub),
                workers=owners(leases),
                unreadable=unreadable,
                leased_otherwise=await leased_otherwise(hub.hub, now, by_table=by_table),
                by_table=by_table,
                partitions=len(hub.hub.control_queues),
                partitions_wanted=settings.hub.partition_count,
            )
    except EmulatorError as error:
        return replace(facts, store_problem=str(error))


def _exists(path: Path | None) -> bool:
    return path is not None and path.exists()
