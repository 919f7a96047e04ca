"""What the activities of the takeover app find outside: it outlives every worker, and the tests set it."""

from __future__ import annotations

LUCKY_ATTEMPT = 3
attempts = 0
"""How often FailTwice was tried since a client last started something."""
is_healthy = False
"""Whether FailUntilHealthy succeeds."""
