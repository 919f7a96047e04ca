"""Leases as they are stored: rows of the Partitions table, the app-lease blob, and the files of the blob managers.

Source: reference azure-storage-provider.md 1.2, 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from emulator.core.balance import PartitionLease
from emulator.core.blob_balance import BlobLease
from emulator.core.instant import Instant
from emulator.core.json_text import compact, loads
from emulator.core.partition import fnv1a
from emulator.errors import DecodeError
from emulator.wire.history_row import Columns, Value
from emulator.wire.values import Json


def partition_columns(lease: PartitionLease) -> dict[str, Value]:
    """Columns of a row of the Partitions table; absent ones are cleared by a replace."""
    columns: dict[str, Value | None] = {
        "CurrentOwner": lease.owner,
        "NextOwner": lease.next_owner,
        "OwnedSince": lease.owned_since,
        "LastRenewal": lease.last_renewal,
        "ExpiresAt": lease.expires_at,
        "IsDraining": lease.is_draining,
    }
    return {key: value for key, value in columns.items() if value is not None}


def decode_partition(
    control_queue: str, columns: Columns, *, etag: str | None = None
) -> PartitionLease:
    """Read a row of the Partitions table."""
    owner, next_owner = columns.get("CurrentOwner"), columns.get("NextOwner")
    return PartitionLease(
        control_queue=control_queue,
        owner=owner if isinstance(owner, str) and owner else None,
        next_owner=next_owner if isinstance(next_owner, str) and next_owner else None,
        owned_since=_time(columns.get("OwnedSince")),
        last_renewal=_time(columns.get("LastRenewal")),
        expires_at=_time(columns.get("ExpiresAt")),
        is_draining=bool(columns.get("IsDraining", False)),
        etag=etag,
    )


def _time(value: Value | None) -> Instant | None:
    return value if isinstance(value, Instant) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLeaseInfo:
    """Who holds the app lease, and who shall get it next."""

    owner_id: str | None = None
    desired_swap_id: str | None = None


def app_lease_id(app_name: str) -> str:
    """The lease id that every worker of an app proposes: a GUID made of the name's hash."""
    return f"{fnv1a(app_name):08x}-0000-0000-0000-000000000000"


def encode_app_lease(info: AppLeaseInfo) -> str:
    """Text of the app-lease blob."""
    return compact({"OwnerId": info.owner_id, "DesiredSwapId": info.desired_swap_id})


def decode_app_lease(text: str) -> AppLeaseInfo:
    """Read the app-lease blob; initially it is `{}`.

    Raises:
        DecodeError: it is no JSON object.
    """
    members = _object(text, "the app-lease blob")
    owner, swap = members.get("OwnerId"), members.get("DesiredSwapId")
    return AppLeaseInfo(
        owner_id=str(owner) if owner else None, desired_swap_id=str(swap) if swap else None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInfo:
    """Content of `taskhub.json`."""

    task_hub: str
    created_at: Instant
    partition_count: int


def encode_hub_info(info: HubInfo) -> str:
    """Text of `taskhub.json`."""
    return compact(
        {
            "TaskHubName": info.task_hub,
            "CreatedAt": info.created_at.text(),
            "PartitionCount": info.partition_count,
        }
    )


def decode_hub_info(text: str) -> HubInfo:
    """Read `taskhub.json`.

    Raises:
        DecodeError: it is no such JSON.
    """
    members = _object(text, "taskhub.json")
    try:
        return HubInfo(
            task_hub=str(members["TaskHubName"]),
            created_at=Instant.parse(str(members["CreatedAt"])),
            partition_count=int(cast(int, members["PartitionCount"])),
        )
    except (KeyError, TypeError, ValueError, DecodeError) as error:
        raise DecodeError(f"taskhub.json lacks or garbles {error}") from error


def encode_blob_lease(lease: BlobLease) -> str:
    """Text of a lease blob."""
    return compact(
        {
            "PartitionId": lease.control_queue,
            "Owner": lease.owner,
            "Token": lease.token,
            "Epoch": lease.epoch,
        }
    )


def decode_blob_lease(control_queue: str, text: str, *, is_held: bool) -> BlobLease:
    """Read a lease blob.

    Args:
        control_queue: last part of the blob's name; that is what counts, whatever the text says.

    Raises:
        DecodeError: it is no such JSON.
    """
    members = _object(text, "it")
    owner, token, epoch = members.get("Owner"), members.get("Token"), members.get("Epoch") or 0
    if not isinstance(epoch, int):
        raise DecodeError(f"its Epoch is {epoch!r}")
    return BlobLease(
        control_queue=control_queue,
        owner=str(owner) if owner else None,
        token=str(token) if token else None,
        epoch=epoch,
        is_held=is_held,
    )


def _object(text: str, what: str) -> Json:
    try:
        value = loads(text)
    except ValueError as error:
        raise DecodeError(f"{what} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DecodeError(f"{what} is no JSON object")
    return cast(Json, value)
