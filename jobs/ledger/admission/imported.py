"""Inserts runs of another system under ids derived from its own, so that an import may be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Select, Text, Update, Uuid, select, update

from jobs.database.models import JobRun, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, one_of
from jobs.ledger.admission.insert import insert_free
from jobs.ledger.records import NewRun
from jobs.states import Cause, RunState

_DEAD = RowBatch(
    "letter",
    id=Uuid(),
    cause=Text(),
    died_at=UtcDateTime(),
    error_type=Text(),
    error_message=Text(),
    fingerprint=Text(),
)
_IDS = RowBatch("wanted", id=Uuid())


@dataclass(frozen=True, slots=True)
class ImportedDeadLetter:
    """A dead letter of another system, with what is known of its error."""

    run: NewRun
    cause: Cause
    died_at: datetime
    error_type: str | None = None
    error_message: str | None = None
    fingerprint: str | None = None


def insert_imported(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> set[UUID]:
    """Insert those of ``runs`` that do not exist yet, in one statement; returns their ids."""
    return insert_free(session, runs, now=now)


def recorded_ids(session: Executor, run_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these runs that the ledger has."""
    if not run_ids:
        return set()
    dialect = dialect_of(session)
    return set(session.scalars(_recorded(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])))


def insert_dead_letters(
    session: Executor, dead_letters: Sequence[ImportedDeadLetter], *, now: datetime | None = None
) -> set[UUID]:
    """Insert those of ``dead_letters`` that do not exist yet, as dead runs without attempts; returns their ids."""
    made = insert_free(session, [one.run for one in dead_letters], now=now)
    rows = [
        (one.run.id, one.cause.value, one.died_at, one.error_type, one.error_message, one.fingerprint)
        for one in dead_letters
        if one.run.id in made
    ]
    if rows:
        dialect = dialect_of(session)
        session.execute(_dead_letter(dialect), _DEAD.rows(dialect, rows))
    return made


@cache
def _recorded(dialect: str) -> Select[UUID]:
    return select(JobRun.id).where(one_of(dialect, JobRun.id, select(_IDS.table(dialect).c.id)))


@cache
def _dead_letter(dialect: str) -> Update:
    dead = _DEAD.table(dialect).c
    return (
        update(JobRun)
        .where(JobRun.id == dead.id, _DEAD.among(dialect, JobRun.id, "id"))
        .values(
            state=RunState.DEAD.value,
            cause=dead.cause,
            finished_at=dead.died_at,
            state_at=dead.died_at,
            error_type=dead.error_type,
            error_message=dead.error_message,
            fingerprint=dead.fingerprint,
        )
    )
