"""The statements of unique keys: take free keys, find the holders of others, rewrite a waiting holder."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    String,
    Update,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)

from jobs.database.models import JobKey, JobRun, UtcDateTime
from jobs.database.sql import RowBatch, insert_into, ledger_now, plus_seconds
from jobs.definition.fairness import tenant_of
from jobs.ledger.holds import NOT_HELD
from jobs.ledger.records import NewRun
from jobs.states import LIVE, RunState

TAKEN = RowBatch("taken", kind=String(), key=String(), run_id=Uuid(), arguments_hash=String(), hold_seconds=Float())
WANTED = RowBatch("wanted", kind=String(), key=String())


@cache
def take_keys(dialect: str) -> Any:
    """Insert rows of ``job_keys``, or take over those that are free again; returns the runs that got their key."""
    wanted = TAKEN.table(dialect).c
    columns = {
        "kind": wanted.kind,
        "key": wanted.key,
        "run_id": wanted.run_id,
        "arguments_hash": wanted.arguments_hash,
        "held_until": plus_seconds(ledger_now(), wanted.hold_seconds),
    }
    rows = insert_into(dialect, JobKey).from_select(list(columns), select(*columns.values()).where(text("true")))
    return rows.on_conflict_do_update(
        index_elements=["kind", "key"],
        set_={name: rows.excluded[name] for name in ("run_id", "arguments_hash", "held_until")},
        where=and_(JobKey.held_until <= ledger_now(), ~holder_is_live()),
    ).returning(JobKey.run_id)


def holder_is_live() -> Any:
    """Whether the run that a row of ``job_keys`` names is live."""
    is_live = JobRun.state.in_([literal_column(f"'{state.value}'") for state in sorted(LIVE)])
    # As text: within ON CONFLICT, SQLAlchemy would add the table to the FROM of the subquery, which then asks whether
    # the run of any key is live.
    run_id: ColumnElement[UUID] = literal_column("job_keys.run_id", type_=Uuid())
    return select(literal_column("1")).where(JobRun.id == run_id, is_live).exists()


@cache
def look_up_holders(dialect: str) -> Any:
    """Two queries for keys: the live runs that hold them, and the rows of ``job_keys`` that do."""
    wanted = WANTED.table(dialect).c
    live = select(
        JobRun.kind, JobRun.key, JobRun.id, JobRun.arguments_hash, JobRun.state, JobRun.queue, JobRun.priority
    ).where(JobRun.kind == wanted.kind, JobRun.key == wanted.key, JobRun.state.in_(sorted(LIVE)))
    kept = (
        select(JobKey.kind, JobKey.key, JobKey.run_id, JobKey.arguments_hash, JobRun.state, JobRun.queue)
        .select_from(JobKey)
        .outerjoin(JobRun, JobRun.id == JobKey.run_id)
        .where(
            JobKey.kind == wanted.kind,
            JobKey.key == wanted.key,
            or_(JobKey.held_until.is_(None), JobKey.held_until > ledger_now()),
        )
    )
    return live, kept


@cache
def rewrite_waiting(*, is_fair: bool) -> Update:
    """Give a waiting run other arguments, another time and a fresh retry budget; if its kind is fair, its tenant."""
    run_at = func.coalesce(
        bindparam("run_at", type_=UtcDateTime()),
        plus_seconds(ledger_now(), bindparam("delay_seconds", type_=Float())),
        type_=UtcDateTime(),
    )
    names = (*_REWRITTEN, "tenant") if is_fair else _REWRITTEN
    columns = {name: bindparam(f"new_{name}", type_=JobRun.__table__.c[name].type) for name in names}
    return (
        update(JobRun)
        .where(JobRun.id == bindparam("holder", type_=Uuid()), JobRun.state == RunState.QUEUED)
        .values(run_at=run_at, charged=0, crashes=0, abandonments=0, **NOT_HELD, **columns)
        .returning(JobRun.id)
    )


_REWRITTEN = ("arguments", "arguments_version", "arguments_hash", "max_attempts")


def new_values(run: NewRun) -> dict[str, Any]:
    """The parameters of ``rewrite_waiting``."""
    tenant = tenant_of(run.kind, run.arguments, run.arguments_version)
    return {f"new_{name}": getattr(run, name) for name in _REWRITTEN} | {
        "run_at": run.run_at,
        "delay_seconds": run.delay_seconds,
        **({} if tenant is None else {"new_tenant": tenant}),
    }
