"""Reads the packed recordings."""

from __future__ import annotations

import base64
import gzip
import json
import re
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_HERE = Path(__file__).parent
_BATCHED = re.compile(r"\r\n(POST|PUT|PATCH|MERGE|DELETE) (\S+) HTTP/1.1\r\n.*?\r\n\r\n(\{[^\r\n]*\}|)", re.DOTALL)
_TABLE = re.compile(r"/devstoreaccount1/(\w+)")


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


@dataclass(frozen=True)
class TableCall:
    """One write to a table, alone or out of a batch."""

    method: str
    table: str
    columns: dict[str, Any]


def queue_texts(scenario: str) -> list[str]:
    """The text of every queue message that was put or updated in a scenario."""
    texts: list[str] = []
    for call in transcript(scenario):
        body = call["body"]
        if call["service"] == "queue" and isinstance(body, str) and "<MessageText>" in body:
            texts.append(ElementTree.fromstring(body.removeprefix("\ufeff")).findtext("MessageText") or "")
    return texts


def table_calls(scenario: str) -> list[TableCall]:
    """Every write to a table in a scenario, in order."""
    calls: list[TableCall] = []
    for call in transcript(scenario):
        body = call["body"]
        if call["service"] != "table" or not isinstance(body, str):
            continue
        if "/$batch" in call["url"]:
            for method, url, content in _BATCHED.findall(body):
                calls.append(_table_call(method, url, content))
        elif "/Tables" not in call["url"]:
            calls.append(_table_call(call["method"], call["url"], body))
    return calls


def _table_call(method: str, url: str, content: str) -> TableCall:
    table = _TABLE.search(url)
    assert table, url
    columns = json.loads(content) if content.startswith("{") else {}
    return TableCall(method, table[1], columns)


def packed_payloads() -> dict[str, str]:
    """Text of every large payload at the end of a scenario, by `container/blob`."""
    return {
        f"{container}/{name}": gzip.decompress(base64.b64decode(blob["base64"])).decode()
        for scenario in storage_scenarios()
        for stage in stages(scenario).values()
        for container, blobs in stage["blobs"].items()
        for name, blob in blobs.items()
        if name.endswith(".json.gz")
    }


def text_blobs(suffix: str) -> list[str]:
    """Text of every blob of any stage whose name ends so."""
    return [
        blob["text"]
        for scenario in storage_scenarios()
        for stage in stages(scenario).values()
        for blobs in stage["blobs"].values()
        for name, blob in blobs.items()
        if name.endswith(suffix)
    ]
