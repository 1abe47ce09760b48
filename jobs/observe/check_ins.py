"""Check-ins for Sentry's monitors of schedules: one begins when a slot fires and ends with its run.

The first check-in carries the definition of the monitor, so that Sentry also notices when none comes: the scheduler is
gone. Sentry's schedules are exact to the minute; for finer ones nothing is sent, and users make the monitor.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobs.definition.retry import Retry
from jobs.scheduling.cron import spelled_out
from jobs.scheduling.schedule import Cron, Every, Schedule
from jobs.states import RunState

MAX_SLUG = 50
"""Characters of a monitor's slug. Source: Sentry's documentation."""
MAX_RUNTIME_MINUTES = 40_320
"""The longest ``max_runtime`` that Sentry takes, 28 days. Source: MAX_TIMEOUT of its ``monitors/constants.py``."""
_HASH = 8
"""Hexadecimal digits that distinguish slugs. Source: decision; two of 1,000 names share them once in 8,000 ledgers."""
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def begun(name: str, run_id: UUID, schedule: Schedule | None, *, longest: timedelta | None = None) -> dict[str, Any]:
    """The check-in of a slot that made the run ``run_id``.

    Args:
        longest: how long the run may take, its retries included; None if nothing limits it.
    """
    event = _check_in(name, run_id, "in_progress")
    config = _config(schedule)
    return {**event, "monitor_config": {**config, "max_runtime": _minutes(longest)}} if config is not None else event


def ended(name: str, run_id: UUID, state: RunState) -> dict[str, Any]:
    """The end of that check-in: the run has entered the final ``state``."""
    return _check_in(name, run_id, "ok" if state is RunState.SUCCEEDED else "error")


def slug(name: str) -> str:
    """A schedule's name as Sentry names its monitor: small letters, digits, ``-`` and ``_``; one for each name.

    A name that is not a slug is cleaned and cut, and ends with a few digits of its hash, so that different names have
    different monitors.
    """
    cleaned = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")
    if cleaned == name and len(name) <= MAX_SLUG:
        return name
    digits = hashlib.blake2b(name.encode(), digest_size=_HASH // 2).hexdigest()
    return f"{cleaned[: MAX_SLUG - _HASH - 1].strip('-') or 'schedule'}-{digits}"


def longest_run(retry: Retry, *, timeout: timedelta | None, max_attempts: int, wait: timedelta) -> timedelta | None:
    """From a slot to the last moment at which its run may end: all attempts and waits at their limits.

    None without a time limit. The wait in a queue is unknown, and not counted.

    Args:
        wait: how much later than the slot the run may start (the schedule's jitter).
    """
    if timeout is None:
        return None
    # In seconds, because a sum of timedeltas overflows before it is cut to Sentry's limit.
    attempts = max_attempts * timeout.total_seconds()
    waits = sum(retry.wait(failures).total_seconds() for failures in range(1, max_attempts))
    if retry.within is not None:
        attempts, waits = min(attempts + waits, retry.within.total_seconds() + timeout.total_seconds()), 0.0
    return timedelta(seconds=min(wait.total_seconds() + attempts + waits, MAX_RUNTIME_MINUTES * 60.0))


def _check_in(name: str, run_id: UUID, status: str) -> dict[str, Any]:
    # One check-in per run, whichever process reports it: the id is the run's.
    return {"type": "check_in", "monitor_slug": slug(name), "check_in_id": run_id.hex, "status": status}


def _config(schedule: Schedule | None) -> dict[str, Any] | None:
    if isinstance(schedule, Cron):
        fields = spelled_out(schedule.expression).split()
        # One second of the minute is as fine as Sentry's margin, a minute; several seconds are too many for it.
        if len(fields) == 6 and fields[0].isdigit():
            fields = fields[1:]
        if len(fields) == 5:
            return {"schedule": {"type": "crontab", "value": " ".join(fields)}, "timezone": schedule.timezone}
    if isinstance(schedule, Every):
        for unit, span in _UNITS:
            if schedule.interval >= span and not schedule.interval % span:
                return {"schedule": {"type": "interval", "value": schedule.interval // span, "unit": unit}}
    return None


def _minutes(longest: timedelta | None) -> int:
    """In whole minutes, as Sentry counts; its longest for a run without a limit."""
    if longest is None:
        return MAX_RUNTIME_MINUTES
    return min(MAX_RUNTIME_MINUTES, max(1, math.ceil(longest / timedelta(minutes=1))))
