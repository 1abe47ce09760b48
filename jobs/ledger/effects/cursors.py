"""Cursors: the stored position of a run, moved in the transaction that does the work."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, String, Text, Uuid, bindparam, cast, literal, select, update

from jobs.database.models import JobRun, JobStep, JsonText
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.errors import LeaseLost
from jobs.ledger.effects.steps import CURSOR


def read_cursor(session: Executor, run_id: UUID, name: str) -> tuple[Any] | None:
    """The cursor's position, as a tuple of one; None if it has not moved yet."""
    row = session.execute(
        select(JobStep.result).where(JobStep.run_id == run_id, JobStep.name == name, JobStep.form == CURSOR)
    ).one_or_none()
    return (row.result,) if row is not None else None


def move_cursor(
    session: Executor,
    run_id: UUID,
    token: UUID,
    name: str,
    *,
    attempt: int,
    to: str,
    now: datetime | None = None,
) -> None:
    """Move a cursor; ``to`` is JSON text. Locks the run's row until the transaction ends.

    Raises:
        LeaseLost: another attempt has the run; roll back.
    """
    values = {"of_run": run_id, "by_token": token, "called": name, "attempt": attempt, "gave": to, "now": now}
    if session.scalar(_move(dialect_of(session)), values) is None:
        raise LeaseLost(
            f"The lease of run {run_id} is lost: another attempt has it.", hint="Stop: nothing is recorded."
        )


def write_progress(session: Executor, run_id: UUID, token: UUID, progress: str) -> bool:
    """Write a run's progress, as JSON text; False if the lease is lost."""
    moved = session.scalar(_progress(), {"of_run": run_id, "by_token": token, "gave": progress})
    return moved is not None


@cache
def _move(dialect: str) -> Any:
    run_id, token = bindparam("of_run", type_=Uuid()), bindparam("by_token", type_=Uuid())
    columns = {
        "run_id": JobRun.id,
        "name": bindparam("called", type_=String()),
        "form": literal(CURSOR),
        "token": token,
        "attempt": bindparam("attempt", type_=Integer()),
        "started_at": ledger_now(),
        "result": cast(bindparam("gave", type_=Text()), JsonText),
    }
    ours = select(*columns.values()).where(JobRun.id == run_id, JobRun.token == token)
    rows = insert_into(dialect, JobStep).from_select(
        list(columns), ours.with_for_update(read=True, of=JobRun), include_defaults=False
    )
    return rows.on_conflict_do_update(
        index_elements=["run_id", "name"],
        set_={name: rows.excluded[name] for name in ("token", "attempt", "result")},
        where=JobStep.form == CURSOR,
    ).returning(JobStep.name)


@cache
def _progress() -> Any:
    return (
        update(JobRun)
        .where(JobRun.id == bindparam("of_run", type_=Uuid()), JobRun.token == bindparam("by_token", type_=Uuid()))
        .values(progress=cast(bindparam("gave", type_=Text()), JsonText))
        .returning(JobRun.id)
    )
