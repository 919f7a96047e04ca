"""Plain REST calls: signed, sent, tried again where that is right, refusals as our errors.

The SDKs' clients spend five to twenty times the processor time of these calls, for a transaction of rows a hundred
times, so the operations that every episode needs go this way. What is rare stays with the SDKs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from emulator.errors import StorageError, TransientStorageError
from emulator.storage.azure_errors import code_in_body, refusal
from emulator.storage.azure_signing import Repeat, Request, Signer
from emulator.storage.http_client import (
    ConnectionLostError,
    HttpAnswer,
    HttpClient,
    NotConnectedError,
)

PAUSES_S: Final = (0.2, 0.6)
"""Between the attempts of one call; the service may ask for more, but the call's time limit holds for all of them."""
_NOT_DONE: Final = frozenset({429, 503})
"""The service was too busy to begin."""
_UNKNOWN: Final = frozenset({408, 500, 502, 504})
"""The service failed on the way; it may be done."""
_REFUSED_SECOND: Final = frozenset({404, 409, 412})
"""What a guarded call gets that is done already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        headers: by lower-case name.
        is_doubtful: an earlier attempt of the same call may have been carried out.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_doubtful: bool = False

    @property
    def code(self) -> str:
        """The service's error code; empty if it gave none."""
        header = self.headers.get("x-ms-error-code")
        return header or code_in_body(self.body.decode("utf-8", "replace"))


class _AgainError(Exception):
    """An attempt failed and another one may be made."""

    def __init__(self, error: TransientStorageError, pause_s: float = 0.0) -> None:
        super().__init__()
        self.error = error
        self.pause_s = pause_s


class RestService:
    """One service of an account."""

    def __init__(
        self,
        http: HttpClient,
        endpoint: str,
        signer: Signer,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Send to an endpoint through a client of its server.

        Args:
            headers: sent with every request.
            timeout_s: of a call with all its attempts.
            pauses_s: between the attempts, of which there is one more.
        """
        self.endpoint = endpoint
        self._http = http
        self._root = urlsplit(endpoint).path.rstrip("/")
        self._signer = signer
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._pauses_s = tuple(pauses_s)

    async def send(self, request: Request) -> Answer:
        """Send and see that it was done.

        Raises:
            StorageError: which one is said by the table of azure_errors.
        """
        answer = await self.ask(request)
        if answer.status >= 300:
            raise refused(request, answer, answer.status, answer.code)
        return answer

    async def ask(self, request: Request) -> Answer:
        """Send; a refusal is an answer too.

        Raises:
            TransientStorageError: it cannot be reached, is too busy, or failed; or nobody knows.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._ask(request)
        except TimeoutError as error:
            raise TransientStorageError(
                f"{request.what}: no answer within {self._timeout_s:g} seconds"
            ) from error

    async def _ask(self, request: Request) -> Answer:
        attempts = _Attempts(request)
        for pause_s in self._pauses_s:
            try:
                return await self._attempt(attempts)
            except _AgainError as again:
                await asyncio.sleep(max(pause_s, again.pause_s))
        try:
            return await self._attempt(attempts)
        except _AgainError as again:
            raise again.error from again.__cause__

    async def _attempt(self, attempts: _Attempts) -> Answer:
        what = attempts.request.what
        try:
            return attempts.judge(await self._exchange(attempts))
        except NotConnectedError as error:
            where = f"connection to {self._http.host}:{self._http.port} failed"
            raise _AgainError(TransientStorageError(f"{what}: {where} ({error})")) from error
        except ConnectionLostError as error:
            lost = TransientStorageError(f"{what}: connection failed ({error})")
            raise attempts.doubt(lost) from error

    async def _exchange(self, attempts: _Attempts) -> HttpAnswer:
        """Send at once again over another connection what went over one that the server had closed meanwhile."""
        try:
            return await self._send_once(attempts.request)
        except ConnectionLostError as error:
            if not error.was_kept or attempts.request.repeat is Repeat.NEVER:
                raise
        attempts.is_doubtful = True
        return await self._send_once(attempts.request)

    async def _send_once(self, request: Request) -> HttpAnswer:
        path = self._root + request.path
        headers = {**self._headers, **request.headers}
        extra = await self._signer.sign(request, path, headers)
        query = [f"{name}={quote(text, safe='')}" for name, text in request.query.items()]
        if extra:
            query.append(extra)
        target = f"{path}?{'&'.join(query)}" if query else path
        return await self._http.ask(request.method, target, headers, request.body)


class _Attempts:
    """What is known of one call after each of its attempts."""

    __slots__ = ("is_doubtful", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.is_doubtful = False

    def doubt(self, error: TransientStorageError) -> Exception:
        """What to raise when an attempt may have been carried out: another attempt, or the end."""
        self.is_doubtful = True
        return error if self.request.repeat is Repeat.NEVER else _AgainError(error)

    def judge(self, found: HttpAnswer) -> Answer:
        """The answer, if it ends the call."""
        answer = Answer(
            status=found.status,
            headers=found.headers,
            body=found.body,
            is_doubtful=self.is_doubtful,
        )
        if answer.status in _NOT_DONE:
            raise _AgainError(self._failed(answer), _retry_after_s(answer))
        if answer.status in _UNKNOWN:
            raise self.doubt(self._failed(answer))
        return answer

    def _failed(self, answer: Answer) -> TransientStorageError:
        error = refusal(self.request.what, answer.status, answer.code)
        return TransientStorageError(str(error))


def refused(
    request: Request, answer: Answer, status: int, code: str, failed_index: int | None = None
) -> StorageError:
    """The error for a refusal, of the whole request or of one write within."""
    error = refusal(request.what, status, code, failed_index=failed_index)
    if answer.is_doubtful and request.repeat is Repeat.GUARDED and status in _REFUSED_SECOND:
        return TransientStorageError(
            f"{error}; an earlier attempt got no answer and may have been carried out"
        )
    return error


def unreadable(request: Request) -> TransientStorageError:
    """The error for an answer that makes no sense: it counts as none."""
    return TransientStorageError(f"{request.what}: the answer of the service cannot be read")


def _retry_after_s(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0
