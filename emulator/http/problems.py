"""From our errors to status and body: one table. Source: reference http-api.md 1.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from emulator.core.lenient_json import LenientJsonError
from emulator.errors import (
    ConfigError,
    EmulatorError,
    InstanceConflictError,
    InstanceNotFoundError,
    InvalidRequestError,
    StorageError,
)
from emulator.http.bodies import exception_body
from emulator.http.messages import ApiResponse

BAD_ARGUMENT: Final = "One or more of the arguments submitted is incorrect"
FAILED: Final = "Something went wrong while processing your request"
_STORAGE_TEXT: Final = "An error occurred while communicating with Azure Storage"
INVALID_JSON: Final = "Invalid JSON content"
_STORAGE_TYPE: Final = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"

_Problem = tuple[type[Exception], int, str, str]
TABLE: Final[tuple[_Problem, ...]] = (
    (LenientJsonError, 400, INVALID_JSON, "Newtonsoft.Json.JsonReaderException"),
    (InvalidRequestError, 400, BAD_ARGUMENT, "System.ArgumentException"),
    (InstanceNotFoundError, 400, BAD_ARGUMENT, "System.ArgumentException"),
    (InstanceConflictError, 500, FAILED, "System.InvalidOperationException"),
    (ConfigError, 500, FAILED, "System.InvalidOperationException"),
    (StorageError, 500, FAILED, _STORAGE_TYPE),
    (EmulatorError, 500, FAILED, "System.Exception"),
    (Exception, 500, FAILED, "System.Exception"),
)
"""Error class, status, message, .NET type; the first that fits counts."""


def response_to(error: Exception) -> ApiResponse:
    """The answer to an error that no route has dealt with."""
    _, status, message, kind = _row_of(error, TABLE)
    text = str(error)
    if kind == _STORAGE_TYPE:
        return ApiResponse(status=status, body=exception_body(message, _STORAGE_TEXT, kind, text))
    return ApiResponse(status=status, body=exception_body(message, text, kind))


def _row_of(error: Exception, table: Sequence[_Problem]) -> _Problem:
    return next(row for row in table if isinstance(error, row[0]))


def too_short() -> ApiResponse:
    """The answer to a path that is shorter than the base path that is cut off it."""
    text = "startIndex cannot be larger than length of string. (Parameter 'startIndex')"
    return ApiResponse(
        status=400,
        body=exception_body(BAD_ARGUMENT, text, "System.ArgumentOutOfRangeException"),
    )
