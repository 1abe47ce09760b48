"""Leases: their holder renews them and learns of cancellations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import Float, Select, Update, Uuid, bindparam, false, literal_column, select, true, update

from jobs.database.models import JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, one_of, plus_seconds

_HELD = RowBatch("held", id=Uuid(), token=Uuid())

FAR = timedelta(days=1)
"""No lease is this long, unless ``JOBS_LEASE`` sets it. Source: decision; others' leases may be longer than ours."""


def renew(
    session: Executor, held: Sequence[tuple[UUID, UUID]], *, lease: timedelta, now: datetime | None = None
) -> set[UUID]:
    """Renew the leases of ``held`` runs, by (run id, token). Returns the tokens that are still ours.

    A row that is being settled is skipped and counts as ours, because its end decides.
    """
    if not held:
        return set()
    dialect = dialect_of(session)
    rows = _HELD.rows(dialect, sorted(held))
    renewed = session.execute(_renew(dialect), {**rows, "lease_seconds": lease.total_seconds(), "now": now})
    ours = {row.token for row in renewed}
    missing = [pair for pair in held if pair[1] not in ours]
    if missing:
        ours |= {row.token for row in session.execute(_still(dialect), _HELD.rows(dialect, sorted(missing)))}
    return ours


def shorten_far(session: Executor, *, lease: timedelta, now: datetime | None = None) -> None:
    """Shorten leases that end later than any worker's lease can: they then end after ``lease``.

    Another program wrote them (``infinity``, an invalid moment), or the clock was set back. A living holder renews its
    own in time; the runs of a dead one are free when the lease expires.
    """
    far = max(FAR, 2 * lease)
    session.execute(_SHORTEN, {"lease_seconds": lease.total_seconds(), "far_seconds": far.total_seconds(), "now": now})


def wait_like_a_renewal(session: Executor) -> None:
    """Write nothing, but wait for every lock that a renewal would wait for, such as one on the whole table."""
    session.execute(update(JobRun).where(false()).values(lease_until=JobRun.lease_until))


def cancelled_among(session: Executor, held: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """The tokens of those ``held`` runs, by (run id, token), whose cancellation was requested. One read by primary key.

    An attempt that has lost its lease is not among them: a request to its run now concerns another attempt.
    """
    if not held:
        return set()
    dialect = dialect_of(session)
    return {row.token for row in session.execute(_cancelled(dialect), _HELD.rows(dialect, sorted(held)))}


_TOO_FAR = (
    select(JobRun.id)
    .where(
        JobRun.state == literal_column("'running'"),
        JobRun.lease_until > plus_seconds(ledger_now(), bindparam("far_seconds", type_=Float())),
    )
    .with_for_update(skip_locked=True)
    .cte("too_far")
)
_SHORTEN = (
    update(JobRun)
    .where(JobRun.id.in_(select(_TOO_FAR.c.id)))
    .values(lease_until=plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float())))
)


@cache
def _renew(dialect: str) -> Update:
    held = _HELD.table(dialect)
    free = select(JobRun.id).where(JobRun.id == held.c.id, JobRun.token == held.c.token)
    if dialect == "postgresql":
        # Each is locked separately. If they were locked together, each row settled between the look and the lock would
        # repeat the whole look: on a busy worker for most of them, for seconds.
        one = free.with_for_update(skip_locked=True).correlate(held).lateral("one")
        free = select(one.c.id).select_from(held.join(one, true()))
    return (
        update(JobRun)
        .where(one_of(dialect, JobRun.id, select(free.cte("free").c.id)))
        .values(lease_until=plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float())))
        .returning(JobRun.token)
    )


@cache
def _still(dialect: str) -> Select[UUID | None]:
    held = _HELD.table(dialect).c
    return select(JobRun.token).where(
        JobRun.id == held.id, JobRun.token == held.token, _HELD.among(dialect, JobRun.id, "id")
    )


@cache
def _cancelled(dialect: str) -> Select[UUID | None]:
    return _still(dialect).where(JobRun.cancel_requested_at.is_not(None))
