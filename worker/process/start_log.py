"""Logs attempts that start, if asked, and attempts that still run after a while."""

from __future__ import annotations

from collections.abc import Callable

from jobs.app import App
from jobs.events import AttemptStarted
from worker.exchange.delivery import Delivery

LONG_SECONDS = 5.0
"""Only attempts that run for this long are logged, unless all are: two lines per run cost two thirds of the speed."""


class StartLog:
    """Finds attempts whose start is to be logged. Not thread-safe."""

    def __init__(self, app: App, performing: Callable[[], list[Delivery]]) -> None:
        self._app = app
        self._performing = performing
        self._told: set[Delivery] = set()

    def look(self) -> None:
        """Log the attempts that have become long since the last look."""
        if self._app.settings.log_starts:
            return
        now = self._app.clock.monotonic()
        # A thread starts a run at most a quarter of a second after the claim; else the run was given back.
        going = {one for one in self._performing() if now - one.claimed_monotonic >= LONG_SECONDS}
        for delivery in going - self._told:
            log_start(self._app, delivery, going_seconds=now - delivery.claimed_monotonic)
        self._told = going


def log_start(app: App, delivery: Delivery, *, going_seconds: float = 0.0) -> None:
    """Emit that the attempt of ``delivery`` started ``going_seconds`` ago."""
    claim = delivery.claim
    app.events.emit(
        [AttemptStarted(claim.run_id, claim.kind, claim.queue, claim.attempt, claim.correlation_id, going_seconds)]
    )
