"""What a blob's function is given. Source: reference functions-host.md 4.4; azure.functions.blob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from bindings.binding_type import BindingType, Trigger
from bindings.blob import decode_blob, split_path
from emulator.errors import ConfigError
from emulator.host.binding_api import BindingSpec, Services
from emulator.host.blob_path import parse_blob_path
from emulator.host.trigger_values import BlobItem


def _decode(value: object, annotation: object) -> Any:  # noqa: ANN401 - azure.functions.InputStream
    return decode_blob(cast(BlobItem, value), annotation)


def _data(spec: BindingSpec, value: object) -> Mapping[str, object]:
    item = cast(BlobItem, value)
    return {
        **(parse_blob_path(spec.text("path") or "").match(item.name) or {}),
        "blobTrigger": f"{item.container}/{item.name}",
        "uri": item.uri,
        "properties": {"eTag": item.etag, "length": len(item.content)},
        "metadata": {},
    }


async def _by_hand(spec: BindingSpec, text: str | None, services: Services) -> BlobItem:
    """The text names the blob, with its container."""
    try:
        container, name = split_path(text or "")
    except ConfigError as error:
        raise ValueError(str(error)) from error
    blobs = (await services.storage(spec.text("connection"))).blobs
    found = await blobs.download(container, name)
    if found is None:
        raise ValueError(f"there is no blob {name!r} in the container {container!r}")
    uri = blobs.blob_url(container, name)
    return BlobItem(container=container, name=name, content=found.content, etag=found.etag, uri=uri)


def _check(spec: BindingSpec) -> None:
    parse_blob_path(spec.text("path") or "")


BLOB_TRIGGER: Final = BindingType(
    name="blobTrigger",
    trigger=Trigger(decode=_decode, by_hand=_by_hand, data=_data),
    check=_check,
)
