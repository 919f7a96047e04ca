"""Errors of the storage SDKs as ours: one table, most specific first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from azure.core import exceptions as azure

from emulator.errors import (
    ConfigError,
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
    PayloadTooLargeError,
    PopReceiptMismatchError,
    StorageError,
    TransientStorageError,
)

BY_CODE: Final[dict[str, type[StorageError]]] = {
    "PopReceiptMismatch": PopReceiptMismatchError,
    "MessageNotFound": NotFoundError,
    "LeaseAlreadyPresent": LeaseLostError,
    "LeaseIdMissing": LeaseLostError,
    "LeaseIdMismatchWithBlobOperation": LeaseLostError,
    "LeaseIdMismatchWithContainerOperation": LeaseLostError,
    "LeaseIdMismatchWithLeaseOperation": LeaseLostError,
    "LeaseNotPresentWithBlobOperation": LeaseLostError,
    "LeaseNotPresentWithContainerOperation": LeaseLostError,
    "LeaseNotPresentWithLeaseOperation": LeaseLostError,
    "LeaseIsBrokenAndCannotBeRenewed": LeaseLostError,
    "LeaseLost": LeaseLostError,
    "UpdateConditionNotSatisfied": EtagMismatchError,
    "ConditionNotMet": EtagMismatchError,
    "EntityAlreadyExists": ConflictError,
    "RequestBodyTooLarge": PayloadTooLargeError,
    "MessageTooLarge": PayloadTooLargeError,
    "EntityTooLarge": PayloadTooLargeError,
    "PropertyValueTooLarge": PayloadTooLargeError,
    "ContentLengthExceeded": PayloadTooLargeError,
    "OperationTimedOut": TransientStorageError,
    "ServerBusy": TransientStorageError,
    "QueueBeingDeleted": TransientStorageError,
    "TableBeingDeleted": TransientStorageError,
    "ContainerBeingDeleted": TransientStorageError,
}
"""By the service's own error code, which says more than the status."""

BY_STATUS: Final[dict[int, type[StorageError]]] = {
    404: NotFoundError,
    408: TransientStorageError,
    409: ConflictError,
    412: EtagMismatchError,
    413: PayloadTooLargeError,
    429: TransientStorageError,
    500: TransientStorageError,
    502: TransientStorageError,
    503: TransientStorageError,
    504: TransientStorageError,
}

BY_CLASS: Final[tuple[tuple[type[Exception], type[Exception]], ...]] = (
    (azure.ClientAuthenticationError, ConfigError),
    (azure.ResourceExistsError, ConflictError),
    (azure.ResourceNotFoundError, NotFoundError),
    (azure.ResourceModifiedError, EtagMismatchError),
    (azure.ResourceNotModifiedError, EtagMismatchError),
    (azure.ServiceRequestTimeoutError, TransientStorageError),
    (azure.ServiceResponseTimeoutError, TransientStorageError),
    (azure.ServiceRequestError, TransientStorageError),
    (azure.ServiceResponseError, TransientStorageError),
    (azure.IncompleteReadError, TransientStorageError),
    (azure.DecodeError, TransientStorageError),
    (azure.TooManyRedirectsError, TransientStorageError),
    (azure.ODataV4Error, StorageError),
    (azure.StreamConsumedError, TransientStorageError),
    (azure.StreamClosedError, TransientStorageError),
    (azure.ResponseNotReadError, TransientStorageError),
    (azure.HttpResponseError, StorageError),
    (azure.AzureError, StorageError),
)
"""By the SDK's exception class, where neither code nor status decides."""


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours. `what` says what was tried, without secrets."""
    try:
        yield
    except azure.AzureError as error:
        raise_mapped(error, what)


def raise_mapped(error: azure.AzureError, what: str) -> NoReturn:
    """Raise our error for one of the SDK's."""
    ours = our_class(error)
    index = getattr(error, "index", None)
    text = f"{what}: {_reason(error)}"
    if ours is ConflictError:
        raise ConflictError(text, failed_index=index) from error
    if ours is EtagMismatchError:
        raise EtagMismatchError(text, failed_index=index) from error
    raise ours(text) from error


def our_class(error: azure.AzureError) -> type[Exception]:
    """Which of our errors stands for one of the SDK's."""
    code = str(getattr(error, "error_code", "") or "").rpartition(".")[2]
    found = BY_CODE.get(_camel(code))
    if found is not None:
        return found
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status in BY_STATUS:
        return BY_STATUS[status]
    return next(ours for theirs, ours in BY_CLASS if isinstance(error, theirs))


def _camel(code: str) -> str:
    if "_" not in code and not code.isupper():
        return code
    return "".join(part.capitalize() for part in code.split("_"))


def _reason(error: azure.AzureError) -> str:
    """One line without the request's headers."""
    code = getattr(error, "error_code", None)
    status = getattr(error, "status_code", None)
    first = str(error.message).strip().splitlines()[0] if str(error.message).strip() else ""
    known = f" ({code})" if code else ""
    return f"HTTP {status}{known}" if status else f"{type(error).__name__}: {first}"
