"""Zone data: recomputes future slots that were computed with another version of ``tzdata``."""

from __future__ import annotations

import logging

from jobs.app import App
from jobs.ledger.schedules.leader import limit_idle
from jobs.ledger.schedules.zone_moves import BATCH, Moved, is_computed_elsewhere, move_slots
from jobs.scheduling.zones import data_version

POLL_SECONDS = 60.0
"""Seconds between two checks by a leader: a command line or another scheduler may use other zone data. Source:
decision; a check reads every schedule."""
MAX_LOGGED = 100
"""The most moved slots that get a log line each. Source: decision."""

log = logging.getLogger("jobs.scheduler")


class ZoneData:
    """Keeps the next slots of all schedules, the code's and operators', up to date with this process's zone data."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._looked: float | None = None

    def check(self, *, leads: bool) -> None:
        """Check once a minute while this process leads, and at once when it begins to lead.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        now = self._app.clock.monotonic()
        if not leads:
            self._looked = None
        elif self._looked is None or now - self._looked >= POLL_SECONDS:
            compute_anew(self._app)
            self._looked = now


def compute_anew(app: App) -> list[Moved]:
    """Recompute the slots that were computed with other zone data. Returns, and logs, those that moved."""
    with app.database.read() as connection:
        if not is_computed_elsewhere(connection):
            return []
    moved: list[Moved] = []
    while True:
        with app.database.write() as connection:
            limit_idle(connection)
            looked_at, some = move_slots(connection)
        moved += some
        if looked_at < BATCH:
            break
    for one in moved[:MAX_LOGGED]:
        facts = {"schedule": one.name, "was": _text(one.was), "now": _text(one.now), "by": one.by or "unknown"}
        log.warning("Slot moved, the zone data has changed", extra={**facts, "tzdata": data_version()})
    if len(moved) > MAX_LOGGED:
        log.warning("More slots moved", extra={"more": len(moved) - MAX_LOGGED, "tzdata": data_version()})
    return moved


def _text(moment: object) -> str | None:
    return str(moment) if moment is not None else None
