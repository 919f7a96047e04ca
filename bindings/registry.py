"""Binding types: which are known, and what serves them. Types are compared without case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bindings.activity_trigger import ACTIVITY_TRIGGER
from bindings.binding_type import BindingType, durable_trigger
from bindings.blob import BLOB
from bindings.blob_trigger import BLOB_TRIGGER
from bindings.converters import converter
from bindings.entity_trigger import ENTITY_TRIGGER
from bindings.http_trigger import HTTP, HTTP_TRIGGER
from bindings.manual_trigger import MANUAL_TRIGGER
from bindings.orchestration_client import DURABLE_CLIENT
from bindings.queue import QUEUE
from bindings.queue_trigger import QUEUE_TRIGGER
from bindings.table import TABLE
from bindings.timer_trigger import TIMER_TRIGGER
from bindings.unserved_output import UNSERVED_OUTPUT
from emulator.errors import ConfigError
from emulator.host.binding_api import (
    BindingSpec,
    ByHand,
    Direction,
    InputSource,
    OutputSink,
    Services,
)

TYPES: Final = (
    durable_trigger(
        "orchestrationTrigger", "/runtime/webhooks/durabletask/orchestrators/{functionName}"
    ),
    ENTITY_TRIGGER,
    ACTIVITY_TRIGGER,
    HTTP_TRIGGER,
    TIMER_TRIGGER,
    QUEUE_TRIGGER,
    BLOB_TRIGGER,
    MANUAL_TRIGGER,
    DURABLE_CLIENT,
    HTTP,
    QUEUE,
    BLOB,
    TABLE,
)
_BY_KIND: Final[Mapping[str, BindingType]] = {
    name.lower(): kind for kind in TYPES for name in (kind.name, *kind.aliases)
}

CHECKED: Final = frozenset(
    kind.name for kind in (HTTP_TRIGGER, HTTP, TIMER_TRIGGER, QUEUE_TRIGGER, QUEUE, DURABLE_CLIENT)
)
"""Types whose annotations the SDK's converters check; the others take any annotation."""


class Registry:
    """The bindings of this product (host.binding_api.BindingRegistry)."""

    def refusal(self, spec: BindingSpec) -> str | None:
        """See BindingRegistry."""
        kind = _find(spec)
        if kind is not None and _serves(kind, spec):
            return None
        listed = ", ".join(sorted(kind.name for kind in TYPES if _serves(kind, spec)))
        role = "triggers" if spec.is_trigger else f"bindings of direction {spec.direction}"
        return (
            f"The binding type(s) '{spec.type}' (binding {spec.name!r}, direction {spec.direction}) are not served "
            f"here. Known {role}, in any case: {listed}. The app's other functions run"
        )

    def remark(self, spec: BindingSpec) -> str | None:
        """See BindingRegistry."""
        if _find(spec) is not UNSERVED_OUTPUT:
            return None
        return (
            f"outputs of the type '{spec.type}' (binding {spec.name!r}) are not served here: what the function sets "
            "is shown in the log instead of being sent"
        )

    def check(self, spec: BindingSpec) -> None:
        """See BindingRegistry."""
        _kind(spec).check(spec)

    def accepts(self, spec: BindingSpec, annotation: object) -> bool:
        """See BindingRegistry."""
        kind = _BY_KIND.get(spec.kind)
        is_text = (annotation is str or annotation is bytes) and spec.name != "$return"
        if kind is None or kind.name not in CHECKED or is_text:
            return True
        checker: Any = converter(kind.name)
        try:
            if spec.direction is Direction.OUT:
                return bool(checker.check_output_type_annotation(annotation))
            return bool(checker.check_input_type_annotation(annotation))
        except TypeError:
            return False  # a list where only a class can be

    def input_source(
        self, spec: BindingSpec, annotation: object, services: Services
    ) -> InputSource:
        """See BindingRegistry."""
        kind = _kind(spec)
        if kind.input is None:
            raise ConfigError(f"no input binding of type {spec.type!r}")
        return kind.input(spec, annotation, services)

    def output_sink(self, spec: BindingSpec, services: Services) -> OutputSink | None:
        """See BindingRegistry."""
        kind = _kind(spec)
        return kind.output(spec, services) if kind.output is not None else None

    async def value_by_hand(self, spec: BindingSpec, call: ByHand, services: Services) -> object:
        """See BindingRegistry."""
        trigger = _kind(spec).trigger
        if trigger is None:
            raise ValueError(f"{spec.type!r} is no trigger")
        return await trigger.by_hand(spec, call.text, services)

    def decode_trigger(self, spec: BindingSpec, value: object, annotation: object) -> Any:  # noqa: ANN401
        """See BindingRegistry."""
        trigger = _kind(spec).trigger
        return value if trigger is None else trigger.decode(value, annotation)

    def trigger_data(self, spec: BindingSpec, value: object) -> Mapping[str, object]:
        """See BindingRegistry."""
        trigger = _kind(spec).trigger
        return {} if trigger is None else trigger.data(spec, value)

    def encode_returned(self, spec: BindingSpec, value: object) -> object:
        """See BindingRegistry."""
        trigger = _kind(spec).trigger
        return value if trigger is None else trigger.encode(value)


def _find(spec: BindingSpec) -> BindingType | None:
    """The row of a type. Any output that has none is shown instead of sent."""
    kind = _BY_KIND.get(spec.kind)
    if kind is None and spec.direction is Direction.OUT and not spec.is_trigger:
        return UNSERVED_OUTPUT
    return kind


def _kind(spec: BindingSpec) -> BindingType:
    """The row of a type that is not refused."""
    kind = _find(spec)
    if kind is None:
        raise ConfigError(f"no binding of type {spec.type!r}")
    return kind


def _serves(kind: BindingType, spec: BindingSpec) -> bool:
    if spec.is_trigger:
        return kind.trigger is not None
    return (kind.input if spec.direction is Direction.IN else kind.output) is not None
