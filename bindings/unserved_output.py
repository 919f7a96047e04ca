"""Outputs of types that only the cloud serves: e-mail, text messages, event hubs and the like.

The function runs, and what it sends is shown instead of sent, so that apps of several bindings can be tried here.
"""

from __future__ import annotations

from typing import Final

from bindings.binding_type import BindingType
from emulator.host.binding_api import BindingSpec, Invocation, OutputSink, Services
from emulator.log import fields, get_logger

_log = get_logger("emulator.bindings.unserved_output")
SHOWN_MAX: Final = 2000
"""Characters of a value that are shown."""


def _sink(spec: BindingSpec, services: Services) -> OutputSink:
    async def show(value: object, invocation: Invocation) -> None:
        _log.warning(
            "not sent, because %s outputs are not served here (binding %r): %s",
            spec.type,
            spec.name,
            str(value)[:SHOWN_MAX],
            extra=fields("output_not_sent", binding=spec.name),
        )

    return show


UNSERVED_OUTPUT: Final = BindingType(name="any other output", output=_sink)
