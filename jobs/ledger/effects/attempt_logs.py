"""Logs of attempts: written while an attempt performs and when it ends, read by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Text, Uuid, cast, delete, literal_column, select, tuple_

from jobs.database.models import JobAttemptLog, JobRun, JsonText
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now
from jobs.ledger.records import Claim, KeptLog

LOGS_KEPT = 20
"""Attempts of one run whose logs are kept: the latest. Source: decision; a run may snooze a thousand times."""

_LOGS = RowBatch(
    "logs", run_id=Uuid(), attempt=Integer(), token=Uuid(), lines=Text(), line_count=Integer(), left_out=Integer()
)
_VALUES = ("lines", "line_count", "left_out", "written_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLogRecord:
    """The log of an attempt, as read. ``lines`` are lists: number, milliseconds since 1970, level, source, text."""

    run_id: UUID
    attempt: int
    lines: Any
    line_count: int
    left_out: int
    written_at: datetime


def write_logs(
    session: Executor, logs: Sequence[tuple[UUID, int, UUID, KeptLog]], *, now: datetime | None = None
) -> None:
    """Write the logs of attempts that end in this transaction: run, attempt, token and log of each."""
    dialect = dialect_of(session)
    session.execute(_write(dialect, is_live=False), {**_rows(dialect, logs), "now": now})
    old = [(run_id, attempt - LOGS_KEPT) for run_id, attempt, _, _ in logs if attempt > LOGS_KEPT]
    if old:
        session.execute(delete(JobAttemptLog).where(tuple_(JobAttemptLog.run_id, JobAttemptLog.attempt).in_(old)))


def write_live_logs(session: Executor, logs: Sequence[tuple[Claim, KeptLog]], *, now: datetime | None = None) -> None:
    """Write the logs so far of attempts that still perform; those whose lease is lost are left out."""
    dialect = dialect_of(session)
    rows = [(one.run_id, one.attempt, one.token, log) for one, log in logs]
    session.execute(_write(dialect, is_live=True), {**_rows(dialect, rows), "now": now})


def find_log(session: Executor, run_id: UUID, *, attempt: int | None = None) -> AttemptLogRecord | None:
    """The log of one attempt; by default of the latest that has one."""
    query = select(
        JobAttemptLog.run_id,
        JobAttemptLog.attempt,
        JobAttemptLog.lines,
        JobAttemptLog.line_count,
        JobAttemptLog.left_out,
        JobAttemptLog.written_at,
    ).where(JobAttemptLog.run_id == run_id)
    if attempt is not None:
        query = query.where(JobAttemptLog.attempt == attempt)
    row = session.execute(query.order_by(JobAttemptLog.attempt.desc()).limit(1)).one_or_none()
    return None if row is None else AttemptLogRecord(**row._mapping)


def forget_logs(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the logs of runs that are deleted or erased."""
    session.execute(delete(JobAttemptLog).where(JobAttemptLog.run_id.in_(list(run_ids))))


def _rows(dialect: str, logs: Sequence[tuple[UUID, int, UUID, KeptLog]]) -> dict[str, Any]:
    # In the order of ids, so that two processes cannot deadlock.
    ordered = sorted(logs, key=lambda one: one[0].int)
    return _LOGS.rows(
        dialect,
        [(run_id, attempt, token, log.lines, log.line_count, log.left_out) for run_id, attempt, token, log in ordered],
    )


@cache
def _write(dialect: str, *, is_live: bool) -> Any:
    logs = _LOGS.table(dialect).c
    columns = {
        "run_id": logs.run_id,
        "attempt": logs.attempt,
        "token": logs.token,
        "lines": cast(logs.lines, JsonText),
        "line_count": logs.line_count,
        "left_out": logs.left_out,
        "written_at": ledger_now(),
    }
    # SQLite reads ON after a SELECT without WHERE as the condition of a join.
    rows = select(*columns.values()).where(literal_column("1 = 1"))
    if is_live:
        # The lock keeps the attempt from ending meanwhile: an erased run gets no log again.
        held = JobRun.token == logs.token, _LOGS.among(dialect, JobRun.id, "run_id")
        rows = rows.join(JobRun, JobRun.id == logs.run_id).where(*held).order_by(logs.run_id)
        rows = rows.with_for_update(read=True, of=JobRun)
    write = insert_into(dialect, JobAttemptLog).from_select(list(columns), rows, include_defaults=False)
    return write.on_conflict_do_update(
        index_elements=["run_id", "attempt"],
        set_={name: write.excluded[name] for name in _VALUES},
        where=JobAttemptLog.token == write.excluded.token,
    )
