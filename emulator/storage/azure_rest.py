"""Plain REST calls: sent over one session, signed, tried again where that is right, refusals as our errors.

The SDKs' clients spend five to twenty times the processor time of these calls, for a transaction of rows a hundred
times, so the operations that every episode needs go this way. What is rare stays with the SDKs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from emulator.errors import StorageError, TransientStorageError
from emulator.storage.azure_errors import code_in_body, refusal
from emulator.storage.azure_signing import Repeat, Request, Signer

PAUSES_S: Final = (0.2, 0.6)
"""Between the attempts of one call; the service may ask for more, but the call's time limit holds for all of them."""
_NOT_DONE: Final = frozenset({429, 503})
"""The service was too busy to begin."""
_UNKNOWN: Final = frozenset({408, 500, 502, 504})
"""The service failed on the way; it may be done."""
_REFUSED_SECOND: Final = frozenset({404, 409, 412})
"""What a guarded call gets that is done already."""
_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError)

_connections: ContextVar[list[int]] = ContextVar("_connections")


class CountingConnector(aiohttp.TCPConnector):
    """Counts what a call of ours connects.

    When a kept connection turns out to be closed, aiohttp sends GET, PUT and DELETE again by itself and does not say
    so; but then a refusal may mean that the first one was done.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as the method it overrides
    ) -> Connection:
        """See BaseConnector."""
        counter = _connections.get(None)
        if counter is not None:
            counter[0] += 1
        return await super().connect(req, traces, timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
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
        session: aiohttp.ClientSession,
        endpoint: str,
        signer: Signer,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Send over an open session.

        Args:
            headers: sent with every request.
            timeout_s: of a call with all its attempts.
            pauses_s: between the attempts, of which there is one more.
        """
        parts = urlsplit(endpoint)
        self.endpoint = endpoint
        self._session = session
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._root = parts.path.rstrip("/")
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
        request = attempts.request
        counter = [0]
        _connections.set(counter)
        try:
            answer = await self._exchange(request)
        except _NOT_SENT as error:
            raise _AgainError(_unreachable(request, error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise attempts.doubt(_unreachable(request, error)) from error
        return attempts.judge(answer, resent=counter[0] > 1)

    async def _exchange(self, request: Request) -> Answer:
        path = self._root + request.path
        headers = {**self._headers, **request.headers}
        query = "&".join([f"{name}={quote(text, safe='')}" for name, text in request.query.items()])
        extra = await self._signer.sign(request, path, headers)
        query = "&".join(filter(None, (query, extra)))
        url = URL(f"{self._origin}{path}?{query}" if query else self._origin + path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=request.body, allow_redirects=False
        ) as response:
            body = await response.read()
            return Answer(status=response.status, headers=response.headers, body=body)


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

    def judge(self, answer: Answer, *, resent: bool) -> Answer:
        """The answer, if it ends the call."""
        self.is_doubtful |= resent
        if answer.status in _NOT_DONE:
            raise _AgainError(self._failed(answer), _retry_after_s(answer))
        if answer.status in _UNKNOWN:
            raise self.doubt(self._failed(answer))
        if not self.is_doubtful:
            return answer
        return Answer(
            status=answer.status, headers=answer.headers, body=answer.body, is_doubtful=True
        )

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


def _unreachable(request: Request, error: Exception) -> TransientStorageError:
    """Names the class and, where a connection failed, the host; never the address, whose query may hold a signature."""
    where = f" to {error.host}:{error.port}" if isinstance(error, _NOT_SENT) else ""
    number = f", {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return TransientStorageError(
        f"{request.what}: connection{where} failed ({type(error).__name__}{number})"
    )


def _retry_after_s(answer: Answer) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
