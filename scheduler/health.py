"""Health: serves the scheduler's health and the ledger's metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.app import App
from jobs.clock import Clock

log = logging.getLogger("jobs.scheduler")

STUCK_SECONDS = 120.0
"""A loop that makes no turn for this long is stuck. Source: decision; it turns each second, a slow tick takes
longer."""


class SchedulerProgress:
    """When the scheduler's loop last turned, and whether its last turn failed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turned_at = clock.monotonic()
        self._failed: str | None = None

    def turned(self) -> None:
        self._turned_at = self._clock.monotonic()

    def ended(self, failed: str | None) -> None:
        """Record the end of a turn: None for success, or the error as text."""
        self._failed = failed

    def problems(self) -> list[str]:
        """What is wrong with the loop, as text; empty while it works."""
        seconds = self._clock.monotonic() - self._turned_at
        if seconds > STUCK_SECONDS:
            return [f"its loop has not turned for {seconds:.0f} s"]
        return [] if self._failed is None else [self._failed]


@contextmanager
def serving(app: App) -> Iterator[SchedulerProgress]:
    """Serve metrics and health on JOBS_LEDGER_METRICS_PORT, if it is set.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    progress = SchedulerProgress(app.clock)
    port = app.settings.ledger_metrics_port
    if port is None:
        yield progress
        return
    from jobs.observe.gauges.ledger_metrics import serve_ledger

    endpoint = serve_ledger(app, host=app.settings.metrics_host, port=port, progress=progress.problems)
    log.info("Metrics and health are served", extra={"url": endpoint.url})
    try:
        yield progress
    finally:
        endpoint.close()
