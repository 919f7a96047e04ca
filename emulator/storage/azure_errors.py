"""Errors of the storage services and of their SDKs as ours: one table, most specific first.

The service's own code says most, the HTTP status less, the SDK's exception class least; they are asked in that order.
Messages name the operation, the status and the code, and never what was sent: a request carries signatures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final, NoReturn, cast

from azure.core import exceptions as azure

from emulator.errors import (
    ConflictError,
    EtagMismatchError,
    LeaseLostError,
    NotFoundError,
    PayloadTooLargeError,
    PopReceiptMismatchError,
    StorageError,
    TransientStorageError,
)

ErrorClass = type[StorageError]

BY_CODE: Final[Mapping[str, ErrorClass]] = {
    "PopReceiptMismatch": PopReceiptMismatchError,
    "LeaseAlreadyPresent": LeaseLostError,
    "LeaseIdMissing": LeaseLostError,
    "LeaseIdMismatchWithBlobOperation": LeaseLostError,
    "LeaseIdMismatchWithContainerOperation": LeaseLostError,
    "LeaseIdMismatchWithLeaseOperation": LeaseLostError,
    "LeaseNotPresentWithBlobOperation": LeaseLostError,
    "LeaseNotPresentWithContainerOperation": LeaseLostError,
    "LeaseNotPresentWithLeaseOperation": LeaseLostError,
    "LeaseIsBreakingAndCannotBeAcquired": LeaseLostError,
    "LeaseIsBreakingAndCannotBeChanged": LeaseLostError,
    "LeaseIsBrokenAndCannotBeRenewed": LeaseLostError,
    "LeaseLost": LeaseLostError,
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
"""By the service's own error code, where that says more than the status. A deleted queue, table or container stays
409 for half a minute and can be made again after: that is no conflict."""

BY_STATUS: Final[Mapping[int, ErrorClass]] = {
    401: StorageError,
    403: StorageError,
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

BY_CLASS: Final[tuple[tuple[type[Exception], ErrorClass], ...]] = (
    (azure.ResourceExistsError, ConflictError),
    (azure.ResourceNotFoundError, NotFoundError),
    (azure.ResourceModifiedError, EtagMismatchError),
    (azure.ResourceNotModifiedError, EtagMismatchError),
    (azure.ClientAuthenticationError, StorageError),
    (azure.TooManyRedirectsError, StorageError),
    (azure.ODataV4Error, StorageError),
    (azure.IncompleteReadError, TransientStorageError),
    (azure.DecodeError, TransientStorageError),
    (azure.HttpResponseError, StorageError),
    (azure.ServiceRequestTimeoutError, TransientStorageError),
    (azure.ServiceResponseTimeoutError, TransientStorageError),
    (azure.ServiceRequestError, TransientStorageError),
    (azure.ServiceResponseError, TransientStorageError),
    (azure.StreamConsumedError, TransientStorageError),
    (azure.StreamClosedError, TransientStorageError),
    (azure.ResponseNotReadError, TransientStorageError),
    (azure.AzureError, StorageError),
    (azure.DeserializationError, TransientStorageError),
    (azure.SerializationError, StorageError),
)
"""By the SDK's exception class, where neither code nor status decides. An answer that cannot be read counts as none."""

_REFUSED: Final = frozenset({401, 403})
_QUERY: Final = re.compile(r"\?\S*")


@contextmanager
def mapped(what: str) -> Generator[None]:
    """Turn the SDK's errors into ours. `what` says what was tried, without secrets."""
    try:
        yield
    except (azure.AzureError, azure.DeserializationError, azure.SerializationError) as error:
        raise_mapped(error, what)


def raise_mapped(error: Exception, what: str) -> NoReturn:
    """Raise our error for one of the SDK's, with the place of the refused write if it was a transaction."""
    ours = our_class(error)
    text = f"{what}: {_reason(error)}"
    if ours is ConflictError or ours is EtagMismatchError:
        index = getattr(error, "index", None)
        raise ours(text, failed_index=index if isinstance(index, int) else None) from error
    raise ours(text) from error


def refusal(what: str, status: int, code: str, *, failed_index: int | None = None) -> StorageError:
    """Our error for a refusal of the service.

    Args:
        what: what was tried, without secrets.
        failed_index: the place of the refused write if it was a transaction.
    """
    ours = BY_CODE.get(code) or BY_STATUS.get(status) or StorageError
    text = f"{what}: {_status_text(status, code)}"
    if issubclass(ours, ConflictError | EtagMismatchError):
        return ours(text, failed_index=failed_index)
    return ours(text)


def our_class(error: Exception) -> ErrorClass:
    """Which of our errors stands for one of the SDK's."""
    by_code = BY_CODE.get(code_of(error))
    if by_code is not None:
        return by_code
    by_status = BY_STATUS.get(status_of(error))
    if by_status is not None:
        return by_status
    return next(ours for theirs, ours in BY_CLASS if isinstance(error, theirs))


def is_refused(error: StorageError) -> bool:
    """Whether the service did not accept the credential (rather than the request)."""
    cause = error.__cause__
    return isinstance(cause, azure.ClientAuthenticationError) or (
        cause is not None and status_of(cause) in _REFUSED
    )


def status_of(error: BaseException) -> int:
    """The HTTP status of the answer; 0 if there was none."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else 0


def code_of(error: BaseException) -> str:
    """The service's error code, such as `EntityAlreadyExists`; empty if it gave none.

    The SDK knows it from some calls only; else it stands in a header, or, from the Table service, in the body.
    """
    known = getattr(error, "error_code", None)
    if known:
        return str(known.value if isinstance(known, Enum) else known)
    response: Any = getattr(error, "response", None)  # the SDK's class, whose headers are untyped
    if response is None:
        return ""
    header = response.headers.get("x-ms-error-code")
    return str(header) if header else code_in_body(str(response.text()))


def code_in_body(text: str) -> str:
    """The error code in an answer of the Table service; empty if it is none."""
    try:
        body: object = json.loads(text)
    except ValueError:
        return ""
    inner = cast(dict[str, object], body).get("odata.error") if isinstance(body, dict) else None
    return str(cast(dict[str, object], inner).get("code", "")) if isinstance(inner, dict) else ""


def _status_text(status: int, code: str) -> str:
    return f"HTTP {status} ({code})" if code else f"HTTP {status}"


def _reason(error: Exception) -> str:
    """One line without addresses' queries, where signatures stand."""
    status, code = status_of(error), code_of(error)
    if status:
        return _status_text(status, code)
    lines = str(error).strip().splitlines()
    return (
        f"{type(error).__name__}: {_QUERY.sub('?...', lines[0])}" if lines else type(error).__name__
    )
