"""From our errors to status and body: one table. Source: reference http-api.md 1.3."""

from __future__ import annotations

from typing import Final

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
INVALID_JSON: Final = "Invalid JSON content"
_STORAGE_TYPE: Final = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"

_Problem = tuple[type[Exception], int, str, str]
TABLE: Final[tuple[_Problem, ...]] = (
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
    kinds = type(error).__mro__
    _, status, message, kind = next(row for row in TABLE if row[0] in kinds)
    text = str(error)
    if kind == _STORAGE_TYPE:
        text = f"An error occurred while communicating with Azure Storage: {text}"
    return ApiResponse(status=status, body=exception_body(message, text, kind))


def invalid_json(detail: str) -> ApiResponse:
    """The answer to a body that is no JSON."""
    kind = "Newtonsoft.Json.JsonReaderException"
    return ApiResponse(status=400, body=exception_body(INVALID_JSON, detail, kind))
