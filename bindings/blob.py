"""Blobs that a function is given, and blobs that it writes. Source: azure.functions.blob."""

from __future__ import annotations

from typing import Any, Final

from bindings.binding_type import BindingType
from bindings.converters import converter, datum, plain
from bindings.expressions import expand
from emulator.core.json_text import compact
from emulator.errors import ConfigError
from emulator.host.binding_api import BindingSpec, InputSource, Invocation, OutputSink, Services
from emulator.host.trigger_values import BlobItem


def blob_input(spec: BindingSpec, annotation: object, services: Services) -> InputSource:
    """What gives a blob, None if it is not there: text or bytes for such annotations, else an InputStream."""

    async def read(invocation: Invocation) -> object:
        container, name = split_path(expand(spec.text("path") or "", invocation, services))
        blobs = (await services.storage(spec.text("connection"))).blobs
        found = await blobs.download(container, name)
        if found is None:
            return None
        item = BlobItem(
            container=container,
            name=name,
            content=found.content,
            etag=found.etag,
            uri=blobs.blob_url(container, name),
        )
        return decode_blob(item, annotation)

    return read


def blob_output(spec: BindingSpec, services: Services) -> OutputSink:
    """What takes a text, bytes or a readable object and makes them the content of the blob."""

    async def write(value: object, invocation: Invocation) -> None:
        container, name = split_path(expand(spec.text("path") or "", invocation, services))
        blobs = (await services.storage(spec.text("connection"))).blobs
        await blobs.create_container(container)
        await blobs.upload(container, name, content_of(value))

    return write


def content_of(value: object) -> bytes:
    """The content that an output asks for.

    Raises:
        TypeError: the value has none.
    """
    try:
        encoded = converter("blob").encode(value, expected_type=None)
    except NotImplementedError as error:
        raise TypeError(
            f"a blob output was set to {type(value).__name__}; set str, bytes or an object with read()"
        ) from error
    content: str | bytes = encoded.value
    return content.encode() if isinstance(content, str) else content


def decode_blob(item: BlobItem, annotation: object) -> Any:  # noqa: ANN401 - azure.functions.InputStream
    """What user code receives."""
    given = plain(item.content, annotation)
    if given is not None:
        return given
    properties = {"ETag": item.etag, "ContentLength": len(item.content)}
    metadata = {
        "BlobTrigger": datum(f"{item.container}/{item.name}", "string"),
        "Uri": datum(item.uri, "string"),
        "Properties": datum(compact(properties), "json"),
        "Metadata": datum("{}", "json"),
    }
    return converter("blob").decode(datum(item.content, "bytes"), trigger_metadata=metadata)


def split_path(path: str) -> tuple[str, str]:
    """Container and blob.

    Raises:
        ConfigError: one of them is missing.
    """
    container, _, name = path.lstrip("/").partition("/")
    if not container or not name:
        raise ConfigError(
            f"the blob path {path!r} must be CONTAINER/BLOB, as in 'samples-workitems/{{name}}'"
        )
    return container, name


def check_blob_path(spec: BindingSpec) -> None:
    """Look at the path.

    Raises:
        ConfigError: it is missing or has no blob part.
    """
    split_path(spec.text("path") or "")


BLOB: Final = BindingType(name="blob", input=blob_input, output=blob_output, check=check_blob_path)
