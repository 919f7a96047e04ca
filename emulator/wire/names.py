"""What the parts of a task hub are called. Source: reference azure-storage-provider.md 1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from emulator.errors import ConfigError

HUB_NAME_LENGTH_MIN: Final = 3
HUB_NAME_LENGTH_MAX: Final = 50
"""Longest name that the extension accepts; from 46 on a large payload no longer finds a legal container name."""
DEFAULT_NAME_LENGTH_MAX: Final = 45
_VALID: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class HubNames:
    """Names derived from a hub's name. Tables keep its case, everything else is lower-case."""

    hub: str

    @property
    def prefix(self) -> str:
        """Beginning of the hub's queue and container names."""
        return f"{self.hub.lower()}-"

    def control_queue(self, index: int) -> str:
        """Queue of one partition."""
        return f"{self.prefix}control-{index:02d}"

    @property
    def work_items(self) -> str:
        """Queue of the activities."""
        return f"{self.prefix}workitems"

    def owns_queue(self, queue: str) -> bool:
        """Whether a queue is one of this hub's."""
        rest = queue.removeprefix(self.prefix)
        return queue == self.work_items or re.fullmatch(r"control-\d\d", rest) is not None

    @property
    def history(self) -> str:
        """Table of history rows."""
        return f"{self.hub}History"

    @property
    def instances(self) -> str:
        """Table of instances."""
        return f"{self.hub}Instances"

    @property
    def partitions(self) -> str:
        """Table of partition leases."""
        return f"{self.hub}Partitions"

    @property
    def large_messages(self) -> str:
        """Container of large payloads."""
        return f"{self.prefix}largemessages"

    @property
    def app_lease(self) -> str:
        """Container whose lease says which app works on the hub."""
        return f"{self.prefix}applease"

    @property
    def app_lease_info(self) -> str:
        """Blob in that container."""
        return f"{self.prefix}appleaseinfo"

    @property
    def leases(self) -> str:
        """Container of the blob partition managers."""
        return f"{self.prefix}leases"

    @property
    def hub_info(self) -> str:
        """Blob in that container which tells the hub's name and how many control queues it has."""
        return "taskhub.json"

    @property
    def intents(self) -> str:
        """Folder in that container: leases that say who is to read a queue."""
        return "intent"

    @property
    def ownerships(self) -> str:
        """Folder in that container: leases that say who reads a queue."""
        return "ownership"


def validate_hub_name(name: str, where: str) -> str:
    """Check a name that was configured.

    Args:
        where: file and field that hold it, for the message.

    Raises:
        ConfigError: the store would refuse a name made from it.
    """
    fits = HUB_NAME_LENGTH_MIN <= len(name) <= HUB_NAME_LENGTH_MAX
    if fits and _VALID.fullmatch(name):
        return name
    raise ConfigError(
        f"{where}: {name!r} is no task hub name. Use 3 to 45 letters and digits, the first a letter, "
        "and nothing else (no dashes, dots or underscores)."
    )


def is_usable_hub_name(name: str) -> bool:
    """Whether the service takes the names that come of a hub name; unlike a configured one, it may be short."""
    return len(name) <= HUB_NAME_LENGTH_MAX and _VALID.fullmatch(name) is not None


def sanitise_hub_name(name: str) -> str:
    """Make a hub name from a site's name: what is not a letter or digit is dropped."""
    kept = "".join(c for c in name if c.isalnum())
    if not kept:
        return "DefaultTaskHub"
    if kept[0].isdigit():
        kept = f"t{kept}"
    kept = kept[:DEFAULT_NAME_LENGTH_MAX]
    return kept if len(kept) >= HUB_NAME_LENGTH_MIN else f"{kept}Hub"
