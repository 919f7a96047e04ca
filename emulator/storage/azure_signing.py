"""What a plain REST call carries to show whose it is: a key's signature, a shared access signature, or a token.

Source: "Authorize with Shared Key" of the Azure Storage REST reference. Queues take SharedKey, which covers headers and
query; tables take SharedKeyLite, which covers the date and the path alone and so is computed once a second and path.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from enum import Enum, auto
from typing import Any, Final, Protocol

from emulator.core.instant import MIN_INSTANT, TICKS_PER_SECOND, Instant
from emulator.storage.azure_errors import mapped
from emulator.storage.sources import Clock

TOKEN_SCOPE: Final = "https://storage.azure.com/.default"
TOKEN_RENEWED_BEFORE_S: Final = 300
"""A token is replaced so long before it runs out."""
_UNIX_EPOCH: Final = Instant.parse("1970-01-01T00:00:00Z")


class Repeat(Enum):
    """Whether a call may be sent again when nobody knows what became of it."""

    FREELY = auto()
    """Twice is as good as once: reads, upserts."""
    GUARDED = auto()
    """The store refuses the second of two. Such a refusal says nothing then, as the first may have been ours."""
    NEVER = auto()
    """Twice would be seen: a message would be there twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call to one service.

    Attributes:
        what: for messages to people; no secrets.
        path: below the endpoint, percent-encoded, with its leading slash.
        query: names in lower case and in order, values not yet encoded.
    """

    what: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    repeat: Repeat = Repeat.FREELY


class Signer(Protocol):
    """Shows whose a request is."""

    async def sign(self, request: Request, path: str, headers: dict[str, str]) -> str:
        """Add headers; what is returned goes to the end of the query as it is.

        Args:
            path: the whole path of the address, percent-encoded.
            headers: those that will be sent.

        Raises:
            StorageError: there is no token to be had.
        """
        ...


class HttpDate:
    """The time as the header `x-ms-date` has it; written once a second."""

    def __init__(self, clock: Clock) -> None:
        """Take the time from a clock."""
        self._clock = clock
        self._second = -1
        self._text = ""

    def text(self) -> str:
        """Now, such as `Tue, 24 Nov 2026 01:58:02 GMT`."""
        now = self._clock.now()
        second = now // TICKS_PER_SECOND
        if second != self._second:
            self._second = second
            whole = Instant(second * TICKS_PER_SECOND).to_datetime()
            self._text = format_datetime(whole, usegmt=True)
        return self._text


class _Key:
    """An account's key. The HMAC is prepared once and copied for each signature."""

    def __init__(self, account: str, key: str) -> None:
        self.account = account
        self._hmac = hmac.new(base64.b64decode(key), digestmod="sha256")

    def signature(self, text: str) -> str:
        copy = self._hmac.copy()
        copy.update(text.encode())
        return base64.b64encode(copy.digest()).decode()


class SharedKeySigner:
    """SharedKey, for queues."""

    def __init__(self, account: str, key: str, date: HttpDate) -> None:
        """Sign for an account with its key in base 64."""
        self._key = _Key(account, key)
        self._date = date

    async def sign(self, request: Request, path: str, headers: dict[str, str]) -> str:
        """See Signer."""
        headers["x-ms-date"] = self._date.text()
        signature = self._key.signature(self.text(request, path, headers))
        headers["Authorization"] = f"SharedKey {self._key.account}:{signature}"
        return ""

    def text(self, request: Request, path: str, headers: Mapping[str, str]) -> str:
        """What is signed. None of the conditional headers is ever sent to a queue, so their lines are empty."""
        length = str(len(request.body)) if request.body else ""
        ours = "".join(
            f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-")
        )
        query = "".join(f"\n{name}:{request.query[name]}" for name in sorted(request.query))
        kind = headers.get("Content-Type", "")
        lines = f"{request.method}\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n"
        return f"{lines}{ours}/{self._key.account}{path}{query}"


class SharedKeyLiteSigner:
    """SharedKeyLite, for tables."""

    def __init__(self, account: str, key: str, date: HttpDate) -> None:
        """Sign for an account with its key in base 64."""
        self._key = _Key(account, key)
        self._date = date
        self._signed_at = ""
        self._signed: dict[str, str] = {}

    async def sign(self, request: Request, path: str, headers: dict[str, str]) -> str:
        """See Signer."""
        date = headers["x-ms-date"] = self._date.text()
        if date != self._signed_at:
            self._signed_at = date
            self._signed.clear()
        known = self._signed.get(path)
        if known is None:
            signature = self._key.signature(f"{date}\n/{self._key.account}{path}")
            known = self._signed[path] = f"SharedKeyLite {self._key.account}:{signature}"
        headers["Authorization"] = known
        return ""


class SasSigner:
    """A shared access signature, which stands in the query."""

    def __init__(self, signature: str) -> None:
        """Use a signature as it stands in a connection string, with or without its question mark."""
        self._signature = signature.lstrip("?")

    async def sign(self, request: Request, path: str, headers: dict[str, str]) -> str:
        """See Signer."""
        return self._signature


class TokenSigner:
    """A bearer token of an identity."""

    def __init__(self, credential: Any, clock: Clock, date: HttpDate) -> None:  # noqa: ANN401 - an optional package's
        """Use an asynchronous credential of azure-identity."""
        self._credential: Any = credential
        self._clock = clock
        self._date = date
        self._token = ""
        self._renew_at = MIN_INSTANT

    async def sign(self, request: Request, path: str, headers: dict[str, str]) -> str:
        """See Signer."""
        if self._clock.now() >= self._renew_at:
            await self._renew()
        headers["x-ms-date"] = self._date.text()
        headers["Authorization"] = f"Bearer {self._token}"
        return ""

    async def _renew(self) -> None:
        with mapped("getting a token for the storage account"):
            answer: Any = await self._credential.get_token(TOKEN_SCOPE)
        self._token = str(answer.token)
        valid_s = int(answer.expires_on) - TOKEN_RENEWED_BEFORE_S
        self._renew_at = Instant(_UNIX_EPOCH + valid_s * TICKS_PER_SECOND)
