"""Outputs that only the cloud serves."""

from __future__ import annotations

from typing import Any, cast

import pytest

from bindings.registry import Registry
from emulator.host.binding_api import BindingSpec, Direction, Invocation, Services

SMS = BindingSpec(type="twilioSms", name="message", direction=Direction.OUT)
INVOCATION = Invocation(id="1", function="Send")


def test_an_output_of_an_unknown_type_is_no_fault_but_worth_a_remark() -> None:
    registry = Registry()
    assert registry.refusal(SMS) is None
    remark = registry.remark(SMS)
    assert remark is not None
    assert "'twilioSms' (binding 'message') are not served here" in remark


@pytest.mark.parametrize("served", ["queue", "blob", "table", "http", "durableClient"])
def test_an_output_that_is_served_needs_no_remark(served: str) -> None:
    assert Registry().remark(BindingSpec(type=served, name="x", direction=Direction.OUT)) is None


@pytest.mark.parametrize("direction", [Direction.IN, Direction.OUT])
def test_a_trigger_of_an_unknown_type_is_refused(direction: Direction) -> None:
    spec = BindingSpec(type="teapotTrigger", name="x", direction=direction)
    assert "are not served here" in (Registry().refusal(spec) or "")


async def test_what_is_set_is_shown_in_full_up_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    sink = Registry().output_sink(SMS, cast("Services", None))
    assert sink is not None
    await sink('{"to": "me"}', INVOCATION)
    await sink(cast("Any", "x" * 5000), INVOCATION)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith("""(binding 'message'): {"to": "me"}""")
    assert second.count("x") == 2000
