"""The end of an ASGI app that azure.functions wraps: its lifespan is shut down with the host.

AsgiFunctionApp does that in its destructor, with a new event loop; by then the app's own loop is gone.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from emulator.log import fields, get_logger

_log = get_logger(__name__)
SHUTDOWN_LIMIT_S: Final = 5.0


async def shut_down(app: object) -> None:
    """Tell the app's lifespan to end, if it ever began; it is not waited for longer than the limit."""
    wrapper = cast(Any, app)
    if not getattr(app, "startup_task_done", False):
        return
    wrapper.startup_task_done = False
    try:
        async with asyncio.timeout(SHUTDOWN_LIMIT_S):
            await wrapper.middleware.notify_shutdown()
    except TimeoutError:
        _log.warning(
            "the ASGI app has not finished its shutdown within %g seconds",
            SHUTDOWN_LIMIT_S,
            extra=fields("host_stopping"),
        )
