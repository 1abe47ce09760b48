"""What becomes of the transactions of jobs while chaos is run, so that each effect can be shown to exist once.

Only processes that were started for chaos record it, and only during a run.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, delete, literal_column, select, update

from jobs.database.models import JobChaosEffect, JobChaosTarget
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now

_OF_ATTEMPT = (
    JobChaosEffect.run_id == bindparam("of_run", type_=Uuid()),
    JobChaosEffect.token == bindparam("of_token", type_=Uuid()),
)


def begin_effect(session: Executor, run_id: UUID, token: UUID) -> None:
    """Record, before it begins, that an attempt opens its transaction; nothing unless chaos is run now."""
    session.execute(_begin(dialect_of(session)), {"of_run": run_id, "of_token": token, "now": None})


def withdraw_effect(session: Executor, run_id: UUID, token: UUID) -> None:
    """Record that the attempt has rolled its transaction back, and may go on without it."""
    session.execute(_WITHDRAW, {"of_run": run_id, "of_token": token})


def count_effect(session: Executor, run_id: UUID, token: UUID) -> None:
    """Count the commit of the attempt's transaction, in that transaction."""
    session.execute(_COUNT, {"of_run": run_id, "of_token": token})


def forget_effects(session: Executor) -> None:
    """Delete what earlier runs of chaos recorded."""
    session.execute(delete(JobChaosEffect))


@cache
def _begin(dialect: str) -> Any:
    is_run = select(literal_column("1")).where(JobChaosTarget.run_until > ledger_now()).exists()
    columns: dict[str, Any] = {
        "run_id": bindparam("of_run", type_=Uuid()),
        "token": bindparam("of_token", type_=Uuid()),
        "began_at": ledger_now(),
        "commits": literal_column("0"),
    }
    rows = select(*columns.values()).where(is_run)
    return (
        insert_into(dialect, JobChaosEffect)
        .from_select(list(columns), rows, include_defaults=False)
        .on_conflict_do_nothing()
    )


_WITHDRAW = delete(JobChaosEffect).where(*_OF_ATTEMPT)
_COUNT = update(JobChaosEffect).where(*_OF_ATTEMPT).values(commits=JobChaosEffect.commits + 1)
