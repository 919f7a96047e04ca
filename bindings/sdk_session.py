"""The HTTP session that the app's SDK shares among its clients.

The SDK opens it at a client's first call and never closes it, because its worker ends with the process. Here a host
may stop while the process goes on, so the host closes it; the SDK opens a new one when it needs it.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

_MODULE = "azure.durable_functions.models.utils.http_utils"
_SESSION = "_client_session"
_LOCK = "_session_lock"


async def close() -> None:
    """Close the session, if there is one. Older releases of the SDK open one for each call."""
    module: Any = importlib.import_module(_MODULE)
    session = getattr(module, _SESSION, None)
    if session is None:
        return
    setattr(module, _SESSION, None)
    # A lock that was waited for belongs to the loop of that time.
    setattr(module, _LOCK, asyncio.Lock())
    await session.close()
