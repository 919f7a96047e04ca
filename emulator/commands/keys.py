"""`durable keys`: show and renew the keys that a host under --enable-auth asks for."""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.commands.output import table
from emulator.commands.store import Needs, OpenHub, on_hub
from emulator.errors import ConfigError
from emulator.host.keys import DEFAULT_NAME, KeyKind, KeyStore
from emulator.wire.secret_files import MASTER_NAME, SYSTEM_NAME

app = typer.Typer(
    name="keys", help="Show and renew the keys of --enable-auth.", no_args_is_help=True
)


def _store(hub: OpenHub) -> KeyStore:
    from emulator.compose import key_store

    return key_store(hub.settings, hub.storage, hub.clock, hub.ids)


@app.command("list")
@on_hub(Needs.NOTHING)
async def list_keys(hub: OpenHub) -> None:
    """Show all keys; those of the host are made if there are none yet."""
    store = _store(hub)
    host = await store.host()
    rows = [(KeyKind.MASTER, MASTER_NAME, "", host.master.value)]
    rows += [(KeyKind.HOST, key.name, "", key.value) for key in host.function_keys]
    rows += [(KeyKind.SYSTEM, key.name, "", key.value) for key in host.system_keys]
    for keys in await store.functions():
        rows += [(KeyKind.FUNCTION, key.name, keys.function, key.value) for key in keys.keys]
    hub.out.result(
        [
            {"kind": kind, "name": name, "function": function or None, "value": value}
            for kind, name, function, value in rows
        ],
        table(("KIND", "NAME", "FUNCTION", "VALUE"), rows),
    )


@app.command("renew")
@on_hub(Needs.NOTHING, destroys=True)
async def renew(
    hub: OpenHub,
    kind: Annotated[KeyKind, typer.Argument(help="What the key opens.")],
    name: Annotated[str | None, typer.Argument(help="Which one of that kind.")] = None,
    *,
    function: Annotated[str | None, typer.Option(help="Whose key it is, for `function`.")] = None,
    value: Annotated[str | None, typer.Option(help="A value; a random one.")] = None,
) -> None:
    """Give a key another value, or make a new one. The old value opens nothing after a few seconds."""
    if (kind is KeyKind.FUNCTION) != bool(function):
        raise ConfigError("--function names the function of a `function` key, and of no other kind")
    names = {KeyKind.MASTER: MASTER_NAME, KeyKind.SYSTEM: SYSTEM_NAME}
    chosen = name or names.get(kind, DEFAULT_NAME)
    if kind is KeyKind.MASTER and chosen != MASTER_NAME:
        raise ConfigError(f"there is one master key, and it is called {MASTER_NAME}")
    hub.guard(f"give the {kind} key {chosen} another value")
    key, is_new = await _store(hub).put(kind, chosen, value, function=function or "")
    hub.out.result(
        {"kind": kind, "name": key.name, "function": function, "value": key.value, "new": is_new},
        f"{'Made' if is_new else 'Renewed'} {kind} key {key.name}: {key.value}",
    )
