"""Which control queue an instance belongs to."""

from __future__ import annotations

from typing import Final

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 16777619
_MASK: Final = 0xFFFFFFFF


def fnv1a(text: str) -> int:
    """32-bit FNV-1a over the UTF-8 bytes (DurableTask.AzureStorage: Fnv1aHashHelper)."""
    value = _OFFSET
    for byte in text.encode("utf-8", "surrogatepass"):
        value = (value ^ byte) * _PRIME & _MASK
    return value


def partition_of(instance_id: str, partition_count: int) -> int:
    """Index of the control queue, 0 to partition_count - 1. Case counts."""
    return fnv1a(instance_id) % partition_count
