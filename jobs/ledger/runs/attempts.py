"""Writes the records of ended attempts, also if another program's row has taken an attempt's number."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Text, Uuid, bindparam, literal_column, select, update
from sqlalchemy.types import Integer

from jobs.database.models import JobAttempt, JobRun
from jobs.database.sql import MOST, Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds

log = logging.getLogger("jobs.ledger")

_ATTEMPTS = RowBatch(
    "tried",
    run_id=Uuid(),
    attempt=Integer(),
    token=Uuid(),
    outcome=Text(),
    worker=Text(),
    error_type=Text(),
    error_message=Text(),
    traceback=Text(),
    fingerprint=Text(),
    ago_seconds=Float(),
    elapsed_seconds=Float(),
    delay_seconds=Float(),
)
_RUN, _NUMBER, _TOKEN, _OUTCOME = range(4)

_RENUMBER = (
    update(JobRun)
    .where(JobRun.id == bindparam("of_run", type_=Uuid()))
    .values(attempt=bindparam("as_attempt", type_=Integer()))
)


def record(session: Executor, tried: Sequence[tuple[Any, ...]], *, now: datetime | None = None) -> dict[UUID, int]:
    """Write the attempts ``tried``, rows as in ``_ATTEMPTS``, each of another run.

    None of our releases writes an attempt's row before the attempt ends, but another program may have. That row stays;
    the attempt, and its run with it, takes the next free number. Returns those numbers, by run.
    """
    dialect = dialect_of(session)
    values = {**_ATTEMPTS.rows(dialect, tried), "now": now}
    if session.execute(_record(dialect), values).rowcount == len(tried):  # type: ignore[attr-defined]
        return {}
    return _renumber(session, dialect, tried, now)


def _renumber(
    session: Executor, dialect: str, tried: Sequence[tuple[Any, ...]], now: datetime | None
) -> dict[UUID, int]:
    stored = session.execute(
        select(JobAttempt.run_id, JobAttempt.attempt, JobAttempt.token, JobAttempt.outcome).where(
            JobAttempt.run_id.in_([row[_RUN] for row in tried])
        )
    ).all()
    recorded = {tuple(row) for row in stored}
    given: dict[UUID, int] = {}
    for row in tried:
        if row[: _OUTCOME + 1] in recorded:
            continue
        run_id, number = row[_RUN], row[_NUMBER]
        free = _next_free(number, {one.attempt for one in stored if one.run_id == run_id})
        again = [(run_id, free, *row[_TOKEN:])]
        session.execute(_record(dialect), {**_ATTEMPTS.rows(dialect, again), "now": now})
        session.execute(_RENUMBER, {"of_run": run_id, "as_attempt": free})
        given[run_id] = free
        log.warning(
            "Attempt recorded under the next free number: another row has its own",
            extra={"run_id": str(run_id), "attempt": number, "recorded_as": free},
        )
    return given


def _next_free(number: int, taken: Collection[int]) -> int:
    """The first number above ``number`` that is not ``taken``; one below it if there is none above."""
    return next(one for one in chain(range(number + 1, MOST + 1), range(number, 0, -1)) if one not in taken)


@cache
def _record(dialect: str) -> Any:
    tried = _ATTEMPTS.table(dialect).c
    columns = {
        name: tried[name]
        for name in ("run_id", "attempt", "token", "outcome", "worker", "error_type", "error_message",
                     "traceback", "fingerprint")
    } | {
        "started_at": plus_seconds(ledger_now(), -(tried.ago_seconds + tried.elapsed_seconds)),
        "finished_at": plus_seconds(ledger_now(), -tried.ago_seconds),
        "retry_at": plus_seconds(ledger_now(), tried.delay_seconds),
    }  # fmt: skip
    # SQLite reads ON after a SELECT without WHERE as the condition of a join.
    rows = select(*columns.values()).where(literal_column("1 = 1"))
    return (
        insert_into(dialect, JobAttempt)
        .from_select(list(columns), rows, include_defaults=False)
        .on_conflict_do_nothing()
        .execution_options(preserve_rowcount=True)
    )
