"""The SDK's own converters, which decide what user code receives and how its results are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast


def converter(binding_type: str) -> Any:  # noqa: ANN401 - an untyped class of the SDK
    """The converter class of a binding type, as azure-functions spells it."""
    from azure.functions import meta

    registry: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]
    return registry.get(binding_type)


def datum(value: object, kind: str) -> Any:  # noqa: ANN401 - an untyped class of the SDK
    """A value as the host hands it to a worker."""
    from azure.functions import meta

    return meta.Datum(value, kind)


def plain(content: bytes, annotation: object) -> str | bytes | None:
    """Content for a parameter annotated exactly str or bytes, which the worker gives no object of the SDK.

    None if the annotation is another, or missing.
    """
    if annotation is str:
        return content.decode("utf-8-sig", errors="replace")
    return content if annotation is bytes else None


def json_members(text: str) -> Mapping[str, object]:
    """Members of a JSON object, which binding expressions may name; nothing of any other text."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
