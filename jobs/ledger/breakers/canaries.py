"""Canaries: the runs that may go although their breaker is open.

A canary is chosen when it is parked, and due when the breaker may be tried. One that is killed, cancelled, expired or
purged no longer counts, and another takes its place: with the next claim, or with the next round of upkeep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, case, delete, func, literal_column, or_, select, text, tuple_

from jobs.database.models import JobCanary, JobRun, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, one_of, plus_seconds
from jobs.definition.breakers import Slice
from jobs.ledger.breakers.slices import PREFIX

CLAIM_SECONDS = 30.0
"""How long a canary that may go keeps its place while nobody claims it. Source: decision; its queue may be paused or
long, and other runs of the slice may be claimed sooner."""

_IDS = RowBatch("wanted", id=Uuid())
_SLICES = RowBatch("sliced", breaker_name=Text(), digest=Text())
_NEW = RowBatch("chosen", run_id=Uuid(), breaker_name=Text(), digest=Text(), token=Uuid(), since=UtcDateTime())


class Canary(NamedTuple):
    """A canary of a slice, and whether it still counts."""

    run_id: UUID
    of: Slice
    is_live: bool


def canaries_of(session: Executor, slices: Iterable[Slice], *, now: datetime | None = None) -> list[Canary]:
    """The canaries of ``slices``."""
    dialect = dialect_of(session)
    given = {**_SLICES.rows(dialect, [tuple(one) for one in slices]), "now": now}
    rows = session.execute(_canaries(dialect), given)
    return [Canary(row[0], Slice(row[1], row[2]), bool(row[3])) for row in rows]


def claimed_canaries(session: Executor, claims: Iterable[tuple[UUID, UUID]]) -> dict[UUID, Slice]:
    """Which of these runs, claimed with these tokens, are canaries, and of which slice. Locks nothing."""
    tokens = dict(claims)
    dialect = dialect_of(session)
    rows = session.execute(_claimed(dialect), _IDS.rows(dialect, [(one,) for one in tokens]))
    return {row[0]: Slice(row[1], row[2]) for row in rows if row[3] == tokens[row[0]]}


def choose(
    session: Executor,
    canaries: Sequence[tuple[UUID, Slice, UUID | None, datetime | None]],
    *,
    now: datetime | None = None,
) -> None:
    """Record canaries: each with the token of its claim, or none yet, and from when it may go; None: from now."""
    if not canaries:
        return
    dialect = dialect_of(session)
    rows = [(run_id, *of, token, since) for run_id, of, token, since in canaries]
    session.execute(_choose(dialect), {**_NEW.rows(dialect, rows), "now": now})


def drop_canaries(session: Executor, run_ids: Sequence[UUID]) -> None:
    """These runs are canaries no longer."""
    if run_ids:
        dialect = dialect_of(session)
        ids = select(_IDS.table(dialect).c.id)
        statement = delete(JobCanary).where(one_of(dialect, JobCanary.run_id, ids))
        session.execute(statement, _IDS.rows(dialect, [(one,) for one in run_ids]))


def drop_canaries_of(session: Executor, one: Slice) -> None:
    """A slice has no canaries any more."""
    of_slice = and_(JobCanary.name == one.name, JobCanary.digest == one.digest)
    session.execute(delete(JobCanary).where(of_slice))


@cache
def _canaries(dialect: str) -> Any:
    given = _SLICES.table(dialect).c
    is_claimed = and_(JobRun.token == JobCanary.token, JobRun.lease_until > ledger_now())
    may_be_claimed = and_(
        JobCanary.token.is_(None),
        JobCanary.since > plus_seconds(ledger_now(), literal_column(str(-CLAIM_SECONDS))),
        JobRun.state == literal_column("'queued'"),
        or_(JobRun.hold.is_(None), JobRun.held_on.like(f"{PREFIX}%")),
    )
    return (
        select(JobCanary.run_id, JobCanary.name, JobCanary.digest, case((or_(is_claimed, may_be_claimed), 1), else_=0))
        .outerjoin(JobRun, JobRun.id == JobCanary.run_id)
        .where(tuple_(JobCanary.name, JobCanary.digest).in_(select(given.breaker_name, given.digest)))
    )


@cache
def _claimed(dialect: str) -> Any:
    ids = select(_IDS.table(dialect).c.id)
    return select(JobCanary.run_id, JobCanary.name, JobCanary.digest, JobCanary.token).where(
        one_of(dialect, JobCanary.run_id, ids), JobCanary.token.is_not(None)
    )


@cache
def _choose(dialect: str) -> Any:
    new = _NEW.table(dialect).c
    names = ["run_id", "name", "digest", "token", "since"]
    since = func.coalesce(new.since, ledger_now(), type_=UtcDateTime())
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = select(new.run_id, new.breaker_name, new.digest, new.token, since).where(text("true"))
    inserted = insert_into(dialect, JobCanary).from_select(names, rows, include_defaults=False)
    changed = {name: inserted.excluded[name] for name in names[1:]}
    return inserted.on_conflict_do_update(index_elements=["run_id"], set_=changed)
