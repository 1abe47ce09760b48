"""Health: what the scheduler's endpoint answers, beside the ledger's metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.app import App
from jobs.clock import Clock

log = logging.getLogger("jobs.scheduler")

STUCK_SECONDS = 120.0
"""A loop that has not turned for so long is stuck. Source: decision; it turns each second, a slow tick takes more."""


class Progress:
    """When the scheduler's loop last turned, and whether its last turn failed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turned_at = clock.monotonic()
        self._failed: str | None = None

    def turned(self) -> None:
        self._turned_at = self._clock.monotonic()

    def ended(self, failed: str | None) -> None:
        """A turn has ended: well (None), or by what these words say."""
        self._failed = failed

    def problems(self) -> list[str]:
        """What keeps the loop, in words; none while it turns and does its work."""
        seconds = self._clock.monotonic() - self._turned_at
        if seconds > STUCK_SECONDS:
            return [f"its loop has not turned for {seconds:.0f} s"]
        return [] if self._failed is None else [self._failed]


@contextmanager
def serving(app: App) -> Iterator[Progress]:
    """Serve metrics and health where JOBS_LEDGER_METRICS_PORT says, if it does.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    progress = Progress(app.clock)
    port = app.settings.ledger_metrics_port
    if port is None:
        yield progress
        return
    from jobs.observe.ledger_metrics import serve_ledger

    endpoint = serve_ledger(app, host=app.settings.metrics_host, port=port, progress=progress.problems)
    log.info("Metrics and health are served", extra={"url": endpoint.url})
    try:
        yield progress
    finally:
        endpoint.close()
