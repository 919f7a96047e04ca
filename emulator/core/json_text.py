"""JSON text as the .NET side writes it (Newtonsoft.Json, default settings)."""

from __future__ import annotations

import json
from typing import Final

_ESCAPED: Final = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def compact(value: object) -> str:
    """Without blanks, non-ASCII as it is, and three line separators escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.translate(_ESCAPED)
