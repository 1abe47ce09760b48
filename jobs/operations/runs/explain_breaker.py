"""Why an open breaker parks a run, in one sentence with its evidence."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.database.sql import Executor
from jobs.definition.breakers import Slice
from jobs.definition.redaction import HIDDEN
from jobs.formats.duration import format_duration
from jobs.ledger.breakers.reports import find_breaker, live_canaries
from jobs.ledger.breakers.slices import slice_named
from jobs.ledger.run_records import RunRecord


def on_breaker(
    session: Executor, run: RunRecord, now: datetime, evidence: list[tuple[str, object]]
) -> tuple[str, str, list[tuple[str, object]]]:
    """The code, the sentence and the evidence for a run that is parked on a breaker."""
    one = slice_named(run.held_on or "")
    whole, own = find_breaker(session, Slice(one.name, "")), find_breaker(session, one)
    if own is None or own.opened_at is None or own.probe_at is None:
        return "parked", f"It is parked: the breaker {one.name} has closed, and upkeep makes the run ready.", evidence
    # A key is the value of an argument, and hidden like the arguments.
    of_key = "" if own.key is None else f" of {own.key}" if run.arguments != HIDDEN else " of its key"
    within = whole.within_seconds if whole is not None else None
    span = "" if within is None else f" within {format_duration(timedelta(seconds=within))}"
    failed = "" if own.failures is None else f": {own.failures:,} failures of {own.error_type}{span}"
    canaries = live_canaries(session, one, now=now)
    if run.id in canaries:
        following = f"this run goes as the canary at {own.probe_at:%H:%M:%S}"
    elif own.probe_at > now:
        following = f"one canary goes at {own.probe_at:%H:%M:%S}"
    elif canaries:
        following = f"the canary is {str(canaries[0])[-8:]}"
    else:
        following = "one canary goes now"
    evidence += [
        ("failure", own.fingerprint),
        ("failed canaries", own.failed_canaries),
        ("canary", ", ".join(str(run_id)[-8:] for run_id in canaries[:5])),
        ("parked on it", own.parked),
    ]
    said = f"the breaker {one.name}{of_key} is open since {own.opened_at:%H:%M:%S}{failed}; {following}"
    return "parked", f"It is parked: {said}.", evidence
