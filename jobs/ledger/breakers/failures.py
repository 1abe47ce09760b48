"""Counts the failures of a slice that have one fingerprint."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Integer, String, Text, Uuid, and_, bindparam, delete, func, select, text, tuple_

from jobs.database.models import JobBreaker, JobBreakerFailure
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.definition.breakers import Slice

_FAILED = RowBatch("failed", run_id=Uuid(), attempt=Integer(), breaker_name=Text(), digest=Text(), fingerprint=Text())


def record_failures(
    session: Executor, failures: Iterable[tuple[UUID, int, Slice, str]], *, now: datetime | None = None
) -> None:
    """Record failed attempts: by run, attempt, slice and fingerprint."""
    dialect = dialect_of(session)
    rows = [(run_id, attempt, *of, fingerprint) for run_id, attempt, of, fingerprint in failures]
    session.execute(_record_failed(dialect), {**_FAILED.rows(dialect, rows), "now": now})


def count_failures(
    session: Executor, of: Slice, fingerprint: str, *, within_seconds: float, most: int, now: datetime | None = None
) -> int:
    """How many failures of a slice have this fingerprint within a time; ``most`` at most."""
    given = {"name": of.name, "digest": of.digest, "fingerprint": fingerprint, "within": -within_seconds, "most": most}
    return int(session.execute(_count(), {**given, "now": now}).scalar_one())


def forget_failures(session: Executor, of: Slice) -> None:
    """Failures so far count no longer: the slice has opened, or closed."""
    same = and_(JobBreakerFailure.name == of.name, JobBreakerFailure.digest == of.digest)
    session.execute(delete(JobBreakerFailure).where(same))


def drop_old_failures(session: Executor, *, limit: int = 1000, now: datetime | None = None) -> int:
    """Delete failures that are too old to count. Returns their number."""
    return len(session.execute(_drop(), {"limit": limit, "now": now}).all())


@cache
def _record_failed(dialect: str) -> Any:
    failed = _FAILED.table(dialect).c
    names = ["run_id", "attempt", "name", "digest", "fingerprint", "failed_at"]
    columns = (failed.run_id, failed.attempt, failed.breaker_name, failed.digest, failed.fingerprint, ledger_now())
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = select(*columns).where(text("true"))
    added = insert_into(dialect, JobBreakerFailure).from_select(names, rows, include_defaults=False)
    return added.on_conflict_do_nothing()


@cache
def _count() -> Any:
    recent = (
        select(JobBreakerFailure.run_id)
        .where(
            JobBreakerFailure.name == bindparam("name", type_=String()),
            JobBreakerFailure.digest == bindparam("digest", type_=String()),
            JobBreakerFailure.fingerprint == bindparam("fingerprint", type_=String()),
            JobBreakerFailure.failed_at > plus_seconds(ledger_now(), bindparam("within", type_=Float())),
        )
        .limit(bindparam("most", type_=Integer()))
        .subquery("recent")
    )
    return select(func.count()).select_from(recent)


@cache
def _drop() -> Any:
    is_old = JobBreakerFailure.failed_at <= plus_seconds(ledger_now(), -JobBreaker.within_seconds)
    old = (
        select(JobBreakerFailure.run_id, JobBreakerFailure.attempt)
        .join(JobBreaker, and_(JobBreaker.name == JobBreakerFailure.name, JobBreaker.digest == ""))
        .where(is_old)
        .limit(bindparam("limit", type_=Integer()))
    )
    return (
        delete(JobBreakerFailure)
        .where(tuple_(JobBreakerFailure.run_id, JobBreakerFailure.attempt).in_(old))
        .returning(JobBreakerFailure.run_id)
    )
