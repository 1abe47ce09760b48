"""Check-ins: what Sentry's monitors of schedules are told. A slot that fires begins one, and its run's end ends it.

A monitor is made and kept up by what the first check-in carries, so that Sentry also notices when none comes: the
scheduler is gone. Its schedules are whole minutes at the finest; others are told of, and made by hand.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobs.schedule import Cron, Every, Schedule
from jobs.states import RunState

MAX_SLUG = 50
"""Characters of a monitor's slug. Source: Sentry's documentation."""
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def begun(name: str, run_id: UUID, schedule: Schedule | None) -> dict[str, Any]:
    """The check-in of a slot that made the run ``run_id``."""
    event = _check_in(name, run_id, "in_progress")
    config = _config(schedule)
    return {**event, "monitor_config": config} if config is not None else event


def ended(name: str, run_id: UUID, state: RunState) -> dict[str, Any]:
    """The end of that check-in: the run has come to the final ``state``."""
    return _check_in(name, run_id, "ok" if state is RunState.SUCCEEDED else "error")


def slug(name: str) -> str:
    """A schedule's name as Sentry names its monitor: small letters, digits, ``-`` and ``_``."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:MAX_SLUG] or "schedule"


def _check_in(name: str, run_id: UUID, status: str) -> dict[str, Any]:
    # One check-in a run, whoever tells of it: the id is the run's.
    return {"type": "check_in", "monitor_slug": slug(name), "check_in_id": run_id.hex, "status": status}


def _config(schedule: Schedule | None) -> dict[str, Any] | None:
    if isinstance(schedule, Cron) and len(schedule.expression.split()) == 5:
        return {"schedule": {"type": "crontab", "value": schedule.expression}, "timezone": schedule.timezone}
    if isinstance(schedule, Every):
        for unit, span in _UNITS:
            if schedule.interval >= span and not schedule.interval % span:
                return {"schedule": {"type": "interval", "value": schedule.interval // span, "unit": unit}}
    return None
