"""Time series: attempts that ended per minute, and how long runs waited and took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, String, and_, bindparam, case, cast, func, select

from jobs.database.models import JobAttempt, JobRun, UtcDateTime
from jobs.database.sql import Executor, dialect_of, seconds_between
from jobs.states import Outcome

MINUTE = timedelta(minutes=1)
MOST = 100_000
"""Most attempts that a series reads. Source: measured; 70 to 130 ms on either dialect."""
SAMPLE = 2_000
"""Attempts from which latencies are computed. Source: decision; a p95 then rests on a hundred of them."""
FAILED = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.GAVE_UP)
"""Outcomes that a series counts as failures; an interruption is not one."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The attempts that ended within a minute, which begins ``at``.

    ``other`` are those that were interrupted: snoozed, released, abandoned, cancelled.
    """

    at: datetime
    succeeded: int = 0
    failed: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """Minutes, first to last, without gaps; ``is_capped`` if earlier attempts were too many to read."""

    minutes: list[Minute]
    is_capped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds that the latest attempts of a kind waited and took.

    ``wait`` is from when its run was due to its start, and None if no run of the sample has ended; percentiles are of
    ``attempts`` attempts.
    """

    kind: str
    queue: str
    attempts: int
    wait_p50: float | None
    wait_p95: float | None
    took_p50: float
    took_p95: float


def minutes(session: Executor, *, since: datetime, until: datetime, most: int = MOST) -> Series:
    """The minutes from ``since`` to ``until``, the first one complete.

    Reads at most ``most`` entries of an index of attempts; if they do not suffice, the series begins later.
    """
    begin = since.replace(second=0, microsecond=0)
    given = {"since": begin, "until": until, "most": most}
    rows = session.execute(_minutes(dialect_of(session)), given).all()
    found: dict[datetime, dict[str, int]] = {}
    for bucket, outcome, number in rows:
        at = datetime.fromisoformat(f"{bucket}:00+00:00")
        found.setdefault(at, {})[_part(outcome)] = found.get(at, {}).get(_part(outcome), 0) + number
    is_capped = sum(row[2] for row in rows) >= most
    if is_capped:
        # Its oldest minute is incomplete.
        begin = min(found) + MINUTE
    shown = []
    while begin < until:
        shown.append(Minute(begin, **found.get(begin, {})))
        begin += MINUTE
    return Series(shown, is_capped)


def latencies(session: Executor, *, sample: int = SAMPLE) -> list[Latency]:
    """By queue and kind, from the latest ``sample`` attempts that ended; the kind with most of them first."""
    waits: dict[tuple[str, str], list[float]] = {}
    spans: dict[tuple[str, str], list[float]] = {}
    for queue, kind, took, waited in session.execute(_latest(), {"sample": sample}):
        spans.setdefault((queue, kind), []).append(took)
        if waited is not None:
            waits.setdefault((queue, kind), []).append(max(0.0, waited))
    found = []
    for (queue, kind), each in sorted(spans.items(), key=lambda one: (-len(one[1]), one[0])):
        wait = waits.get((queue, kind))
        found.append(
            Latency(
                kind=kind,
                queue=queue,
                attempts=len(each),
                wait_p50=_percentile(wait, 0.5) if wait else None,
                wait_p95=_percentile(wait, 0.95) if wait else None,
                took_p50=_percentile(each, 0.5),
                took_p95=_percentile(each, 0.95),
            )
        )
    return found


@cache
def _minutes(dialect: str) -> Select[str, str, int]:
    moment = JobAttempt.finished_at
    latest = (
        select(moment.label("at"), JobAttempt.outcome)
        .where(
            moment >= bindparam("since", type_=UtcDateTime()),
            moment < bindparam("until", type_=UtcDateTime()),
        )
        .order_by(moment.desc())
        .limit(bindparam("most", type_=Integer()))
        .subquery()
    )
    if dialect == "postgresql":
        # Grouped as a moment, and formatted once per group.
        minute: Any = func.date_trunc("minute", latest.c.at)
        shown: Any = func.to_char(func.timezone("UTC", minute), "YYYY-MM-DD HH24:MI")
    else:
        minute = shown = func.substr(cast(latest.c.at, String), 1, 16)
    return select(shown, latest.c.outcome, func.count()).group_by(minute, latest.c.outcome)


@cache
def _latest() -> Select[str, str, float, float | None]:
    latest = (
        select(JobAttempt.run_id, JobAttempt.attempt, JobAttempt.started_at, JobAttempt.finished_at)
        .order_by(JobAttempt.finished_at.desc())
        .limit(bindparam("sample", type_=Integer()))
        .subquery()
    )
    # A run that is not finished has another due moment by now.
    is_last = and_(JobRun.attempt == latest.c.attempt, JobRun.finished_at.is_not(None))
    return select(
        JobRun.queue,
        JobRun.kind,
        seconds_between(latest.c.started_at, latest.c.finished_at),
        case((is_last, seconds_between(JobRun.run_at, latest.c.started_at))),
    ).join(latest, latest.c.run_id == JobRun.id)


def _part(outcome: str) -> str:
    if outcome == Outcome.SUCCEEDED:
        return "succeeded"
    return "failed" if outcome in FAILED else "other"


def _percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
