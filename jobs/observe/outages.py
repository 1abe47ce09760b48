"""Log lines of services that fail: the first at once, then one in ten seconds with a count."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.clock import Clock
from jobs.events import ServiceFailed

log = logging.getLogger("jobs.ledger")

EVERY_SECONDS = 10.0
"""Source: decision; without Redis, each enqueue would write a line, a thousand a second."""


class Outages:
    """Subscribes to ``ServiceFailed``. Any thread may call it: an occasional extra line does no harm."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_logged: dict[tuple[str, str], tuple[float, int]] = {}

    def log(self, batch: Sequence[ServiceFailed]) -> None:
        for one in batch:
            about, now = (one.service, one.operation), self._clock.monotonic()
            logged_at, not_logged = self._last_logged.get(about, (now - EVERY_SECONDS, 0))
            if now - logged_at < EVERY_SECONDS:
                self._last_logged[about] = logged_at, not_logged + 1
                continue
            self._last_logged[about] = now, 0
            more = {"repeats": not_logged} if not_logged else {}
            log.warning(
                "Service failed",
                extra={"service": one.service, "operation": one.operation, "reason": one.error, **more},
            )
