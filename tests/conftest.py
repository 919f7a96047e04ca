from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from azurite import Azurite
from emulator.storage.azure import Transport
from emulator.testing.port_suite import Account
from tests.support import azurite as azurite_support
from tests.support import stores
from tests.support.hosts import Place, new_place

STORES = ("memory", "sqlite", "azurite")
PORT_STORES = (*STORES, "azurite_sdk")
PERSISTENT_STORES = ("sqlite", "azurite")
_TURNS_TO_END = 5
"""Turns of the loop in which tasks that were told to end may do so."""
_tests_by_store: Counter[str] = Counter()


def store_params(names: tuple[str, ...]) -> list[object]:
    """Parameters of a fixture or test that runs on each of these stores."""
    return [
        pytest.param(name, marks=pytest.mark.azurite) if name.startswith("azurite") else name
        for name in names
    ]


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if not is_worker and not config.option.collectonly and config.option.markexpr != "not azurite":
        azurite_support.install_once()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The soak takes minutes: it runs when it is asked for."""
    if "soak" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def no_task_is_left(request: pytest.FixtureRequest) -> None:
    """An asynchronous test fails if it, or a fixture of it, leaves a task behind: the loop would cancel it unseen."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("watched_tasks")


@pytest.fixture
async def watched_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(_TURNS_TO_END):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"left behind: {', '.join(sorted(task.get_name() for task in left))}"


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    yield from azurite_support.running()


@pytest.fixture(params=store_params(PORT_STORES))
def closed_account(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AbstractAsyncContextManager[Account]:
    """A store of each kind, not open yet."""
    if request.param == "memory":
        return stores.memory_account()
    if request.param == "sqlite":
        return stores.sqlite_account(tmp_path / "store.db")
    transport = Transport.SDK if request.param == "azurite_sdk" else Transport.REST
    return stores.azurite_account(request.getfixturevalue("azurite"), transport)


@pytest.fixture
async def account(
    closed_account: AbstractAsyncContextManager[Account],
) -> AsyncIterator[Account]:
    """An open store of each kind."""
    async with closed_account as opened:
        yield opened


@pytest.fixture(params=store_params(STORES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where hosts keep their state: a task hub of the test's own on each kind of store."""
    return new_place(request.param, tmp_path, lambda: request.getfixturevalue("azurite"))


@pytest.fixture(params=store_params(PERSISTENT_STORES))
def lasting_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The same on each kind of store that outlives a process."""
    return new_place(request.param, tmp_path, lambda: request.getfixturevalue("azurite"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and not report.skipped:
        parameters = report.nodeid.partition("[")[2].rstrip("]").split("-")
        for store in PORT_STORES:
            if store in parameters:
                _tests_by_store[store] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = ", ".join(f"{store} {_tests_by_store[store]}" for store in PORT_STORES)
    terminalreporter.write_line(f"tests by store: {counts}")
