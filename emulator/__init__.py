"""The Azure-compatible Durable Functions emulator.

Rooms import downwards only; ARCHITECTURE.md has the map and `lint-imports` the proof.
"""

from __future__ import annotations


def product_version() -> str:
    """This distribution's version. Looking it up takes longer than all else that it stands beside."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("durable-functions-emulator")
    except PackageNotFoundError:
        return "0"
