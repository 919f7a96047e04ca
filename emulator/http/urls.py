"""The addresses that are handed out. Pure. Source: reference http-api.md 3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from emulator.core.json_text import compact
from emulator.errors import InvalidRequestError

WEBHOOKS: Final = "/runtime/webhooks/durabletask"
ADMIN: Final = "/admin/extensions/DurableTaskExtension"
RPC: Final = "/durabletask"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
PLACEHOLDER: Final = "INSTANCEID"
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!*()"
)


def form_encode(text: str) -> str:
    """Form encoding as .NET does it: blank is +, hex digits are upper case."""
    parts: list[str] = []
    for byte in text.encode("utf-8", "surrogatepass"):
        if byte in _UNRESERVED:
            parts.append(chr(byte))
        else:
            parts.append("+" if byte == ord(" ") else f"%{byte:02X}")
    return "".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes management links for one hub.

    Attributes:
        origin: scheme, host and port.
        prefix: WEBHOOKS or ADMIN.
        code: system key, None if keys are not enforced.
    """

    origin: str
    prefix: str
    task_hub: str
    connection: str
    code: str | None = None

    @property
    def base(self) -> str:
        """Address below which the routes are."""
        return f"{self.origin}{self.prefix}"

    @property
    def code_query(self) -> str:
        """`code=KEY`, or nothing."""
        return f"code={self.code}" if self.code else ""

    def _suffix(self) -> str:
        parts = [
            f"taskHub={form_encode(self.task_hub)}",
            f"connection={form_encode(self.connection)}",
        ]
        if self.code_query:
            parts.append(self.code_query)
        return "&".join(parts)

    def management(
        self, instance_id: str, *, rewind: bool = True, failure_flag: bool = False
    ) -> dict[str, str]:
        """All links of an instance, in the order of the management payload.

        Args:
            rewind: whether rewindPostUri is among them; the check-status payload leaves it out.
            failure_flag: whether the status link asks for a 500 on failure.
        """
        encoded = form_encode(instance_id)
        instance = f"{self.base}/instances/{encoded}"
        query = self._suffix()
        flag = "&returnInternalServerErrorOnFailure=true" if failure_flag else ""
        links = {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{query}{flag}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        }
        if rewind:
            links["rewindPostUri"] = f"{instance}/rewind?reason={{text}}&{query}"
        links["purgeHistoryDeleteUri"] = f"{instance}?{query}"
        links["restartPostUri"] = f"{instance}/restart?{query}"
        links["suspendPostUri"] = f"{instance}/suspend?reason={{text}}&{query}"
        links["resumePostUri"] = f"{instance}/resume?reason={{text}}&{query}"
        return links

    def creation(self) -> dict[str, str]:
        """Links that start instances."""
        start = f"{self.base}/orchestrators/{{functionName}}[/{{instanceId}}]?"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&"
        return {
            "createNewInstancePostUri": f"{start}{self.code_query}",
            "createAndWaitOnNewInstancePostUri": f"{start}{wait}{self.code_query}",
        }

    def binding_json(self, rpc_base_url: str | None) -> str:
        """Text of a client binding, members in the recorded order."""
        return compact(
            {
                "taskHubName": self.task_hub,
                "connectionName": None,
                "creationUrls": self.creation(),
                "managementUrls": self.management(PLACEHOLDER),
                "baseUrl": self.base,
                "requiredQueryStringParameters": self.code_query,
                "rpcBaseUrl": rpc_base_url,
                "httpBaseUrl": None,
                "maxGrpcMessageSizeInBytes": None,
                "grpcHttpClientTimeout": None,
            }
        )


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def forwarded_origin(origin: str, headers: Mapping[str, str]) -> str:
    """The origin that a proxy saw, if it said both host and scheme; the port stays that of the request.

    Raises:
        InvalidRequestError: the scheme is none; lists of several proxies are not taken apart.
    """
    host, scheme = headers.get("x-forwarded-host"), headers.get("x-forwarded-proto")
    if not host or not scheme:
        return origin
    if not _SCHEME.fullmatch(scheme):
        raise InvalidRequestError("Invalid URI: The URI scheme is not valid. (Parameter 'value')")
    port = urlsplit(origin).port
    return f"{scheme}://{host}{f':{port}' if port else ''}"


def public_origin(website_hostname: str | None, port: int) -> str:
    """The origin for links that no request leads to."""
    host = website_hostname or f"localhost:{port}"
    local = host.lower().startswith(("localhost", "127.0.0.1", "[::1]"))
    return f"{'http' if local else 'https'}://{host}"


def check_status_headers(links: Mapping[str, str]) -> dict[str, str]:
    """Headers of a 202 with a check-status payload."""
    location = links["statusQueryGetUri"].replace("%7E", "~")
    return {"Location": location, "Retry-After": "10"}
