"""Reads the packed recordings."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@cache
def _files(part: str) -> dict[str, bytes]:
    with tarfile.open(_HERE / f"{part}.tar.xz", "r:xz") as archive:
        found: dict[str, bytes] = {}
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                found[member.name] = content.read()
        return found


def storage_scenarios() -> list[str]:
    """Names of the recorded storage scenarios."""
    return sorted({name.split("/")[0] for name in _files("storage") if "/" in name})


def transcript(scenario: str) -> list[dict[str, Any]]:
    """Every REST call of a scenario, in order."""
    text = _files("storage")[f"{scenario}/transcript.jsonl"].decode()
    return [json.loads(line) for line in text.splitlines()]


def stages(scenario: str) -> dict[str, dict[str, Any]]:
    """The store at each stage of a scenario."""
    prefix = f"{scenario}/"
    return {
        name.removeprefix(prefix).removesuffix(".json"): json.loads(content)
        for name, content in sorted(_files("storage").items())
        if name.startswith(prefix) and name.endswith(".json")
    }


def oop_scenarios() -> list[str]:
    """Names of the recorded out-of-process scenarios."""
    return sorted(name.removesuffix(".json") for name in _files("oop") if name.endswith(".json"))


def oop(scenario: str) -> dict[str, Any]:
    """One out-of-process scenario."""
    return json.loads(_files("oop")[f"{scenario}.json"])


def http(name: str) -> list[dict[str, Any]]:
    """The exchanges of one file of HTTP recordings."""
    return [json.loads(line) for line in _files("http")[f"{name}.jsonl"].decode().splitlines()]
