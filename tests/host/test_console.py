from __future__ import annotations

import pytest

from emulator.console import exposure_warning
from emulator.settings import HttpSettings


@pytest.mark.parametrize(
    ("address", "enable_auth", "is_exposed"),
    [
        ("127.0.0.1", False, False),
        ("127.8.8.8", False, False),
        ("::1", False, False),
        ("localhost", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("192.168.1.5", False, True),
        ("my-machine", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_an_open_host_is_warned_of(address: str, enable_auth: bool, is_exposed: bool):
    warning = exposure_warning(HttpSettings(address=address, enable_auth=enable_auth))
    assert (warning is not None) == is_exposed
    if warning is not None:
        assert address in warning
        assert len({len(line) for line in warning.splitlines()}) == 1
