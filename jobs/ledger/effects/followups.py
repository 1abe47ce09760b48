"""Follow-ups: runs that are enqueued in the transaction that ends another run.

Their rows are written when their run is enqueued, so that a compensation depends on no process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import String, Text, Uuid, cast, delete, select, update

from jobs.database.models import JobFollowup, JobRun, JsonText
from jobs.database.sql import MOST, Executor, RowBatch, dialect_of, insert_into, ledger_now
from jobs.definition.arguments import check_json
from jobs.definition.enqueue_options import MAX_WAIT
from jobs.errors import ArgumentsRefused
from jobs.ledger.blobs.references import hold
from jobs.ledger.records import FollowUp, NewRun
from jobs.priority import MAX_PRIORITY, MIN_PRIORITY
from jobs.states import RunState

ENDED = "ended"
"""``on_state`` of a successor: every final state."""

MAX_KEPT = 2**30
"""Bytes of arguments. Source: decision; the setting's limit was checked when the follow-up was created."""

FOLLOWUPS = RowBatch("followups", id=Uuid(), run_id=Uuid(), on_state=String(), kind=String(), run=Text())
_KEPT = frozenset(field.name for field in fields(NewRun)) & frozenset(
    {
        "kind", "queue", "priority", "arguments", "arguments_version", "arguments_hash", "key", "hold_seconds",
        "max_attempts", "delay_seconds", "expires_seconds", "tags", "enqueued_by", "trace_context",
    }
)  # fmt: skip


def insert_followups(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> None:
    """Write the follow-ups of ``runs``, which are being inserted."""
    rows = [(run.id, one) for run in runs for one in run.followups]
    write_followups(session, rows, now=now)


def succeed_with(session: Executor, run_id: UUID, successor: NewRun, *, now: datetime | None = None) -> bool:
    """Let ``successor`` be enqueued when the running ``run_id`` ends, instead of any earlier successor.

    False if it is not running any more. Locks the run's row until the caller's transaction ends, so that the code that
    ends the run waits for it.
    """
    moved = session.scalar(
        update(JobRun)
        .where(JobRun.id == run_id, JobRun.state == RunState.RUNNING)
        .values(has_followups=True)
        .returning(JobRun.id)
    )
    if moved is None:
        return False
    session.execute(
        delete(JobFollowup).where(
            JobFollowup.run_id == run_id, JobFollowup.on_state == ENDED, JobFollowup.enqueued_at.is_(None)
        )
    )
    write_followups(session, [(run_id, FollowUp(ENDED, successor))], now=now)
    return True


def list_followups(
    session: Executor, run_id: UUID, *, after: UUID | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """The follow-ups of a run, by id: the id each will have, its kind, its state, and when it was enqueued.

    ``after`` is the last id of the previous page.
    """
    query = select(JobFollowup.id, JobFollowup.kind, JobFollowup.on_state, JobFollowup.enqueued_at)
    query = query.where(JobFollowup.run_id == run_id)
    if after is not None:
        query = query.where(JobFollowup.id > after)
    rows = session.execute(query.order_by(JobFollowup.id).limit(limit))
    return [dict(row._mapping) for row in rows]


UNREADABLE = (TypeError, ValueError, ArgumentsRefused)
"""Errors of ``read_followup``: another program wrote the row, or changed it."""


def read_followup(row: Any, *, parent_id: UUID | None, root_id: UUID | None) -> NewRun:
    """The run that a row of ``job_followups`` holds, with the row's id.

    Raises:
        TypeError, ValueError, ArgumentsRefused: it is invalid.
    """
    run = NewRun(**row.run, id=row.id, parent_id=parent_id, root_id=root_id, correlation_id=row.correlation_id)
    _check(run)
    return run


def _check(run: NewRun) -> None:
    """Refuse a run that ``insert_followups`` did not write and that the table of runs cannot hold."""
    check_json(run.arguments, what=f"Arguments of {run.kind}", max_bytes=MAX_KEPT)
    for text in (run.arguments, run.tags or "null"):
        json.loads(text)
    texts = ((run.kind, 200), (run.queue, 100), (run.key or "", 255), (run.enqueued_by or "", 200))
    if any("\0" in text or not 0 <= len(text) <= longest for text, longest in texts):
        raise ValueError("a name in it is too long, or holds a NUL")
    numbers = (run.priority, run.arguments_version, run.max_attempts)
    if set(map(type, numbers)) != {int} or max(numbers) > MOST or not MIN_PRIORITY <= run.priority <= MAX_PRIORITY:
        raise ValueError("a number in it is not a number, or out of range")
    for seconds in (run.delay_seconds, run.expires_seconds or 0.0, run.hold_seconds or 0.0):
        if not 0.0 <= seconds <= MAX_WAIT.total_seconds():
            raise ValueError("a wait in it is out of range")


def forget_followups(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the follow-ups of runs that are deleted, or whose data is erased."""
    session.execute(delete(JobFollowup).where(JobFollowup.run_id.in_(list(run_ids))))


def write_followups(session: Executor, rows: Sequence[tuple[UUID, FollowUp]], *, now: datetime | None = None) -> None:
    """Write follow-ups, each with the id of the run or batch whose end enqueues it."""
    if not rows:
        return
    hold(session, (one.run for _, one in rows), now=now)
    dialect = dialect_of(session)
    session.execute(_insert_rows(dialect), {**FOLLOWUPS.rows(dialect, followup_rows(rows)), "now": now})


def followup_rows(some: Iterable[tuple[UUID, FollowUp]]) -> list[tuple[Any, ...]]:
    """The rows of ``FOLLOWUPS``: follow-ups, each with the id of the run or batch whose end enqueues it."""
    return [(one.run.id, run_id, one.on_state, one.run.kind, _spec(one.run)) for run_id, one in some]


def followup_columns(dialect: str) -> tuple[Any, dict[str, Any]]:
    """An INSERT of follow-ups, and the columns to select for it from the rows of ``FOLLOWUPS``."""
    new = FOLLOWUPS.table(dialect).c
    columns = {
        "id": new.id,
        "run_id": new.run_id,
        "on_state": new.on_state,
        "kind": new.kind,
        "run": cast(new.run, JsonText),
        "created_at": ledger_now(),
    }
    return insert_into(dialect, JobFollowup), columns


def _spec(run: NewRun) -> str:
    return json.dumps({name: getattr(run, name) for name in sorted(_KEPT)})


@cache
def _insert_rows(dialect: str) -> Any:
    insert, columns = followup_columns(dialect)
    return insert.from_select(list(columns), select(*columns.values()), include_defaults=False)
