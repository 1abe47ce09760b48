"""Maintenance of runs without a living holder: rescue, expire, dead-letter. Any process may do it.

Each statement takes a limit and skips locked rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Text,
    and_,
    bindparam,
    literal_column,
    select,
    update,
)

from jobs.database.models import JobRun, UtcDateTime, read_moment
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, plus_seconds, seconds_between
from jobs.ledger.holds import no_longer_held
from jobs.ledger.limits.reassign import leave_slots
from jobs.ledger.records import DeadLettered, Failure, Freed, RecordedAttempt
from jobs.ledger.runs.end import AttemptEnd, end
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.ledger.runs.give_back import give_back, give_back_claims
from jobs.states import Cause, Outcome, RunState, checked_move

_KINDS = RowBatch("known", kind=Text())
_QUEUED = JobRun.state == literal_column("'queued'")
_DEAD = checked_move(RunState.QUEUED, RunState.DEAD)
_RUNNING = JobRun.state == literal_column("'running'")

_TIMED_OUT = "The attempt was over its hard limit, and held up its whole process, which was killed."
CRASH_DELAY = timedelta(seconds=1)
"""The wait after a crash, doubled for each further one. Source: decision; three crashes end within a minute."""


def crash_delay(crashes: int) -> timedelta:
    """The wait after a crash, by the number of crashes before it."""
    return CRASH_DELAY * 2.0 ** min(crashes, 10)


def rescue(
    session: Executor,
    *,
    poison_after: int,
    since: datetime | None = None,
    limit: int = 500,
    now: datetime | None = None,
) -> list[RecordedAttempt]:
    """End attempts with an expired lease as ``abandoned``: their machine is gone.

    Decides by the lease, never by age. Not charged, but counted: at ``poison_after`` losses the run is dead.

    Args:
        since: only leases that expired at this moment or later; None: all of them. PostgreSQL keeps the index entry of
            each lease until a vacuum, also if its run has ended, and a search of all leases reads all entries.
    """
    expired = JobRun.lease_until < ledger_now()
    values: dict[str, Any] = {"limit": limit, "now": now}
    if since is not None:
        expired, values["since"] = and_(expired, JobRun.lease_until >= bindparam("since", type_=UtcDateTime())), since
    lost = session.execute(_leased(expired), values).all()
    ends = [_end_of(row, Outcome.ABANDONED) for row in lost]
    settled, _ = end(session, ends, poison_after=poison_after, now=now)
    return _with_freed(session, _with_reports(settled, lost, ends), lost, now)


def moment_of(session: Executor, *, now: datetime | None = None) -> datetime:
    """The ledger's present moment, for the next search's ``since``."""
    return read_moment(session.scalar(select(ledger_now()), {"now": now}))


def end_dead_attempts(
    session: Executor,
    worker: str,
    *,
    performing: Sequence[UUID],
    ended: Sequence[UUID],
    why: str,
    blame: Outcome = Outcome.CRASHED,
    over: Sequence[UUID] = (),
    poison_after: int,
    limit: int = 500,
    now: datetime | None = None,
) -> tuple[list[RecordedAttempt], list[Freed]]:
    """End the attempts of a dead process: those being performed have crashed, the rest are released at once.

    Call again until it returns nothing: a batch is limited. Attempts are named by their tokens, because a run that the
    process had lost may have been claimed again since.

    Args:
        performing: attempts it was performing; they end with the outcome ``blame``.
        over: those of them that were over their hard limit; they have timed out.
        ended: attempts it had performed but not settled; not charged, but on record.
        why: how the process ended, for the record ("signal 9").
    """
    held = session.execute(_leased(JobRun.worker == worker), {"limit": limit, "now": now}).all()
    blamed, late, done = set(performing), set(over), set(ended)
    ends = []
    for row in held:
        failure = Failure.without_exception(row.kind, "ProcessDied", f"its worker process died: {why}")
        if row.token in late:
            delay = CRASH_DELAY.total_seconds()
            over_time = Failure.without_exception(row.kind, "TimeLimitExceeded", _TIMED_OUT)
            ends.append(_end_of(row, Outcome.TIMED_OUT, failure=over_time, delay_seconds=delay))
        elif row.token in blamed and blame is Outcome.CRASHED:
            delay = crash_delay(row.crashes).total_seconds()
            ends.append(_end_of(row, blame, failure=failure, delay_seconds=delay))
        elif row.token in blamed:
            ends.append(_end_of(row, blame, failure=None if blame is Outcome.RELEASED else failure))
        elif row.token in done:
            ends.append(_end_of(row, Outcome.RELEASED))
    settled, _ = end(session, ends, poison_after=poison_after, now=now)
    reported = _with_reports(settled, held, ends)
    started = blamed | done
    given_back = give_back_claims(session, [(row.id, row.token) for row in held if row.token not in started], now=now)
    # All slots at once: whoever locks rows of limits twice meets a claim that locks the same rows in their order.
    tokens = {row.id: row.token for row in held}
    gone = {one.run_id: tokens[one.run_id] for one in settled} | given_back.gone
    freed = leave_slots(session, gone, now=now)
    if not reported:
        return reported, given_back.freed + freed
    return _followed_by(reported, freed), given_back.freed


def holds_runs(session: Executor, worker: str) -> bool:
    """Whether the ledger still assigns a run to this process, such as one whose row another transaction has locked."""
    held = select(JobRun.id).where(_RUNNING, JobRun.worker == worker).order_by(JobRun.lease_until).limit(1)
    return session.scalar(held) is not None


def _with_freed(
    session: Executor, ended: list[RecordedAttempt], rows: Sequence[Any], now: datetime | None
) -> list[RecordedAttempt]:
    """The same; their slots of limits go to the next parked runs, which follow the first of them."""
    tokens = {row.id: row.token for row in rows}
    return _followed_by(ended, leave_slots(session, {one.run_id: tokens[one.run_id] for one in ended}, now=now))


def _followed_by(ended: list[RecordedAttempt], freed: Sequence[Freed]) -> list[RecordedAttempt]:
    return [ended[0]._replace(followed_by=(*ended[0].followed_by, *freed)), *ended[1:]] if freed else ended


def _with_reports(
    settled: Sequence[RecordedAttempt], rows: Sequence[Any], ends: Sequence[AttemptEnd]
) -> list[RecordedAttempt]:
    """The same, with the facts that a worker reports of its own runs, for logs and error reports."""
    of_run = {row.id: row.correlation_id for row in rows}
    failures = {one.run_id: one.failure for one in ends}
    return [one._replace(correlation_id=of_run[one.run_id], failure=failures[one.run_id]) for one in settled]


def release_unacknowledged(
    session: Executor, worker: str, *, held: Collection[UUID], limit: int = 500, now: datetime | None = None
) -> list[Freed]:
    """Release the runs that the ledger assigns to a living worker, but whose tokens the worker does not know.

    These are claims whose commit was not acknowledged: they may be committed, but no process knows their tokens, and
    their leases would have to expire. Only for the one thread that claims for this worker, while it does not claim.
    """
    claimed = session.execute(_leased(JobRun.worker == worker), {"limit": limit, "now": now}).all()
    return give_back(session, [(row.id, row.token) for row in claimed if row.token not in held], now=now)


def expire(session: Executor, *, limit: int = 500, now: datetime | None = None) -> list[DeadLettered]:
    """Dead-letter runs that expired before their first start."""
    expired = and_(JobRun.expires_at.is_not(None), JobRun.expires_at <= ledger_now(), JobRun.attempt == 0)
    return _dead_letter(session, expired, Cause.EXPIRED, {"limit": limit, "now": now})


def dead_letter_unknown_kinds(
    session: Executor, known: Sequence[str], *, wait: timedelta, limit: int = 500, now: datetime | None = None
) -> list[DeadLettered]:
    """Dead-letter runs of kinds that are not ``known`` to any live worker and were due more than ``wait`` ago."""
    dialect = dialect_of(session)
    overdue_since = plus_seconds(ledger_now(), -bindparam("wait_seconds", type_=Float()))
    unknown = and_(JobRun.run_at <= overdue_since, JobRun.kind.not_in(select(_KINDS.table(dialect).c.kind)))
    values = {**_KINDS.rows(dialect, [(kind,) for kind in known]), "wait_seconds": wait.total_seconds()}
    return _dead_letter(session, unknown, Cause.UNKNOWN_KIND, {**values, "limit": limit, "now": now})


def _leased(which: ColumnElement[bool]) -> Any:
    took = seconds_between(JobRun.started_at, ledger_now()).label("took")
    return (
        select(
            JobRun.id,
            JobRun.kind,
            JobRun.token,
            JobRun.attempt,
            JobRun.worker,
            JobRun.crashes,
            JobRun.correlation_id,
            took,
        )
        .where(_RUNNING, which)
        # In the order of the small index on leases: by id, SQLite would scan the whole table instead.
        .order_by(JobRun.lease_until)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
    )


def _end_of(row: Any, outcome: Outcome, *, failure: Failure | None = None, delay_seconds: float = 0.0) -> AttemptEnd:
    return AttemptEnd(
        run_id=row.id,
        token=row.token,
        attempt=row.attempt,
        outcome=outcome,
        worker=row.worker,
        elapsed_seconds=max(0.0, row.took or 0.0),
        delay_seconds=delay_seconds,
        failure=failure,
    )


def _dead_letter(
    session: Executor, which: ColumnElement[bool], cause: Cause, values: dict[str, Any]
) -> list[DeadLettered]:
    chosen = (
        select(JobRun.id)
        .where(_QUEUED, which)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    dead_lettered = session.execute(
        update(JobRun)
        .where(JobRun.id.in_(select(chosen.c.id)), JobRun.state == RunState.QUEUED)
        .values(state=_DEAD, cause=cause.value, finished_at=ledger_now(), state_at=ledger_now(), **no_longer_held())
        .returning(JobRun.id, JobRun.kind, JobRun.queue, JobRun.correlation_id, JobRun.has_followups),
        values,
    ).all()
    followed = apply_end_effects(session, [row.id for row in dead_lettered if row.has_followups], now=values["now"])
    slots = leave_slots(session, dict.fromkeys(row.id for row in dead_lettered), now=values["now"])
    if slots:
        followed.setdefault(dead_lettered[0].id, []).extend(slots)
    return [
        DeadLettered(row.id, row.kind, row.queue, row.correlation_id, tuple(followed.get(row.id, ())))
        for row in dead_lettered
    ]
