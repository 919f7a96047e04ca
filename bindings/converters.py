"""The SDK's own converters, which decide what user code receives and how its results are written."""

from __future__ import annotations

from typing import Any


def converter(binding_type: str) -> Any:  # noqa: ANN401 - an untyped class of the SDK
    """The converter class of a binding type, as azure-functions spells it."""
    from azure.functions import meta

    registry: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]
    return registry.get(binding_type)


def datum(value: object, kind: str) -> Any:  # noqa: ANN401 - an untyped class of the SDK
    """A value as the host hands it to a worker."""
    from azure.functions import meta

    return meta.Datum(value, kind)
