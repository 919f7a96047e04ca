"""Function apps that tests write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from bindings.registry import Registry
from emulator.host.function_app import FunctionApp
from emulator.host.indexing import load_app
from emulator.settings import AppSettings
from tests.support.hosts import isolated

V2 = """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
HOST_JSON = {"version": "2.0"}


def write_app(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write files into a folder: texts are dedented, other values become JSON; a host.json is added."""
    for name, content in {"host.json": HOST_JSON, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = dedent(content) if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
    return folder


def v2_app(folder: Path, functions: str, **files: Any) -> Path:
    """An app of the v2 model: the imports and `app` stand before `functions`."""
    return write_app(folder, {"function_app.py": V2 + dedent(functions), **files})


def function_json(*bindings: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """A v1 declaration."""
    return {"bindings": list(bindings), **members}


def bound(kind: str, name: str, direction: str = "in", **members: Any) -> dict[str, Any]:
    """A binding of a v1 declaration."""
    return {"type": kind, "name": name, "direction": direction, **members}


HTTP = (bound("httpTrigger", "req", authLevel="anonymous"), bound("http", "$return", "out"))


@contextmanager
def loaded(folder: Path, **settings: Any) -> Iterator[FunctionApp]:
    """An app, found and loaded; its modules are forgotten afterwards."""
    with isolated(folder):
        yield load_app(AppSettings(root=folder, **settings), Registry())
