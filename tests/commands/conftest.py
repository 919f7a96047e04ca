from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hosts import Place
from tests.support.shell import Shell

WAITING_APP = Path(__file__).parent / "waiting_app"


@pytest.fixture
def shell(lasting_place: Place) -> Shell:
    """Commands on the test app's hub, on each store that outlives its host."""
    return Shell(WAITING_APP, lasting_place)
