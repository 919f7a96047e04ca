"""Which payloads leave a message or a row for a blob, what the blob is called and how it is packed.

Source: DurableTask.AzureStorage, MessageManager and AzureTableTrackingStore; reference azure-storage-provider.md 6.
"""

from __future__ import annotations

import gzip
import re
from typing import Final

from emulator.wire.event_table import BY_CLASS
from emulator.wire.queue_message import Envelope

MESSAGE_BYTES_MAX: Final = 45 * 1024
"""UTF-8 bytes of an envelope; a larger one goes to a blob."""

COLUMN_BYTES_MAX: Final = 60 * 1024
"""UTF-16 bytes of a column's text; a larger one goes to a blob."""

SPILLABLE_COLUMNS: Final = (
    "Name",
    "Input",
    "Result",
    "Output",
    "Reason",
    "Details",
    "Correlation",
    "FailureDetails",
    "Tags",
)

_SUFFIX: Final = ".json.gz"
_COMPRESSION_LEVEL: Final = 6
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def message_is_oversized(text: str) -> bool:
    """Whether an envelope's text is too long for a queue."""
    if len(text) > MESSAGE_BYTES_MAX:
        return True
    return not text.isascii() and len(text.encode()) > MESSAGE_BYTES_MAX


def is_oversized(text: str) -> bool:
    """Whether a column's text is too long for a table."""
    if len(text) * 2 > COLUMN_BYTES_MAX:
        return True
    if len(text) * 4 <= COLUMN_BYTES_MAX or text.isascii():
        return False
    return len(text.encode("utf-16-le", "surrogatepass")) > COLUMN_BYTES_MAX


def message_blob_name(envelope: Envelope) -> str:
    """Blob of a large message: below the target's id as it is."""
    message = envelope.task_message
    event = BY_CLASS[type(message.event)].name
    guid = envelope.activity_id.replace("-", "")
    return f"{message.target.instance_id}/message-{guid}-{event}{_SUFFIX}"


def history_blob_name(
    partition: str, row_key: str, event_type: str, column: str, unique: str
) -> str:
    """Blob of a large history column: below the escaped id.

    Args:
        unique: 8 upper-case hex digits that keep racing writers apart.
    """
    return f"{partition}/history-{row_key}-{event_type}-{unique}-{column}{_SUFFIX}"


def instance_blob_name(partition: str, column: str, unique: str) -> str:
    """Blob of a large Instances column that no history row holds."""
    return history_blob_name(partition, "", column, column, unique)


def blob_tag(hex_digits: str) -> str:
    """The part of a blob's name that keeps racing writers apart: 8 upper-case hex digits."""
    return hex_digits[:8].upper()


def pack(text: str) -> bytes:
    """Gzip of UTF-8. The same text gives the same bytes."""
    return gzip.compress(text.encode("utf-8", "surrogatepass"), _COMPRESSION_LEVEL, mtime=0)


def unpack(content: bytes) -> str:
    """The text of a packed payload.

    Raises:
        OSError, EOFError, ValueError: it is no gzip of UTF-8 text.
    """
    return gzip.decompress(content).decode("utf-8", "surrogatepass")


def looks_like_url(text: str) -> bool:
    """Whether a reader of the real provider would take a column's text for the address of a blob."""
    return _URL.fullmatch(text) is not None
