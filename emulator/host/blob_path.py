"""Paths of blob triggers: `container/prefix-{name}.{ext}` says which blobs, and what their parts are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emulator.errors import ConfigError

_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class BlobPath:
    """A container and a pattern for the names in it."""

    container: str
    prefix: str
    """What every matching name begins with."""
    pattern: re.Pattern[str]

    def match(self, name: str) -> Mapping[str, str] | None:
        """The parameters' values in a blob's name; None if it does not match."""
        found = self.pattern.fullmatch(name)
        return None if found is None else found.groupdict()


def parse_blob_path(text: str) -> BlobPath:
    """Read a trigger's path; a path that is only a container means all of its blobs.

    Raises:
        ConfigError: the container is missing or has parameters, or a parameter is used twice.
    """
    container, _, rest = text.strip("/").partition("/")
    if not container or "{" in container:
        raise ConfigError(
            f"the path {text!r} of a blob trigger must begin with the name of a container, as in "
            "'samples-workitems/{name}'"
        )
    pattern, end = "", 0
    for match in _PARAMETER.finditer(rest):
        pattern += f"{re.escape(rest[end : match.start()])}(?P<{match[1]}>.*)"
        end = match.end()
    pattern += re.escape(rest[end:])
    try:
        compiled = re.compile(pattern if rest else ".*", re.DOTALL)
    except re.error as error:
        raise ConfigError(f"the path {text!r} of a blob trigger: {error}") from error
    return BlobPath(container.lower(), rest.partition("{")[0], compiled)
