"""Imports user code under the worker's rules. Source: reference functions-host.md 2.2 to 2.4, 7.1."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from emulator.errors import ConfigError
from emulator.host.function_app import FunctionSpec

PACKAGE: Final = "__app__"
"""The namespace package whose only place is the app's folder, so that `from ..shared import x` works."""

SITE_PACKAGES: Final = Path(".python_packages/lib/site-packages")


def prepare_path(root: Path) -> None:
    """Let the app import its own modules, and the packages that were published with it."""
    for folder in (root / SITE_PACKAGES, root):
        if folder.exists() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def import_script(script: Path, root: Path) -> types.ModuleType:
    """Import the module of a v2 app by its stem, afresh.

    Raises:
        ConfigError: it raised; with file, line and the exception, and without frames of the host.
    """
    prepare_path(root)
    name = script.stem
    sys.modules.pop(name, None)
    try:
        return _load(name, script)
    except (Exception, SystemExit) as error:
        raise ConfigError(import_failure(script, error, root)) from error


def load_entry_point(spec: FunctionSpec, root: Path) -> Callable[..., Any]:
    """The function that a v1 declaration names.

    Raises:
        ConfigError: the module raised, or has no such callable.
    """
    prepare_path(root)
    _make_package(root)
    relative = (
        spec.script.relative_to(root.resolve())
        if spec.script.is_relative_to(root.resolve())
        else None
    )
    if relative is None:
        raise ConfigError(f"{spec.script} lies outside of the app's folder {root}; move it there")
    parts = list(relative.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    name = ".".join([PACKAGE, *parts])
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(import_failure(spec.script, error, root)) from error
    found: Callable[..., Any] | None = getattr(module, spec.entry_point, None)
    if not callable(found):
        raise ConfigError(
            f"cannot load function {spec.name}: function {spec.entry_point}() is not present in {spec.script}; "
            "define it, or correct entryPoint in function.json"
        )
    return found


def import_failure(script: Path, error: BaseException, root: Path) -> str:
    """One message for a module that cannot be imported: where in the app, what, and what to do."""
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()
        return f"{error.filename}, line {error.lineno}: SyntaxError: {error.msg}: {line}"
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).is_relative_to(root)
    ]
    place = (
        f"{frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}"
        if frames
        else str(script)
    )
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f". Install it into this environment (pip install ...), or add {error.name} to the app's folder"
    return f"{script.name} cannot be imported: {type(error).__name__}: {error} ({place}){hint}"


def _load(name: str, script: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _make_package(root: Path) -> None:
    existing = sys.modules.get(PACKAGE)
    if existing is not None and list(existing.__path__) == [str(root)]:
        return
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(root)]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
