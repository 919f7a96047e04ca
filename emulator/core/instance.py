"""The status of an instance as callers see it: a projection of its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emulator.core.ids import ExecutionId, InstanceId
from emulator.core.instant import Instant
from emulator.core.status import RuntimeStatus

REPLACED: Final = "Replaced by a new instance with the same id."
"""The reason with which an instance is terminated whose id is used again while it lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """One row of the Instances table, decoded.

    `input`, `output` and `custom_status` are stored text (JSON, error text or a reason). `custom_status` is None
    when nothing was set. `execution_id`, `generation` and `tags` may be missing in rows of old writers.
    """

    instance_id: InstanceId
    name: str
    version: str | None
    execution_id: ExecutionId | None
    status: RuntimeStatus
    created_at: Instant
    last_updated_at: Instant
    completed_at: Instant | None = None
    scheduled_start: Instant | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    generation: int | None = None
    tags: Mapping[str, str] | None = None
    task_hub: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """Which instances to list. All conditions must hold; empty ones do not restrict.

    `created_from` and `created_to` are inclusive. `prefix` is an ordinal prefix of the instance id.
    """

    created_from: Instant | None = None
    created_to: Instant | None = None
    statuses: frozenset[RuntimeStatus] = frozenset()
    prefix: str | None = None
    exclude_entities: bool = False
    fetch_input: bool = True
    fetch_output: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePage:
    """A page of a listing, in order of instance id; `continuation` is None on the last one."""

    records: tuple[InstanceRecord, ...]
    continuation: str | None
