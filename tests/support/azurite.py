"""An Azurite of the tests' own: one in each worker of a run, started when the first test asks for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from azurite import Azurite
from azurite.install import AzuriteError, find_node, install


def install_once() -> None:
    """Before the workers start, so that they do not install it at the same time; trouble is told by the fixture."""
    try:
        install(find_node(os.environ), os.environ)
    except AzuriteError:
        return


def cannot_run(error: AzuriteError) -> NoReturn:
    """Skip the test that needs what is not there; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(str(error))
    pytest.skip(str(error))


def running() -> Iterator[Azurite]:
    """The server, in memory, on free ports. Without Node the tests that need it are skipped, in CI they fail."""
    server = Azurite(dict(os.environ))
    try:
        asyncio.run(server.start())
    except AzuriteError as error:
        cannot_run(error)
    try:
        yield server
    finally:
        asyncio.run(server.stop())
