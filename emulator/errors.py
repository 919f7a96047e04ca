"""The exception tree, sorted by what the caller does next.

EmulatorError
  ConfigError             a file, field, flag or setting is wrong: print it, exit code 2
  PreconditionError       what a start needs is not there, such as a free port: print it, exit code 1
  StorageError            the store refused or failed
    TransientStorageError   back off and try again; nothing is known to be lost
    NotFoundError           the caller decides what absence means
    ConflictError           it exists already
    EtagMismatchError       another worker wrote first: drop what you hold, do not retry
    LeaseLostError          stop owning
    PopReceiptMismatchError the message was dequeued by someone else: forget it
    PayloadTooLargeError    the store's own limit; tell whoever sent it
  AppError                the user's code failed: becomes a history event, never stops a loop
  RequestError            a caller of the management API asked for something wrong
    InvalidRequestError     malformed: what, where, what to do
    InstanceNotFoundError   no such instance
    InstanceConflictError   the instance is in a state that forbids the operation
  DecodeError             stored or received text that nobody can read: keep it, report where it lies
  InvariantError          our own defect: log all of it, stop that partition, keep the data
"""

from __future__ import annotations


class EmulatorError(Exception):
    """Something failed in the emulator."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else (self.__doc__ or "").strip())


class ConfigError(EmulatorError):
    """The configuration is wrong."""


class PreconditionError(EmulatorError):
    """Something that a start needs is not there. Source of the exit code: Core Tools."""


class StorageError(EmulatorError):
    """The store refused or failed."""


class TransientStorageError(StorageError):
    """The store could not be reached or was busy; the same call may succeed later."""


class NotFoundError(StorageError):
    """The queue, message, table, row, container, blob or lease does not exist."""


class ConflictError(StorageError):
    """It exists already, or is in a state that refuses the call (HTTP 409)."""

    def __init__(self, message: str | None = None, *, failed_index: int | None = None) -> None:
        super().__init__(message)
        self.failed_index = failed_index


class EtagMismatchError(StorageError):
    """The row or blob has changed since it was read (HTTP 412)."""

    def __init__(self, message: str | None = None, *, failed_index: int | None = None) -> None:
        super().__init__(message)
        self.failed_index = failed_index


class LeaseLostError(StorageError):
    """The lease is not held, or not by us."""


class PopReceiptMismatchError(StorageError):
    """The pop receipt is not the newest one of that message."""


class PayloadTooLargeError(StorageError):
    """The message, row, batch or blob is larger than the store takes."""


class AppError(EmulatorError):
    """The user's code failed."""


class RequestError(EmulatorError):
    """The caller asked for something wrong."""


class InvalidRequestError(RequestError):
    """The request is malformed."""


class InstanceNotFoundError(RequestError):
    """No instance has that id."""


class InstanceConflictError(RequestError):
    """The instance is in a state that forbids the operation."""

    def __init__(self, message: str | None = None, *, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class DecodeError(EmulatorError):
    """Text in the store or in a message cannot be read."""


class InvariantError(EmulatorError):
    """A defect of the emulator itself."""
