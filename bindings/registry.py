"""Binding types: which are known, and what serves them. Types are compared without case."""

from __future__ import annotations

from typing import Any, Final

from bindings.activity_trigger import decode_activity_input
from bindings.http_trigger import decode_http_request
from bindings.orchestration_client import client_input, client_output
from emulator.errors import ConfigError
from emulator.host.binding_api import (
    BindingSpec,
    Direction,
    InputSource,
    OutputSink,
    Services,
    TriggerKind,
)

CLIENT_TYPES: Final = frozenset({"durableclient", "orchestrationclient"})
"""Today's name and that of the 2018 documents."""

TRIGGERS: Final = frozenset(kind.value for kind in TriggerKind)
OUTPUTS: Final = frozenset({"http", *CLIENT_TYPES})


class Registry:
    """The bindings of this product (host.binding_api.BindingRegistry)."""

    def refusal(self, spec: BindingSpec) -> str | None:
        """See BindingRegistry."""
        if spec.is_trigger:
            known = spec.kind in TRIGGERS
        elif spec.direction is Direction.IN:
            known = spec.kind in CLIENT_TYPES
        else:
            known = spec.kind in OUTPUTS
        if known:
            return None
        listed = ", ".join(sorted({*TRIGGERS, *OUTPUTS}))
        return (
            f"The binding type(s) '{spec.type}' (binding {spec.name!r}, direction {spec.direction}) are not served "
            f"here. Known types, in any case: {listed}. The app's other functions run"
        )

    def input_source(self, spec: BindingSpec, services: Services) -> InputSource:
        """See BindingRegistry."""
        if spec.kind in CLIENT_TYPES:
            return client_input(spec, services)
        raise ConfigError(f"no input binding of type {spec.type!r}")

    def output_sink(self, spec: BindingSpec, services: Services) -> OutputSink | None:
        """See BindingRegistry."""
        return client_output(spec, services) if spec.kind in CLIENT_TYPES else None

    def decode_trigger(self, spec: BindingSpec, value: object, annotation: object) -> Any:  # noqa: ANN401
        """See BindingRegistry."""
        match spec.kind:
            case TriggerKind.ACTIVITY:
                return decode_activity_input(value)
            case TriggerKind.HTTP:
                return decode_http_request(value)
            case _:
                return value
