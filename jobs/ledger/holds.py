"""Holds: queued runs that are held back until a limit has room, or until what they wait for happens.

A held run stays ``queued``. Its ``run_at`` is when time alone makes it ready: the slot of a rate, the end of a sleep,
the deadline of a wait; FAR if time alone never does. So claims pass it by through the condition on ``run_at`` of their
index. Whoever makes it ready calls ``release_held`` and publishes what that returns after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, Uuid, bindparam, case, func, literal_column, select, update

from jobs.database.models import JobRun, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, one_of
from jobs.ledger.records import Freed
from jobs.states import FAR, Hold

_IDS = RowBatch("wanted", id=Uuid())

NOT_HELD: dict[str, Any] = dict.fromkeys(("hold", "held_at", "held_on", "due_at"))
"""The values of a run that is not held. A claim writes them: time alone may have made the run ready."""


def held_now(hold: Hold, on: Any, *, due_at: Any, until: Any = None) -> dict[str, Any]:
    """The values of a run that is held on something from now on, until a moment; None: time alone never frees it."""
    far = bindparam("far", FAR, type_=UtcDateTime())
    return {
        "hold": literal_column(f"'{hold.value}'"),
        "held_at": ledger_now(),
        "held_on": on,
        "due_at": due_at,
        "run_at": far if until is None else func.coalesce(until, far, type_=UtcDateTime()),
    }


def due_again() -> ColumnElement[datetime]:
    """When a run was due before it was held; ``run_at`` of one that is not held."""
    return case((JobRun.hold.is_not(None), func.coalesce(JobRun.due_at, JobRun.held_at)), else_=JobRun.run_at)


def no_longer_held() -> dict[str, Any]:
    """The values of a run that leaves its hold, ready or ended."""
    return {**NOT_HELD, "run_at": due_again()}


def is_held(hold: Hold) -> ColumnElement[bool]:
    """Held back in this way, if time has not made it ready yet."""
    return JobRun.hold == literal_column(f"'{hold.value}'")


def release_held(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> list[Freed]:
    """Make held runs ready: each is due when it was due before. Returns those that were held."""
    if not run_ids:
        return []
    dialect = dialect_of(session)
    given = {**_IDS.rows(dialect, [(one,) for one in sorted(run_ids, key=lambda one: one.int)]), "now": now}
    return [Freed(*row) for row in session.execute(_release(dialect), given)]


@cache
def _release(dialect: str) -> Update:
    return (
        update(JobRun)
        .where(
            one_of(dialect, JobRun.id, select(_IDS.table(dialect).c.id)),
            JobRun.state == literal_column("'queued'"),
            JobRun.hold.is_not(None),
        )
        .values(no_longer_held())
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
    )
