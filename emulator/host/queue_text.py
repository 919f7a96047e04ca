"""Content of queue messages to text and back: in base64 or as it is, as host.json's messageEncoding says."""

from __future__ import annotations

import base64
import binascii


def encode(body: bytes, *, base64_text: bool) -> str:
    """The text of a message."""
    return base64.b64encode(body).decode() if base64_text else body.decode("utf-8", "replace")


def decode(text: str, *, base64_text: bool) -> bytes | None:
    """The content of a message; None if base64 is expected and the text is none."""
    if not base64_text:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
