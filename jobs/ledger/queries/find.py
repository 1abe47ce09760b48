"""Finds runs and their attempts, as records. Every list uses keyset pagination and has a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
)

from jobs.database.history_reads import HISTORY_ONLY, HOT_ONLY
from jobs.database.models import JobAttempt, JobRun, UtcDateTime, id_tail
from jobs.database.sql import Executor, RowBatch, dialect_of, one_of
from jobs.errors import Ambiguous, NotFound
from jobs.formats.short_id import ID_DIGITS, MIN_SHORT_ID, id_digits
from jobs.formats.unreadable import unreadable_in
from jobs.ledger.history_spans import history_read_by, near
from jobs.ledger.holds import due_again
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.states import FAR, Cause, Hold, Outcome, RunState

MAX_PAGE = 1000

_IDS = RowBatch("wanted", id=Uuid())
_RUN_NAMES = tuple(field.name for field in fields(RunRecord) if field.name != "unreadable")
_COMPUTED = {
    "run_at": case((JobRun.run_at >= FAR, due_again()), else_=JobRun.run_at).label("run_at"),
    "held_until": case((and_(JobRun.hold.is_not(None), JobRun.run_at < FAR), JobRun.run_at)).label("held_until"),
}
RUN_COLUMNS = tuple(_COMPUTED[name] if name in _COMPUTED else getattr(JobRun, name) for name in _RUN_NAMES)
"""The columns that ``run_of`` turns into a record."""
_IS_NEAR = JobRun.state_at.between(bindparam("begin", type_=UtcDateTime()), bindparam("end", type_=UtcDateTime()))


@dataclass(frozen=True, slots=True)
class _ById:
    """A statement that finds the run ``run_id``: in the hot tables, in a span of history, and in both."""

    hot: Select[Any]
    near: Select[Any]
    both: Select[Any]

    @classmethod
    def of(cls, *columns: Any) -> _ById:
        both = select(*columns).where(JobRun.id == bindparam("run_id", type_=Uuid()))
        near = both.where(_IS_NEAR).execution_options(**HISTORY_ONLY)
        return cls(both.execution_options(**HOT_ONLY), near, both)


_ONE = _ById.of(*RUN_COLUMNS)
_IS_THERE = _ById.of(JobRun.id)
_ATTEMPT_NAMES = tuple(field.name for field in fields(AttemptRecord) if field.name != "unreadable")
ATTEMPT_COLUMNS = tuple(getattr(JobAttempt, name) for name in _ATTEMPT_NAMES)
"""The columns that ``attempt_of`` turns into a record."""
_ATTEMPTS = (
    select(*ATTEMPT_COLUMNS)
    .where(JobAttempt.run_id == bindparam("run_id", type_=Uuid()))
    .order_by(JobAttempt.attempt.desc())
    .limit(bindparam("limit", type_=Integer()))
)
_ATTEMPTS_BEFORE = _ATTEMPTS.where(JobAttempt.attempt < bindparam("before", type_=Integer()))


def find_run(session: Executor, run_id: UUID) -> RunRecord | None:
    """The run with this id, purged or not; None if there is none."""
    row = _row_of(session, _ONE, run_id)
    return run_of(row) if row is not None else None


def _row_of(session: Executor, query: _ById, run_id: UUID) -> Any:
    """The row of a run: in the hot table, else where its id says that it is in history, else wherever it is.

    The last statement reads both at one moment, since a run may come back from history meanwhile.
    """
    given = {"run_id": run_id}
    row = session.execute(query.hot, given).one_or_none()
    if row is not None or history_read_by(session) is None:
        return row
    span = near(run_id)
    if span is not None:
        within = {**given, "begin": span.begin, "end": span.end}
        row = session.execute(query.near, within).one_or_none()
    return row if row is not None else session.execute(query.both, given).one_or_none()


def find_named(session: Executor, text: str) -> RunRecord:
    """The run that ``text`` identifies, as for ``resolve_id``; a whole id needs one query.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    plain = id_digits(text) or ""
    run = find_run(session, UUID(plain) if len(plain) == ID_DIGITS else resolve_id(session, text))
    if run is None:
        raise _no_run(text)
    return run


def find_runs(session: Executor, run_ids: Sequence[UUID]) -> dict[UUID, RunRecord]:
    """The existing runs among these ids, purged or not."""
    found: dict[UUID, RunRecord] = {}
    dialect = dialect_of(session)
    for start in range(0, len(run_ids), MAX_PAGE):
        some = [(one,) for one in run_ids[start : start + MAX_PAGE]]
        runs = map(run_of, session.execute(_these(dialect), _IDS.rows(dialect, some)).all())
        found |= {run.id: run for run in runs}
    return found


@cache
def _these(dialect: str) -> Select[Any]:
    return select(*RUN_COLUMNS).where(one_of(dialect, JobRun.id, select(_IDS.table(dialect).c.id)))


def list_runs(
    session: Executor,
    *,
    kind: str | None = None,
    queue: str | None = None,
    states: Sequence[RunState] = (),
    before: UUID | None = None,
    limit: int = 50,
) -> list[RunRecord]:
    """Runs, newest first, without purged ones; ``before`` is the last id of the previous page."""
    query: Select[Any] = select(*RUN_COLUMNS).where(JobRun.deleted_at.is_(None))
    if kind is not None:
        query = query.where(JobRun.kind == kind)
    if queue is not None:
        query = query.where(JobRun.queue == queue)
    if states:
        query = query.where(JobRun.state.in_(list(states)))
    if before is not None:
        query = query.where(JobRun.id < before)
    rows = session.execute(query.order_by(JobRun.id.desc()).limit(min(limit, MAX_PAGE)))
    return [run_of(row) for row in rows.all()]


def list_attempts(
    session: Executor, run_id: UUID, *, before: int | None = None, limit: int = 1000
) -> list[AttemptRecord]:
    """The attempts of a run, first to last; at most the last ``limit`` ``before`` that number."""
    given = {"run_id": run_id, "limit": limit, "before": before}
    query = _ATTEMPTS if before is None else _ATTEMPTS_BEFORE
    # All attempts of a run are in one place.
    rows = session.execute(query.execution_options(**HOT_ONLY), given).all()
    if not rows and history_read_by(session) is not None:
        rows = session.execute(query, given).all()
    return [attempt_of(row) for row in rows][::-1]


def resolve_id(session: Executor, text: str) -> UUID:
    """The id that ``text`` identifies: a whole id, or a unique head or tail of six characters or more.

    Raises:
        NotFound: no run has it, or it is not an id.
        Ambiguous: several runs have it.
    """
    plain = id_digits(text)
    if plain is None:
        raise NotFound(
            f"{text!r} is not a run id.", hint=f"Give a whole id, or its last {MIN_SHORT_ID} to 8 characters."
        )
    if len(plain) == ID_DIGITS:
        whole = UUID(plain)
        if _row_of(session, _IS_THERE, whole) is None:
            raise _no_run(text)
        return whole
    found = _by_part(session, plain)
    if not found:
        raise _no_run(text)
    if len(found) > 1:
        some = ", ".join(str(one) for one in found[:10])
        raise Ambiguous(
            f"{text} means more than one run: {some}.",
            matches=tuple(map(str, found)),
            hint="Give more of it.",
        )
    return found[0]


def _no_run(text: str) -> NotFound:
    return NotFound(f"There is no run {text}.", hint="jobledger list shows those there are.")


def _by_part(session: Executor, plain: str) -> list[UUID]:
    """At most 11 runs whose id has this beginning or end."""
    lowest, highest = UUID(plain.ljust(32, "0")), UUID(plain.ljust(32, "f"))
    digits: ColumnElement[str] = cast(JobRun.id, String)
    if dialect_of(session) == "postgresql":
        digits = func.replace(digits, "-", "")
    ends_so = func.substr(digits, 33 - len(plain)) == plain
    searches: tuple[tuple[ColumnElement[bool], dict[str, Any]], ...] = (
        (JobRun.id.between(lowest, highest), {}),
        (and_(JobRun.finished_at.is_not(None), id_tail(JobRun.id) == plain[-MIN_SHORT_ID:], ends_so), {}),
        (and_(JobRun.state == literal_column("'queued'"), ends_so), HOT_ONLY),
        (and_(JobRun.state == literal_column("'running'"), ends_so), HOT_ONLY),
    )
    found: dict[UUID, None] = {}
    for search, options in searches:
        query = select(JobRun.id).where(search).limit(11)
        found |= dict.fromkeys(session.scalars(query.execution_options(**options)))
    return list(found)[:11]


def run_of(row: Any) -> RunRecord:
    """The record of a row of ``RUN_COLUMNS``."""
    values: dict[str, Any] = dict(zip(_RUN_NAMES, row, strict=True))
    values["state"] = RunState(values["state"])
    values["cause"] = Cause(values["cause"]) if values["cause"] else None
    values["hold"] = Hold(values["hold"]) if values["hold"] else None
    return RunRecord(**values, unreadable=unreadable_in(_RUN_NAMES, row))


def attempt_of(row: Any) -> AttemptRecord:
    """The record of a row of ``ATTEMPT_COLUMNS``."""
    values = row._asdict()
    values["outcome"] = Outcome(values["outcome"])
    values["refused_outcome"] = Outcome(values["refused_outcome"]) if values["refused_outcome"] else None
    return AttemptRecord(**values, unreadable=unreadable_in(_ATTEMPT_NAMES, row))
