"""Tokens of a managed identity, or of whoever is signed in here, for call_http's token sources.

The package azure-identity is optional and is imported with the first token. Source: extension:
ManagedIdentityTokenSource.cs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from emulator.errors import AppError

_HOW: Final = (
    "Sign in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET in the Values of "
    "local.settings.json; in Azure the app's managed identity is used"
)


class TokenError(AppError):
    """There is no credential that gives the token."""


async def identity_token(resource: str, options: Mapping[str, object]) -> str:
    """A bearer token for a resource.

    Args:
        resource: taken as the scope as it stands, as the real token source does.
        options: `authorityhost` and `tenantid`, in any case.

    Raises:
        TokenError: the package is missing, or no credential gives a token; says what to do.
    """
    try:
        identity: Any = importlib.import_module("azure.identity.aio")
    except ImportError as error:
        raise TokenError(
            "the package azure-identity is not installed; "
            "pip install durable-functions-emulator[identity]"
        ) from error
    lowered = {name.lower(): str(value) for name, value in options.items() if value}
    chosen = {"authority": lowered.get("authorityhost")} if "authorityhost" in lowered else {}
    try:
        async with identity.DefaultAzureCredential(**chosen) as credential:
            token = await credential.get_token(resource, tenant_id=lowered.get("tenantid"))
            return str(token.token)
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TokenError(f"no credential gave one ({first}). {_HOW}") from error
