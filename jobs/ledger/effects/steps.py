"""Steps: named effects of a run, kept across its attempts. The intent is written before, the end after.

Only the holder of the lease writes them: each statement checks the run's token and locks its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, String, Text, Update, Uuid, and_, bindparam, cast, delete, literal, or_, select, update

from jobs.database.models import JobRun, JobStep, JsonText
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.errors import LeaseLost

EFFECT, CURSOR = "effect", "cursor"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A step, as read. An effect with an intent and no end has ``finished_at`` None."""

    run_id: UUID
    name: str
    form: str
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    result: Any


@dataclass(frozen=True, slots=True)
class BegunEffect:
    """State of an effect: to be called now (``is_new``), finished (``is_done``, with its result), or begun."""

    is_new: bool = False
    is_done: bool = False
    result: Any = None


def begin_effect(
    session: Executor, run_id: UUID, token: UUID, name: str, *, attempt: int, now: datetime | None = None
) -> BegunEffect:
    """Write the intent of an effect, unless an earlier attempt has.

    Raises:
        LeaseLost: another attempt has the run.
    """
    values = {"of_run": run_id, "by_token": token, "called": name, "attempt": attempt, "now": now}
    dialect = dialect_of(session)
    if session.scalar(_begin(dialect), values) is not None:
        return BegunEffect(is_new=True)
    step = session.execute(_held_step(), values).one_or_none()
    if step is None:
        raise lease_lost(run_id)
    if step.finished_at is None:
        return BegunEffect()
    return BegunEffect(is_done=True, result=step.result)


def repeat_effect(
    session: Executor, run_id: UUID, token: UUID, name: str, *, attempt: int, now: datetime | None = None
) -> None:
    """Take over an intent without an end: the attempt that wrote it cannot end it any more.

    Raises:
        LeaseLost: another attempt has the run.
    """
    values = {"of_run": run_id, "by_token": token, "called": name, "in_attempt": attempt, "now": now}
    if session.scalar(_repeat(), values) is None:
        raise lease_lost(run_id)


def end_effect(
    session: Executor, run_id: UUID, token: UUID, name: str, *, result: str, now: datetime | None = None
) -> None:
    """Record that an effect has taken place, and its result as JSON text.

    Raises:
        LeaseLost: another attempt has the run, or the intent.
    """
    values = {"of_run": run_id, "by_token": token, "called": name, "gave": result, "now": now}
    if session.scalar(_end(), values) is None:
        raise lease_lost(run_id)


def withdraw_effect(session: Executor, run_id: UUID, token: UUID, name: str) -> None:
    """Delete an intent: its job reports that the effect did not take place."""
    session.execute(
        delete(JobStep).where(
            JobStep.run_id == run_id,
            JobStep.name == name,
            JobStep.token == token,
            JobStep.form == EFFECT,
            JobStep.finished_at.is_(None),
        )
    )


def list_steps(session: Executor, run_id: UUID, *, after: str | None = None, limit: int = 1000) -> list[StepRecord]:
    """The steps and cursors of a run, in the order in which they began; ``after`` is a name."""
    query = select(*_COLUMNS).where(JobStep.run_id == run_id)
    if after is not None:
        last = select(JobStep.started_at).where(JobStep.run_id == run_id, JobStep.name == after).scalar_subquery()
        query = query.where(or_(JobStep.started_at > last, and_(JobStep.started_at == last, JobStep.name > after)))
    rows = session.execute(query.order_by(JobStep.started_at, JobStep.name).limit(limit))
    return [StepRecord(**row._mapping) for row in rows]


def forget_steps(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the steps of runs that are deleted, or whose data is erased."""
    session.execute(delete(JobStep).where(JobStep.run_id.in_(list(run_ids))))


_COLUMNS = tuple(
    getattr(JobStep, name) for name in ("run_id", "name", "form", "attempt", "started_at", "finished_at", "result")
)
_RUN = bindparam("of_run", type_=Uuid())
_TOKEN = bindparam("by_token", type_=Uuid())
_NAME = bindparam("called", type_=String())


def lease_lost(run_id: UUID) -> LeaseLost:
    """The error of whoever writes for a run that its token does not hold any more."""
    return LeaseLost(f"The lease of run {run_id} is lost: another attempt has it.", hint="Stop: nothing is kept.")


def holder() -> Any:
    """The run, if the token still holds it; locked, so that no other process takes it before the commit."""
    return select(JobRun.id).where(JobRun.id == _RUN, JobRun.token == _TOKEN).with_for_update(read=True)


@cache
def _begin(dialect: str) -> Any:
    columns = {
        "run_id": JobRun.id,
        "name": _NAME,
        "form": literal(EFFECT),
        "token": _TOKEN,
        "attempt": bindparam("attempt", type_=Integer()),
        "started_at": ledger_now(),
    }
    ours = (
        select(*columns.values()).where(JobRun.id == _RUN, JobRun.token == _TOKEN).with_for_update(read=True, of=JobRun)
    )
    rows = insert_into(dialect, JobStep).from_select(list(columns), ours, include_defaults=False)
    return rows.on_conflict_do_nothing().returning(JobStep.name)


@cache
def _held_step() -> Any:
    return (
        select(JobStep.finished_at, JobStep.result)
        .join(JobRun, JobRun.id == JobStep.run_id)
        .where(JobStep.run_id == _RUN, JobStep.name == _NAME, JobStep.form == EFFECT, JobRun.token == _TOKEN)
    )


@cache
def _repeat() -> Update:
    return (
        update(JobStep)
        .where(
            JobStep.run_id.in_(holder()),
            JobStep.name == _NAME,
            JobStep.form == EFFECT,
            JobStep.finished_at.is_(None),
        )
        .values(token=_TOKEN, attempt=bindparam("in_attempt", type_=Integer()), started_at=ledger_now())
        .returning(JobStep.name)
    )


@cache
def _end() -> Update:
    return (
        update(JobStep)
        .where(
            JobStep.run_id.in_(holder()),
            JobStep.name == _NAME,
            JobStep.token == _TOKEN,
            JobStep.finished_at.is_(None),
        )
        .values(result=cast(bindparam("gave", type_=Text()), JsonText), finished_at=ledger_now())
        .returning(JobStep.name)
    )
