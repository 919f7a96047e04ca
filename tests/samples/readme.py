"""What the README of a sample promises."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from tests.support.hosts import SAMPLES

_COMMAND = re.compile(r"^Run it: `durable (.*)`$", re.MULTILINE)
_OUTPUT = re.compile(r"^Output.*?:\n\n```json\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Promise:
    arguments: tuple[str, ...]
    """Of the command `durable`."""
    output: Any
    """Of the orchestration that the command runs."""

    @property
    def orchestrator(self) -> str:
        return self.arguments[self.arguments.index("--run") + 1]


def promise_of(sample: str) -> Promise:
    text = (SAMPLES / sample / "README.md").read_text(encoding="utf-8")
    commands, outputs = _COMMAND.findall(text), _OUTPUT.findall(text)
    assert len(commands) == len(outputs) == 1, f"{sample}: {commands} {outputs}"
    return Promise(tuple(shlex.split(commands[0])), json.loads(outputs[0]))


def all_samples() -> list[str]:
    return sorted(folder.name for folder in SAMPLES.iterdir() if (folder / "host.json").exists())
