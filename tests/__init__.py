"""Tests, by room."""

import pytest

# Before conftest.py imports it: pytest explains failing asserts only in modules that it loads itself.
pytest.register_assert_rewrite("emulator.testing.port_suite")
