"""`python -m azurite [FOLDER]`: runs the pinned Azurite on its usual ports until interrupted."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from azurite.install import AzuriteError
from azurite.server import Azurite, Ports


async def run(location: Path | None) -> None:
    """Start, say where, and wait."""
    server = Azurite(dict(os.environ), ports=Ports(), location=location)  # noqa: TID251 - an entry point
    await server.start()
    sys.stdout.write(f"Azurite listens on ports {', '.join(map(str, server.ports))}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def main() -> int:
    """Parse the one argument."""
    location = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        asyncio.run(run(location))
    except AzuriteError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
